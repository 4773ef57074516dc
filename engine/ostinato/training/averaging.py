"""Averaged weights: the mean of those of many steps lies nearer to where noisy steps lead than any of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from ostinato.errors import TrainingError
from ostinato.training.packing import Array


class WeightAverage:
    """A running mean of weights, those of older steps counting less and less (Polyak and Juditsky 1992,
    "Acceleration of stochastic approximation by averaging"; exponential as in Kingma and Ba 2015, section 7.2):

    a <- d a + (1 - d) w;  d = min(decay, (1 + n) / (10 + n))

    after step n, from 0. The smaller d of the first steps, as in TensorFlow's ExponentialMovingAverage, lets what was
    drawn at random be forgotten soon. ``weights``: a, by name; ``count``: n.
    """

    def __init__(self, decay: float, weights: Mapping[str, Array]) -> None:
        """Of ``weights`` as they are. Raises TrainingError for a decay that is not between 0 and 1."""
        if not 0 < decay < 1:
            raise TrainingError(f"average = {decay} is not between 0 and 1: 0.999 is about the mean of 1,000 steps")
        self.decay = decay
        self.restore(weights, 0)

    def update(self, weights: Mapping[str, Array]) -> None:
        """After a step, which gave ``weights``."""
        decay = min(self.decay, (1 + self.count) / (10 + self.count))
        self.count += 1
        for name, mean in self.weights.items():
            mean += mean.dtype.type(1 - decay) * (weights[name] - mean)

    def restore(self, weights: Mapping[str, Array], count: int) -> None:
        """Go on from those."""
        self.weights, self.count = {name: w.copy() for name, w in weights.items()}, count

    @contextmanager
    def within(self, weights: Mapping[str, Array]) -> Iterator[None]:
        """Meanwhile ``weights`` are the mean, in place."""
        own = {name: w.copy() for name, w in weights.items()}
        try:
            put(self.weights, weights)
            yield
        finally:
            put(own, weights)


def put(values: Mapping[str, Array], weights: Mapping[str, Array]) -> None:
    """Change weights in place to values of the same names."""
    for name, value in values.items():
        weights[name][:] = value
