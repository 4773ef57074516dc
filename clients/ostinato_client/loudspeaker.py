"""A loudspeaker, through PortAudio, which is loaded only when one is used."""

from __future__ import annotations

import contextlib
import threading
import time
from collections import deque
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from ostinato.errors import AudioDeviceError
from ostinato_client import portaudio

QUEUE_S = 2.0
"""How much sound waits at most; who plays more waits too."""
PREFILL_S = 0.04
"""How much sound must be there before it is heard: what comes later than the rest must not be missed."""
POLL_S = 0.005


class Loudspeaker:
    """Plays mono float32 samples at ``sample_rate``, through the default device.

    What comes too late leaves a gap: ``underruns`` counts them, those of the device too, and the next sound waits
    until there is PREFILL_S of it again. Raises AudioDeviceError if there is no loudspeaker that can do it, and when
    it has gone away.
    """

    def __init__(self, sample_rate: int) -> None:
        self._audio = audio = portaudio.load()
        self.sample_rate = sample_rate
        self.underruns = 0
        self._pieces: deque[npt.NDArray[np.float32]] = deque()
        self._given = self._played = 0  # samples; each is counted by one thread alone
        self._open = False  # whether sound flows: there was enough of it
        self._finishing = False
        self._ended = threading.Event()  # by PortAudio
        try:
            self._stream = audio.OutputStream(
                channels=1, dtype="float32", samplerate=sample_rate, latency="low",
                callback=self._give, finished_callback=self._ended.set,
            )  # fmt: skip
            self._stream.start()
        except audio.PortAudioError as error:
            raise AudioDeviceError(
                f"there is no loudspeaker for {sample_rate} Hz ({error}): see that the sound server runs and that no "
                "other program holds it, or write a file"
            ) from error

    @property
    def delay_s(self) -> float:
        """When a sample that is given now is heard: behind what waits, and after what the device takes."""
        return (self._given - self._played) / self.sample_rate + float(self._stream.latency)

    def play(self, samples: npt.NDArray[np.float32]) -> None:
        """Append samples; waits while more than QUEUE_S of them wait. Raises AudioDeviceError if the device is
        gone."""
        while self._given - self._played > QUEUE_S * self.sample_rate and not self._ended.is_set():
            time.sleep(POLL_S)
        if self._ended.is_set():
            raise AudioDeviceError("the loudspeaker has gone away: see that the sound server runs, and start anew")
        self._pieces.append(np.array(samples, np.float32))
        self._given += len(samples)

    def _give(self, out: npt.NDArray[np.float32], count: int, when: object, status: Any) -> None:
        """PortAudio wants ``count`` samples now; it must not wait."""
        waiting = self._given - self._played
        self._open = self._open or self._finishing or waiting >= PREFILL_S * self.sample_rate
        filled = 0
        while self._open and filled < count and self._pieces:
            piece = self._pieces.popleft()
            part = piece[: count - filled]
            out[filled : filled + len(part), 0] = part
            filled += len(part)
            if len(part) < len(piece):
                self._pieces.appendleft(piece[len(part) :])
        out[filled:] = 0
        self._played += filled
        if not self._open or self._finishing:
            return
        self.underruns += filled < count or status.output_underflow
        self._open = filled == count

    def finish(self) -> None:
        """Wait until all that was given is heard, at most as long as that takes."""
        self._finishing = True
        deadline = time.monotonic() + self.delay_s + 1.0
        while self._given > self._played and not self._ended.is_set() and time.monotonic() < deadline:
            time.sleep(POLL_S)
        time.sleep(float(self._stream.latency))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let the loudspeaker go; what waits is not heard. May be called again."""
        with contextlib.suppress(self._audio.PortAudioError):  # of a device that is gone
            self._stream.close()
