"""Recordings, and audio that comes through a pipe: libsndfile decodes it, a chunk at a time, as it comes."""

from __future__ import annotations

import contextlib
import os
import stat
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from ostinato.errors import AudioDeviceError, InputError
from ostinato_client.byte_stream import ByteStream, Relay, VirtualFile
from ostinato_client.wav import KINDS, Samples, find_samples

HIGHEST_RATE = 1_000_000
"""Hz, as on the wire: a header that claims more is damaged."""
MOST_SAMPLES = 1 << 28
"""Of a recording that is read at once: 1 GiB, 4.6 hours at 16 kHz. What comes through a pipe may never end."""
_UNKNOWN_FRAMES = 1 << 56
"""libsndfile gives some number above this one for a length that is not known."""
_STORED = {
    "u8": ("PCM_U8", 1), "s8": ("PCM_S8", 1), "s16": ("PCM_16", 2), "s24": ("PCM_24", 3), "s32": ("PCM_32", 4),
    "f32": ("FLOAT", 4), "f64": ("DOUBLE", 8), "mulaw": ("ULAW", 1), "alaw": ("ALAW", 1),
}  # fmt: skip
RAW_FORMATS = tuple(
    name + end for name, (_, size) in _STORED.items() for end in (("le", "be") if size > 1 else ("",))
)
"""What `RawFormat` knows, named as by FFmpeg and PulseAudio: s16le is int16, little-endian."""


@dataclass(frozen=True, slots=True)
class RawFormat:
    """How samples without a header are stored: ``name`` one of RAW_FORMATS, Hz, interleaved channels.

    ALSA's spelling (S16_LE) is understood. Raises InputError for what no recording is.
    """

    name: str
    sample_rate: int
    channels: int = 1

    def __post_init__(self) -> None:
        object.__setattr__(self, "name", self.name.lower().replace("_", ""))
        if self.name not in RAW_FORMATS:
            raise InputError(f"no samples are stored as {self.name!r}: choose one of {', '.join(RAW_FORMATS)}")
        if not (1 <= self.sample_rate <= HIGHEST_RATE and 1 <= self.channels <= 1024):
            raise InputError(f"raw audio has a rate of 1 to {HIGHEST_RATE} Hz and 1 to 1024 channels")

    def samples(self, length: int | None) -> Samples:
        """The same as what a WAV's header says."""
        stored = self.name if self.name in _STORED else self.name[:-2]
        subtype, size = _STORED[stored]
        endian = "BIG" if self.name.endswith("be") else "LITTLE"
        return Samples(subtype, endian, self.sample_rate, self.channels, size * self.channels, 0, length)


class FileSource:
    """Chunks of float32 [samples] of a recording, its channels mixed down: WAV, FLAC, OGG, MP3 and what else
    libsndfile reads.

    ``path``: a file, a named pipe, or an open descriptor, 0 for standard input. What comes through a pipe is passed
    on as it comes and never held as a whole; WAV, FLAC, OGG, MP3, AIFF and AU are recognised there. ``raw`` says how
    samples are stored that have no header. In ``realtime`` a chunk comes when its last sample would have left a
    microphone, counted from the first request, so that delays do not add up; else as fast as it is taken.

    ``seconds`` is None if the length is not known before the end. Raises InputError, which names the file, for what
    is no audio, damaged, or has numbers that are not finite.
    """

    lost = 0

    def __init__(
        self, path: str | Path | int, *, realtime: bool = True, chunk_ms: float = 20.0, raw: RawFormat | None = None
    ) -> None:
        self.name = "standard input" if path == 0 else f"descriptor {path}" if isinstance(path, int) else str(path)
        self._quoted = self.name if isinstance(path, int) else repr(self.name)
        self.realtime = realtime
        self._soundfile = _soundfile()
        self._closed = threading.Event()
        self._reading = threading.Lock()  # nobody closes the file under who reads it
        self._release = contextlib.ExitStack()
        try:
            self._stream = ByteStream(self._descriptor(path))
            self._file = self._release.enter_context(self._decoder(raw))
            self.sample_rate: int = self._file.samplerate
            self.channels: int = self._file.channels
            if not 1 <= self.sample_rate <= HIGHEST_RATE:
                raise self._refused(f"claims {self.sample_rate} samples a second: its header is damaged")
        except BaseException:
            self._release.close()
            raise
        known = self._file.frames < _UNKNOWN_FRAMES
        self.seconds: float | None = self._file.frames / self.sample_rate if known else None
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
        while len(chunk := self._next(f"after {end / self.sample_rate:.2f} s")):
            end += len(chunk)
            yield end / self.sample_rate, chunk

    def read(self) -> npt.NDArray[np.float32]:
        """All that is left, at once. Raises InputError beyond MOST_SAMPLES."""
        chunks, total = [np.zeros(0, np.float32)], 0
        for seconds, chunk in self.timed():
            chunks.append(chunk)
            total += len(chunk)
            if total > MOST_SAMPLES:
                raise self._refused(f"is longer than {seconds / 3600:.2g} h, too long to be held at once: cut it")
        return np.concatenate(chunks)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
        with self._reading:
            self._release.close()

    def close(self) -> None:
        """End the iteration, also where it waits for a pipe. The file itself is closed at the end of the ``with``."""
        self._closed.set()
        self._stream.close()

    # --- opening and reading --------------------------------------------------------------------------------------

    def _descriptor(self, path: str | Path | int) -> int:
        """``path``, open. Opening a named pipe waits for who writes into it."""
        try:
            if isinstance(path, int):
                descriptor = path
            else:
                descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_BINARY", 0))
                self._release.callback(os.close, descriptor)
            folder = stat.S_ISDIR(os.fstat(descriptor).st_mode)
            if not folder:
                os.read(descriptor, 0)  # fails for what is open for writing only, where a wait would never end
        except (FileNotFoundError, NotADirectoryError, ValueError):
            raise InputError(f"there is no file {self.name!r}") from None
        except OSError as error:
            raise self._refused(f"cannot be read: {error.strerror}") from error
        if folder:
            raise InputError(f"there is no file {self.name!r}: it is a folder")
        if os.isatty(descriptor):
            raise self._refused("is a terminal: pipe audio into it, or name a file")
        return descriptor

    def _decoder(self, raw: RawFormat | None) -> Any:
        """libsndfile, at the first sample."""
        stream = self._stream
        if not stream.peek(1):
            why = "is empty: there is not a byte in it"
            raise self._refused(why if stream.error is None else f"cannot be read: {stream.error.strerror}")
        if raw is None and stream.size is None:
            _skip_tags(stream)
        magic = stream.peek(4)
        samples = raw.samples(stream.size) if raw else find_samples(stream) if magic in KINDS else None
        try:
            if samples is not None:
                stream.skip(samples.start)
                return self._forward(
                    VirtualFile(stream, samples.length),
                    format="RAW",
                    subtype=samples.subtype,
                    endian=samples.endian,
                    samplerate=samples.sample_rate,
                    channels=samples.channels,
                )
            if stream.size is not None:
                return self._forward(stream.rewind())
            if magic == b"fLaC":
                return self._forward(VirtualFile(stream, eager=True))
            relay = Relay(stream)
            self._release.callback(relay.close)
            return self._forward(relay.descriptor, closefd=False)
        except (self._soundfile.SoundFileError, TypeError, ValueError) as error:
            cure = ". Of raw samples say how they are stored: --format s16le --rate 16000, or a RawFormat"
            cure = cure if stream.size is None else ""
            raise self._refused(f"is no audio (WAV, FLAC, OGG, MP3 …) that can be read{cure}") from error

    def _forward(self, file: Any, **settings: Any) -> Any:
        """A SoundFile that never seeks, as soundfile does after each read: at an unknown end that would fail."""

        class Forward(self._soundfile.SoundFile):  # type: ignore[misc, name-defined]
            def seekable(self) -> bool:
                return False

        return Forward(file, **settings)

    def _next(self, place: str) -> npt.NDArray[np.float32]:
        """The next chunk; an empty one at the end, or when closed."""
        with self._reading:
            if self._closed.is_set():
                return np.zeros(0, np.float32)
            try:
                block = self._file.read(self._block, dtype="float32", always_2d=True)
            except self._soundfile.SoundFileError as error:
                if self._closed.is_set():
                    return np.zeros(0, np.float32)
                raise self._refused(f"is damaged {place}") from error
        if self._stream.error is not None and len(block) == 0:
            raise self._refused(f"cannot be read {place}: {self._stream.error.strerror}")
        chunk: npt.NDArray[np.float32] = block.mean(axis=1, dtype=np.float32)
        if not np.isfinite(chunk).all():
            raise self._refused(f"is damaged {place}: it has numbers that are not finite")
        return chunk

    def _refused(self, what: str) -> InputError:
        return InputError(f"{self._quoted} {what}")


def _skip_tags(stream: ByteStream) -> None:
    """Pass over ID3v2 tags (titles, pictures) before the audio, which libsndfile does in files only. See id3.org."""
    while (header := stream.peek(10))[:3] == b"ID3" and len(header) == 10:
        size = sum((byte & 127) << shift for byte, shift in zip(header[6:], (21, 14, 7, 0), strict=True))
        stream.skip(10 + size + (10 if header[5] & 16 else 0))


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
