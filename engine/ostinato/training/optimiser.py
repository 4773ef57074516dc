"""Adam, gradient clipping and learning-rate schedules."""
# mypy: disable-error-code="untyped-decorator"

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ostinato.errors import TrainingError
from ostinato.training.activations import compiled
from ostinato.training.packing import Array

Schedule = Callable[[int], float]


@dataclass(frozen=True)
class WarmupCosine:
    """Learning rate by step (0-based): linearly up to ``peak`` over ``warmup`` steps, then down to ``floor`` at step
    ``total`` along half a cosine (Loshchilov and Hutter 2017, SGDR, without restarts); ``floor`` from there on.
    """

    peak: float
    total: int
    warmup: int = 0
    floor: float = 0.0

    def __call__(self, step: int) -> float:
        """The learning rate of a step."""
        if step < self.warmup:
            return self.peak * (step + 1) / self.warmup
        share = min(1.0, (step - self.warmup) / max(1, self.total - self.warmup))
        return self.floor + (self.peak - self.floor) * 0.5 * (1 + math.cos(math.pi * share))


class Adam:
    """Adam (Kingma and Ba 2015, algorithm 1) with bias correction.

    m <- beta1 m + (1 - beta1) g;  v <- beta2 v + (1 - beta2) g^2;
    w <- w - rate (m / (1 - beta1^t)) / (sqrt(v / (1 - beta2^t)) + epsilon)

    ``weight_decay`` makes it AdamW (Loshchilov and Hutter 2019): matrices, not vectors (biases), also lose rate *
    weight_decay of themselves per step. ``clip_norm``: gradients are scaled down together so that the norm of all of
    them is at most this (Pascanu et al. 2013).
    """

    def __init__(
        self,
        rate: float | Schedule = 1e-3,
        *,
        beta1: float = 0.9,
        beta2: float = 0.999,
        epsilon: float = 1e-8,
        weight_decay: float = 0.0,
        clip_norm: float | None = None,
    ) -> None:
        self.schedule: Schedule = rate if callable(rate) else _Constant(rate)
        self.beta1, self.beta2, self.epsilon = beta1, beta2, epsilon
        self.weight_decay, self.clip_norm = weight_decay, clip_norm
        self.steps = 0
        self.first: dict[str, Array] = {}
        self.second: dict[str, Array] = {}

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
        rate = self.schedule(self.steps)
        self.steps += 1
        for name, gradient in gradients.items():
            w = parameters[name]
            m = self.first.setdefault(name, np.zeros_like(w))
            v = self.second.setdefault(name, np.zeros_like(w))
            constants = np.array(
                [
                    self.beta1,
                    self.beta2,
                    rate / (1 - self.beta1**self.steps),
                    1 / (1 - self.beta2**self.steps),
                    self.epsilon,
                    rate * self.weight_decay if w.ndim > 1 else 0.0,
                    scale,
                ],
                w.dtype,
            )
            _adam(w.reshape(-1), np.ascontiguousarray(gradient).reshape(-1), m.reshape(-1), v.reshape(-1), constants)
        return norm

    def state(self) -> dict[str, Array]:
        """What a checkpoint keeps: the moments by name, and the number of steps."""
        moments = {f"first.{name}": m for name, m in self.first.items()}
        moments |= {f"second.{name}": v for name, v in self.second.items()}
        return moments | {"steps": np.array([self.steps])}

    def restore(self, state: Mapping[str, Array]) -> None:
        """Go on from a `state`."""
        self.steps = int(state["steps"][0])
        for prefix, moments in (("first.", self.first), ("second.", self.second)):
            moments.clear()
            moments.update({n.removeprefix(prefix): a.copy() for n, a in state.items() if n.startswith(prefix)})


@dataclass(frozen=True)
class _Constant:
    rate: float

    def __call__(self, step: int) -> float:
        return self.rate


def global_norm(gradients: Mapping[str, Array]) -> float:
    """Square root of the sum of squares of all values."""
    return math.sqrt(sum(float(np.vdot(g, g)) for g in gradients.values()))


@compiled
def _adam(w: Array, g: Array, m: Array, v: Array, constants: Any) -> None:
    """One step of flat arrays; constants: beta1, beta2, rate1, correction2, epsilon, decay, gradient scale."""
    beta1, beta2, rate, correction = constants[0], constants[1], constants[2], constants[3]
    epsilon, decay, scale = constants[4], constants[5], constants[6]
    one = w.dtype.type(1)
    for i in range(w.shape[0]):
        d = g[i] * scale
        m[i] = beta1 * m[i] + (one - beta1) * d
        v[i] = beta2 * v[i] + (one - beta2) * d * d
        w[i] -= rate * m[i] / (np.sqrt(v[i] * correction) + epsilon) + decay * w[i]
