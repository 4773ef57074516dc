"""Where a stream's input comes from: a microphone, an audio file, text.

Each source is a context manager and iterates over what `Stream.push` takes. ``sample_rate`` (Hz, None for text) is
for `Client.open`; ``lost`` counts what did not get through. `close`, from any thread, ends the iteration.
PortAudio and libsndfile are loaded only when a source needs them.
"""

from __future__ import annotations

import contextlib
import queue
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, Self, TextIO

import numpy as np
import numpy.typing as npt

from ostinato.errors import AudioDeviceError, InputError

QUEUE_S = 2.0
"""How much sound a microphone keeps for a reader that is late; then it is lost, and counted."""
STALL_S = 5.0
"""A microphone that gives nothing for so long is gone."""
LINE_CHARACTERS = 4096

Samples = npt.NDArray[np.int16] | npt.NDArray[np.float32]


class Source(Protocol):
    """What all sources can do."""

    @property
    def sample_rate(self) -> int | None:
        """Hz; None for text."""

    @property
    def lost(self) -> int:
        """Chunks that did not get through."""

    def __iter__(self) -> Iterator[Any]: ...

    def __enter__(self) -> Self: ...

    def __exit__(self, *_: object) -> None: ...

    def close(self) -> None:
        """End the iteration."""


# --- microphone -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Microphone:
    """An input device, as PortAudio numbers it."""

    number: int
    name: str
    channels: int
    sample_rate: int
    default: bool

    def __str__(self) -> str:
        return f"{'*' if self.default else ' '}{self.number:3d}  {self.name} ({self.sample_rate} Hz)"


def _sounddevice() -> Any:
    try:
        import sounddevice
    except OSError as error:
        raise AudioDeviceError(
            "PortAudio is missing, without which there is no microphone: install it (Debian, Ubuntu: apt install "
            "libportaudio2; Fedora: dnf install portaudio; macOS: brew install portaudio), or read a file"
        ) from error
    except ImportError as error:
        raise AudioDeviceError("the package sounddevice is missing: pip install sounddevice") from error
    return sounddevice


def microphones() -> list[Microphone]:
    """All input devices, maybe none. Raises AudioDeviceError without PortAudio."""
    audio = _sounddevice()
    try:
        devices, default = audio.query_devices(), audio.default.device[0]
    except audio.PortAudioError as error:
        raise AudioDeviceError(f"the sound system does not answer: {error}") from error
    return [
        Microphone(i, str(one["name"]), one["max_input_channels"], int(one["default_samplerate"]), i == default)
        for i, one in enumerate(devices)
        if one["max_input_channels"] > 0
    ]


def find_microphone(wanted: str | int | None = None) -> Microphone:
    """A microphone by number or by a part of its name; None: the default one. Raises AudioDeviceError."""
    found = microphones()
    if not found:
        raise AudioDeviceError(
            "there is no microphone: plug one in and see that the sound server runs, or read a file"
        )
    if wanted is None:
        return next((one for one in found if one.default), found[0])
    number = int(wanted) if str(wanted).isdecimal() else None
    fits = [one for one in found if one.number == number or (number is None and one.name == wanted)]
    fits = fits or [one for one in found if number is None and str(wanted).lower() in one.name.lower()]
    if len(fits) == 1:
        return fits[0]
    listed = "".join(f"\n  {one}" for one in (fits or found))
    what = f"{len(fits)} microphones have {wanted!r} in their names" if fits else f"no microphone is {wanted!r}"
    raise AudioDeviceError(f"{what}: choose by number{listed}")


class MicrophoneSource:
    """Chunks of int16 [samples] from a microphone, mono.

    The callback copies and leaves: it must not wait for a reader. ``overflows``: how often PortAudio itself had lost
    sound, ``dropped``: chunks for which the reader was too late by QUEUE_S. If the device does not do the rate asked
    for, its own is used: see `sample_rate`. Raises AudioDeviceError.
    """

    def __init__(
        self, device: str | int | None = None, sample_rate: int | None = None, chunk_ms: float = 20.0
    ) -> None:
        audio = _sounddevice()
        self.microphone = find_microphone(device)
        self.sample_rate = sample_rate or self.microphone.sample_rate
        self.overflows = 0
        self.dropped = 0
        self._chunks: queue.Queue[npt.NDArray[np.int16] | None] = queue.Queue(max(1, int(QUEUE_S * 1000 / chunk_ms)))
        self._closed = threading.Event()
        try:
            try:
                audio.check_input_settings(self.microphone.number, 1, "int16", None, self.sample_rate)
            except audio.PortAudioError:
                self.sample_rate = self.microphone.sample_rate
            self._stream = audio.InputStream(
                device=self.microphone.number,
                channels=1,
                dtype="int16",
                samplerate=self.sample_rate,
                blocksize=max(1, round(self.sample_rate * chunk_ms / 1000)),
                callback=self._take,
            )
            self._stream.start()
        except audio.PortAudioError as error:
            raise AudioDeviceError(
                f"microphone {self.microphone.name!r} cannot be opened: {error}. See that no other program holds it, "
                "or choose another"
            ) from error

    @property
    def lost(self) -> int:
        """Overflows and dropped chunks together."""
        return self.overflows + self.dropped

    def _take(self, samples: npt.NDArray[np.int16], count: int, when: object, status: Any) -> None:
        if status.input_overflow:
            self.overflows += 1
        try:
            self._chunks.put_nowait(samples[:, 0].copy())
        except queue.Full:
            self.dropped += 1

    def __iter__(self) -> Iterator[npt.NDArray[np.int16]]:
        while not self._closed.is_set():
            try:
                chunk = self._chunks.get(timeout=STALL_S)
            except queue.Empty:
                raise AudioDeviceError(
                    f"microphone {self.microphone.name!r} gave nothing for {STALL_S:g} s: is it still there?"
                ) from None
            if chunk is None:
                return
            yield chunk

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let the microphone go. May be called again."""
        if not self._closed.is_set():
            self._closed.set()
            self._stream.close()
            with contextlib.suppress(queue.Full):
                self._chunks.put_nowait(None)  # for a reader that waits


# --- file -----------------------------------------------------------------------------------------------------------


class FileSource:
    """Chunks of float32 [samples] of an audio file, its channels mixed down.

    In ``realtime`` a chunk comes when its last sample would have left a microphone, counted from the first request,
    so that delays do not add up; else as fast as it is taken. Raises InputError for what is no audio file.
    """

    lost = 0

    def __init__(self, path: str | Path, *, realtime: bool = True, chunk_ms: float = 20.0) -> None:
        self.path = Path(path)
        self.realtime = realtime
        self._closed = threading.Event()
        self._soundfile = _soundfile()
        if not self.path.is_file():
            raise InputError(f"there is no file {str(path)!r}")
        try:
            self._file = self._soundfile.SoundFile(self.path)
        except (self._soundfile.SoundFileError, TypeError) as error:
            raise InputError(f"{str(path)!r} is no audio file (WAV, FLAC, OGG, MP3 …) that can be read") from error
        self.sample_rate: int = self._file.samplerate
        self.channels: int = self._file.channels
        self.seconds: float = self._file.frames / self.sample_rate
        self._block = max(1, round(self.sample_rate * chunk_ms / 1000))

    def __iter__(self) -> Iterator[npt.NDArray[np.float32]]:
        start = time.monotonic()
        for due, chunk in self.timed():
            if self.realtime and self._closed.wait(max(0.0, start + due - time.monotonic())):
                return
            yield chunk

    def timed(self) -> Iterator[tuple[float, npt.NDArray[np.float32]]]:
        """(Seconds of the file after this chunk, chunk), without waiting: for those who keep the time themselves."""
        end = 0
        while not self._closed.is_set():
            try:
                block = self._file.read(self._block, dtype="float32", always_2d=True)
            except self._soundfile.SoundFileError as error:
                raise InputError(f"{str(self.path)!r} is damaged after {end / self.sample_rate:.2f} s") from error
            if not len(block):
                return
            end += len(block)
            yield end / self.sample_rate, block.mean(axis=1, dtype=np.float32)

    def read(self) -> npt.NDArray[np.float32]:
        """All that is left, at once."""
        return np.concatenate([np.zeros(0, np.float32), *(chunk for _, chunk in self.timed())])

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
        self._file.close()

    def close(self) -> None:
        """End the iteration. The file itself is closed at the end of the ``with``."""
        self._closed.set()


def _soundfile() -> Any:
    try:
        import soundfile
    except OSError as error:
        raise AudioDeviceError(
            "libsndfile is missing: install it (Debian, Ubuntu: apt install libsndfile1)"
        ) from error
    except ImportError as error:
        raise AudioDeviceError("the package soundfile is missing: pip install soundfile") from error
    return soundfile


# --- text -----------------------------------------------------------------------------------------------------------


class TextSource:
    """Text as it comes, line by line with the line's end (long lines in pieces); by default from standard input."""

    sample_rate = None
    lost = 0

    def __init__(self, text: TextIO | None = None) -> None:
        self._text = text or sys.stdin
        self._closed = False

    def __iter__(self) -> Iterator[str]:
        while not self._closed:
            try:
                line = self._text.readline(LINE_CHARACTERS)
            except UnicodeDecodeError as error:
                raise InputError(f"the text is not {error.encoding}: {error.reason}") from error
            if not line:
                return
            yield line

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the iteration after the line that is being waited for."""
        self._closed = True
