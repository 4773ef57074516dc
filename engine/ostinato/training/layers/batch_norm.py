"""Batch normalisation, learning.

A batch that is learnt from is normalised by its own mean and variance over all its frames (rows are packed, so no
padding is among them). The weights ``mean`` and ``variance`` go a tenth of the way to these, the variance without its
bias, N / (N - 1), once the step that the batch gives is taken; no gradient changes them. A batch that is evaluated is
normalised by the weights, as the model will be.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ostinato.model.layers import BatchNorm
from ostinato.training.layers.layer import Parameters
from ostinato.training.layers.normalise import Normal, normalise, normalise_back
from ostinato.training.packing import Array, Packing

MOMENTUM = 0.1
"""How far the weights go to a batch's statistics."""


class LearningBatchNorm:
    """y = gamma (x - mean) / sqrt(variance + epsilon) + beta."""

    def __init__(self, name: str, layer: BatchNorm) -> None:
        self.name, self.epsilon = name, layer.epsilon

    def forward(self, parameters: Parameters, inputs: Sequence[Array], packing: Packing) -> Array:
        """As `LearningLayer.forward`."""
        (x,) = inputs
        gamma, beta, mean, variance = (
            parameters[f"{self.name}.{part}"] for part in ("gamma", "beta", "mean", "variance")
        )
        self.own = packing.learning is not None and len(x) > 1
        if packing.learning is not None and self.own:
            self.normal = normalise(x, 0, self.epsilon)
            unbiased = self.normal.variance[0] * len(x) / (len(x) - 1)
            packing.learning.statistics |= {
                f"{self.name}.mean": mean + MOMENTUM * (self.normal.mean[0] - mean),
                f"{self.name}.variance": variance + MOMENTUM * (unbiased - variance),
            }
        else:
            deviation = np.sqrt(variance + x.dtype.type(self.epsilon))
            self.normal = Normal((x - mean) / deviation, deviation, mean, variance)
        y: Array = gamma * self.normal.values + beta
        return y

    def backward(
        self, parameters: Parameters, dy: Array, gradients: dict[str, Array], wanted: bool = True
    ) -> Sequence[Array | None]:
        """As `LearningLayer.backward`."""
        gradients[f"{self.name}.gamma"] = (dy * self.normal.values).sum(axis=0)
        gradients[f"{self.name}.beta"] = dy.sum(axis=0)
        d = dy * parameters[f"{self.name}.gamma"]
        return [normalise_back(self.normal, d, 0) if self.own else d / self.normal.deviation]
