"""A factor and a summand for each value."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ostinato.model.layers.affine import Affine, Doubles
from ostinato.model.layers.layer import Array, only_vector
from ostinato.model.wire import Weight, Wire, ones, zeros


@dataclass(frozen=True)
class Scale(Affine):
    """y = a x + b, value by value, with weights a and b [size]. ONNX Mul and Add with constants."""

    kind: ClassVar[str] = "scale"

    def weights(self, inputs: Sequence[Wire]) -> Mapping[str, Weight]:
        """A and b."""
        size = only_vector(inputs).size
        return {"a": Weight((size,), ones), "b": Weight((size,), zeros)}

    def line(self, weights: Mapping[str, Array]) -> tuple[Doubles, Doubles]:
        """These."""
        return np.asarray(weights["a"], np.float64), np.asarray(weights["b"], np.float64)
