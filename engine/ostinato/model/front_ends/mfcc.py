"""Mel-frequency cepstral coefficients of audio."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ostinato.errors import BadModelFileError
from ostinato.model.front_ends.mel_bands import MelBands


@dataclass(frozen=True)
class Mfcc(MelBands):
    """Mel-frequency cepstral coefficients (Davis and Mermelstein 1980) of mono audio: the first ``coefficients`` of
    the discrete cosine transform (type II, orthonormal) of the logarithms of `MelBands`, whose settings it has. With
    ``convention`` "kaldi" they are compute-mfcc-feats's.

    ``lifter`` L scales coefficient n by 1 + L / 2 sin(pi n / L), or, as librosa counts, sin(pi (n + 1) / L) with the
    other conventions; 0: by nothing. If ``energy`` (Kaldi's use_energy), the first is the logarithm of the window's
    energy instead, less its mean, before pre-emphasis and window. ``front_end.mean`` and ``front_end.scale`` are of
    coefficients.
    """

    mels: int = 23
    coefficients: int = 13
    lifter: float = 22.0
    energy: bool = False

    kind: ClassVar[str] = "mfcc"

    @property
    def values(self) -> int:
        """The coefficients."""
        return self.coefficients

    def check(self) -> None:
        """As for all mel bands; as many coefficients as there are bands at most."""
        super().check()
        if not 0 < self.coefficients <= self.mels:
            raise BadModelFileError(f"front_end: coefficients must be from 1 to {self.mels}, the number of mels")
        if self.lifter < 0 or 0 < self.lifter < 1e-3:
            raise BadModelFileError("front_end: lifter must be 0 or at least 0.001")
        if self.energy and (self.convention, self.log, self.power, self.add) != ("kaldi", "natural", 2, 0.0):
            raise BadModelFileError("front_end: energy is Kaldi's: it needs its convention, power and logarithm")
