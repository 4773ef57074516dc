"""Batch normalisation, as it is served: by statistics of the past."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ostinato.errors import BadModelFileError
from ostinato.model.layers.affine import Affine, Doubles
from ostinato.model.layers.layer import Array, check_epsilon, only_vector
from ostinato.model.wire import Weight, Wire, ones, zeros


@dataclass(frozen=True)
class BatchNorm(Affine):
    """y = gamma (x - mean) / sqrt(variance + epsilon) + beta, value by value, with weights gamma, beta, mean and
    variance [size]. ONNX BatchNormalization (Ioffe and Szegedy 2015).

    While a network learns, mean and variance are the batch's, over all its frames, and the weights follow them
    (`ostinato.training.layers.batch_norm`).
    """

    epsilon: float = 1e-5

    kind: ClassVar[str] = "batch-norm"

    def check(self) -> None:
        """An epsilon above zero."""
        check_epsilon(self.kind, self.epsilon)

    def weights(self, inputs: Sequence[Wire]) -> Mapping[str, Weight]:
        """Four for each value."""
        shape = (only_vector(inputs).size,)
        return {
            "gamma": Weight(shape, ones),
            "beta": Weight(shape, zeros),
            "mean": Weight(shape, zeros),
            "variance": Weight(shape, ones),
        }

    def check_weights(self, weights: Mapping[str, Array]) -> None:
        """No variance is below zero."""
        lowest = weights["variance"].min()
        if lowest < 0:
            raise BadModelFileError(f"variance has a value of {lowest:g}: none can be below 0")

    def line(self, weights: Mapping[str, Array]) -> tuple[Doubles, Doubles]:
        """What its four weights come to."""
        gamma, beta, mean, variance = (
            np.asarray(weights[part], np.float64) for part in ("gamma", "beta", "mean", "variance")
        )
        a = gamma / np.sqrt(variance + self.epsilon)
        return a, beta - a * mean
