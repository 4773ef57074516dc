"""Spectrograms of music, filtered into bands of a part of an octave."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
import numpy.typing as npt

from ostinato.errors import BadModelFileError
from ostinato.model.front_ends.audio import Audio
from ostinato.model.limits import MOST
from ostinato.model.wire import Wire

TUNING_HZ = 440.0
MAX_WINDOWS, MAX_BANDS_PER_OCTAVE, MAX_OVERLAP = 8, 96, 128
MAX_KEPT = 1 << 20
"""Values of frames in the time of the largest window: a quarter of them may be kept for rises."""


@dataclass(frozen=True)
class FilteredSpectrogram(Audio):
    """Logarithmically filtered spectrograms of mono audio, of windows of several sizes side by side, each beside its
    rise: what madmom's networks for onsets, beats, downbeats and notes read (Böck et al. 2012, 2016).

    For each of ``windows`` (sizes in samples; symmetric Hann windows) the magnitudes of the spectrum are summed in
    triangular bands, ``bands_per_octave`` from ``low_hz`` to ``high_hz``, tuned to 440 Hz, and of sum 1 if
    ``norm_filters``; bands that fall on the same bin are one. A sum x becomes log10(mul * x + add). Unless
    ``diff_ratio`` is None, after a window's bands comes by how much each has risen, max(0, now - before), since the
    frame in which the middle of this window was where the window has fallen to ``diff_ratio``; 0 where there is no
    such frame yet. Samples are scaled as int16 / 32767.

    Frame i belongs to sample i * hop, and there is one for each that the audio has. ``origin`` says where its windows
    lie: "online" that sample is their last, so that frames wait for nothing; "centre" it is their middle, so that a
    frame waits for half of the largest window. Outside the audio is silence.
    """

    sample_rate: int = 44100
    hop_ms: float = 10.0
    windows: tuple[int, ...] = (1024, 2048, 4096)
    bands_per_octave: tuple[int, ...] = (6, 6, 6)
    low_hz: float = 30.0
    high_hz: float = 17000.0
    norm_filters: bool = True
    mul: float = 1.0
    add: float = 1.0
    diff_ratio: float | None = 0.5
    origin: Literal["online", "centre"] = "online"

    kind: ClassVar[str] = "filtered-spectrogram"

    @property
    def wire(self) -> Wire:
        """The bands of each window, and their rises."""
        bands = sum(len(self.bins(*each)) - 2 for each in zip(self.windows, self.bands_per_octave, strict=True))
        return Wire(bands if self.diff_ratio is None else 2 * bands)

    @property
    def frame_ms(self) -> float:
        """Time from one frame to the next, in ms."""
        return self.hop_ms

    @property
    def hop(self) -> int:
        """Samples from one frame to the next."""
        return int(self.sample_rate * 0.001 * self.hop_ms)

    def bins(self, window: int, bands_per_octave: int) -> npt.NDArray[np.int64]:
        """Where the bands of a window lie: number i rises from bin i to bin i + 1 of these and falls to bin i + 2."""
        low, high = (math.ceil(math.log2(hz / TUNING_HZ) * bands_per_octave) for hz in (self.low_hz, self.high_hz))
        hz = TUNING_HZ * 2.0 ** (np.arange(low, high) / bands_per_octave)
        nearest = np.floor(hz * window / self.sample_rate + 0.5).astype(np.int64)
        return np.unique(np.clip(nearest, 0, window // 2 - 1))

    def check(self) -> None:
        """Sizes within bounds, frequencies in order, a band in each window."""
        if self.sample_rate <= 0 or not 1 <= self.low_hz < self.high_hz <= self.sample_rate / 2:
            raise BadModelFileError("front_end: 1 <= low_hz < high_hz <= sample_rate / 2 must hold")
        if not 0 < len(self.windows) == len(self.bands_per_octave) <= MAX_WINDOWS:
            raise BadModelFileError(
                f"front_end: there must be 1 to {MAX_WINDOWS} windows, and as many bands_per_octave"
            )
        if not 4 <= min(self.windows) <= max(self.windows) <= MOST:
            raise BadModelFileError(f"front_end: windows must have 4 to {MOST} samples")
        if not 0 < min(self.bands_per_octave) <= max(self.bands_per_octave) <= MAX_BANDS_PER_OCTAVE:
            raise BadModelFileError(f"front_end: bands_per_octave must be from 1 to {MAX_BANDS_PER_OCTAVE}")
        if not 1 <= self.hop <= MOST or max(self.windows) > MAX_OVERLAP * self.hop:
            raise BadModelFileError(
                f"front_end: hop_ms must last at least a sample and a {MAX_OVERLAP}th of the largest window, and at "
                f"most {MOST} samples"
            )
        if not (self.mul > 0 and self.add > 0):
            raise BadModelFileError("front_end: mul and add must be above 0")
        if self.diff_ratio is not None and not 0 < self.diff_ratio < 1:
            raise BadModelFileError(f"front_end: diff_ratio = {self.diff_ratio:g} is not between 0 and 1")
        for window, bands in zip(self.windows, self.bands_per_octave, strict=True):
            if len(self.bins(window, bands)) < 3:
                raise BadModelFileError(
                    f"front_end: a window of {window} samples has no band from low_hz to high_hz: make it larger"
                )
        if self.frame_size > MOST or self.frame_size * max(self.windows) > MAX_KEPT * self.hop:
            raise BadModelFileError(
                f"front_end: a frame has at most {MOST} values, those of a window's time at most {MAX_KEPT}"
            )
