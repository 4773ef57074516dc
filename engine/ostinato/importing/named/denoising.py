"""What networks that remove noise share: a spectrum goes in, and the same spectrum, times a gain for each bin, comes
out as audio.

    features ── network ── gains ──┐
    real parts ────────────────── multiply ──┐
    imaginary parts ───────────── multiply ──┴─ inverse transform
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ostinato.importing.builder import Builder
from ostinato.importing.source import Source
from ostinato.model.layers import Concatenate, Multiply, Slice
from ostinato.model.specification import FRAMES

Array = npt.NDArray[Any]


def parts(builder: Builder, bins: int, *names: str) -> list[str]:
    """A node for each of the parts, of so many values, that a frame of the front end has one behind the other."""
    return [builder.add(Slice(number * bins, bins), [FRAMES], name=name) for number, name in enumerate(names)]


def masked(builder: Builder, gains: str, real: str, imaginary: str) -> str:
    """The node of [real, imaginary] times gains."""
    both = [builder.add(Multiply(), [gains, part], name=f"masked-{part}") for part in (real, imaginary)]
    return builder.add(Concatenate(), both, name="masked")


@dataclass(frozen=True)
class Masked:
    """The source of a network whose gains are taken times the spectrum, in float64: a frame is [features, real,
    imaginary], of ``bins`` each. ``least``: no gain is below it, none above 1; None: as they are."""

    gains: Source
    bins: int
    least: float | None = None

    @property
    def name(self) -> str:
        """As `Source.name`."""
        return self.gains.name

    def inputs(self, generator: np.random.Generator, count: int) -> Array:
        """As `Source.inputs`."""
        features = self.gains.inputs(generator, count)
        return np.concatenate([features, generator.normal(size=(count, 2 * self.bins))], axis=1).astype(np.float32)

    def outputs(self, inputs: Array) -> Mapping[str, Array]:
        """As `Source.outputs`."""
        features, spectrum = inputs[:, : self.bins], inputs[:, self.bins :].astype(np.float64)
        (gains,) = self.gains.outputs(features).values()
        if self.least is not None:
            gains = gains.clip(self.least, 1.0)
        return {"main": np.concatenate([gains, gains], axis=1) * spectrum}
