"""Microphones, through PortAudio, which is loaded only when one is used."""

from __future__ import annotations

import contextlib
import queue
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from ostinato.errors import AudioDeviceError, did_you_mean
from ostinato_client import portaudio

QUEUE_S = 2.0
"""How much sound a microphone keeps for a reader that is late; then it is lost, and counted."""
STALL_S = 5.0
"""A microphone that gives nothing for so long is gone."""


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


def microphones() -> list[Microphone]:
    """All input devices, maybe none. Raises AudioDeviceError without PortAudio."""
    audio = portaudio.load()
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
    number = int(wanted) if str(wanted).isdecimal() and len(str(wanted)) < 10 else None
    fits = [one for one in found if one.number == number or (number is None and one.name == wanted)]
    fits = fits or [one for one in found if number is None and str(wanted).lower() in one.name.lower()]
    if len(fits) == 1:
        return fits[0]
    listed = "".join(f"\n  {one}" for one in (fits or found))
    what = f"{len(fits)} microphones have {wanted!r} in their names" if fits else f"no microphone is {wanted!r}"
    meant = "" if fits else did_you_mean(str(wanted), (one.name for one in found))
    raise AudioDeviceError(f"{what}: choose by number{meant}{listed}")


class MicrophoneSource:
    """Chunks of int16 [samples] from a microphone, mono.

    The callback copies and leaves: it must not wait for a reader. ``overflows``: how often PortAudio itself had lost
    sound, ``dropped``: chunks for which the reader was too late by QUEUE_S. If the device does not do the rate asked
    for, its own is used: see `sample_rate`. Raises AudioDeviceError; when the device goes away, after what was heard
    before.
    """

    def __init__(
        self, device: str | int | None = None, sample_rate: int | None = None, chunk_ms: float = 20.0
    ) -> None:
        self._audio = audio = portaudio.load()
        self.microphone = find_microphone(device)
        self.sample_rate = sample_rate or self.microphone.sample_rate
        self.overflows = 0
        self.dropped = 0
        self._chunks: queue.Queue[npt.NDArray[np.int16] | None] = queue.Queue(max(1, int(QUEUE_S * 1000 / chunk_ms)))
        self._closed = threading.Event()
        self._ended = threading.Event()  # by PortAudio
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
                finished_callback=self._end,
            )
            try:
                self._stream.start()
            except audio.PortAudioError:
                self._let_go()
                raise
        except audio.PortAudioError as error:
            raise AudioDeviceError(
                f"microphone {self.microphone.name!r} cannot be opened: {error}. See that no other program holds it, "
                "or choose another"
            ) from error

    @property
    def latency_s(self) -> float:
        """How long ago a sample was spoken when it comes out of the device."""
        return float(self._stream.latency)

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

    def _end(self) -> None:
        """PortAudio has ended the stream, because the device is gone or `close` was called."""
        self._ended.set()
        with contextlib.suppress(queue.Full):
            self._chunks.put_nowait(None)  # for a reader that waits

    def __iter__(self) -> Iterator[npt.NDArray[np.int16]]:
        while not self._closed.is_set():
            try:
                chunk = self._chunks.get(timeout=0.0 if self._ended.is_set() else STALL_S)
            except queue.Empty:
                chunk = None
            if chunk is not None:
                yield chunk
            elif self._ended.is_set() and not self._closed.is_set():
                raise AudioDeviceError(
                    f"microphone {self.microphone.name!r} has gone away: plug it in again, see that the sound server "
                    "runs, and start anew"
                )
            elif not self._closed.is_set():
                raise AudioDeviceError(
                    f"microphone {self.microphone.name!r} gave nothing for {STALL_S:g} s: is it still there?"
                )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let the microphone go. May be called again."""
        if not self._closed.is_set():
            self._closed.set()
            self._let_go()
            self._end()

    def _let_go(self) -> None:
        with contextlib.suppress(self._audio.PortAudioError):  # of a device that is gone
            self._stream.close()
