"""What every optimiser does. An optimiser is one file here, and one line in `ostinato.training.optimisers`.

w stands for a weight, g for its gradient after clipping, t for the number of the step (1-based).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import ClassVar

import numpy as np

from ostinato.errors import TrainingError
from ostinato.training.packing import Array
from ostinato.training.schedules import Constant, Schedule


class Optimiser:
    """Changes weights by their gradients. ``moments`` names what it remembers of each weight, zeros at first.

    ``rate`` may be a schedule. ``clip_norm``: gradients are scaled down together so that the norm of all of them is
    at most this (Pascanu et al. 2013, algorithm 1).
    """

    kind: ClassVar[str]
    moments: ClassVar[tuple[str, ...]] = ()

    def __init__(self, rate: float | Schedule, clip_norm: float | None) -> None:
        self.schedule: Schedule = rate if isinstance(rate, Schedule) else Constant(rate)
        if clip_norm is not None and not clip_norm > 0:
            raise TrainingError(f"clip_norm = {clip_norm} is not above 0")
        self.clip_norm = clip_norm
        self.steps = 0
        self.kept: dict[str, dict[str, Array]] = {moment: {} for moment in self.moments}

    @property
    def rate(self) -> float:
        """The learning rate of the step that comes next."""
        return self.schedule(self.steps)

    def step(self, parameters: Mapping[str, Array], gradients: Mapping[str, Array]) -> float:
        """Change ``parameters`` in place by one step; gives the gradients' norm before clipping.

        A norm that is not finite raises TrainingError, with everything left as it was.
        """
        norm = global_norm(gradients)
        if not math.isfinite(norm):
            raise TrainingError(
                f"gradients are not finite at step {self.steps}: lower the learning rate or the clip_norm"
            )
        scale = 1.0 if self.clip_norm is None or norm <= self.clip_norm else self.clip_norm / norm
        rate = self.rate
        self.steps += 1
        for name, gradient in gradients.items():
            w = parameters[name]
            moments = [kept.setdefault(name, np.zeros_like(w)).reshape(-1) for kept in self.kept.values()]
            constants = np.array(self.constants(rate, matrix=w.ndim > 1), w.dtype)
            self.update(
                w.reshape(-1), np.ascontiguousarray(gradient).reshape(-1), w.dtype.type(scale), moments, constants
            )
        return norm

    def constants(self, rate: float, matrix: bool) -> list[float]:
        """What a step needs to know besides: of a matrix, or of a vector (biases)."""
        raise NotImplementedError

    def update(self, w: Array, g: Array, scale: np.floating, moments: list[Array], constants: Array) -> None:
        """One step of flat arrays, whose gradient is ``g`` times ``scale``."""
        raise NotImplementedError

    def state(self) -> dict[str, Array]:
        """What a checkpoint keeps: moments by name, the number of steps, what the schedule keeps."""
        moments = {f"{moment}.{name}": a for moment, kept in self.kept.items() for name, a in kept.items()}
        schedule = {f"schedule.{name}": np.array([value]) for name, value in self.schedule.state().items()}
        return moments | schedule | {"steps": np.array([self.steps])}

    def restore(self, state: Mapping[str, Array]) -> None:
        """Go on from a `state`."""
        self.steps = int(state["steps"][0])
        for moment, kept in self.kept.items():
            kept.clear()
            kept.update({name: a.copy() for name, a in _part(state, moment).items()})
        self.schedule.restore({name: float(a[0]) for name, a in _part(state, "schedule").items()})


def _part(state: Mapping[str, Array], prefix: str) -> dict[str, Array]:
    start = f"{prefix}."
    return {name.removeprefix(start): a for name, a in state.items() if name.startswith(start)}


def global_norm(gradients: Mapping[str, Array]) -> float:
    """Square root of the sum of squares of all values."""
    return math.sqrt(sum(float(np.vdot(g, g)) for g in gradients.values()))
