"""The linear recurrent unit, learning: step by step in NumPy, in complex numbers.

A gradient by a complex number is that by its real part plus i times that by its imaginary part.
"""

from __future__ import annotations

import numpy as np

from ostinato.training.layers.layer import Parameters
from ostinato.training.layers.recurrent import Direction, RecurrentLayer, backwards, forwards, take_previous
from ostinato.training.packing import Array


class LruDirection(Direction):
    """States s' = turn * s + gamma * sums, outputs y = C s' + D x."""

    def recur(self, own: Parameters, y: Array) -> None:
        """As `Direction.recur`."""
        self.turn = np.exp(-np.exp(own["nu_log"]) + 1j * np.exp(own["theta_log"]))
        self.gamma, start = np.exp(own["gamma_log"]), _complex(self.start(own, "c"))
        self.inputs = _complex(self.sums)
        self.s, self.previous = np.empty_like(self.inputs), np.empty_like(self.inputs)
        for t, before, rows in forwards(self.steps):
            take_previous(self.s, *self.steps[:2], t, before, start, self.previous)
            self.s[rows] = self.turn * self.previous[rows] + self.gamma * self.inputs[rows]
        y[:] = _real(self.s) @ own["C"].T + self.x @ own["D"].T

    def ends(self) -> dict[str, Array]:
        """As `Direction.ends`."""
        return {"c": _real(self.s)}

    def recur_back(self, own: Parameters, dy: Array, d_sums: Array) -> dict[str, Array]:
        """As `Direction.recur_back`."""
        d_s = _complex(dy @ own["C"])
        carry = np.zeros((self.steps[0][0], d_s.shape[1]), d_s.dtype)
        for rows in backwards(self.steps):
            b = slice(rows.stop - rows.start)
            d_s[rows] += carry[b]
            carry[b] = self.turn.conj() * d_s[rows]
        d_sums[:] = _real(self.gamma * d_s)
        d_turn = self.turn.conj() * (self.previous.conj() * d_s).sum(axis=0)
        return {
            "nu_log": -np.exp(own["nu_log"]) * d_turn.real,
            "theta_log": np.exp(own["theta_log"]) * d_turn.imag,
            "gamma_log": self.gamma * (self.inputs.conj() * d_s).real.sum(axis=0),
            "C": dy.T @ _real(self.s),
            "D": dy.T @ self.x,
            "x": dy @ own["D"],
            "initial_c": self.began("c", _real(carry)),
        }


class LearningLru(RecurrentLayer):
    """Of kind "lru"."""

    direction = LruDirection


def _complex(parts: Array) -> Array:
    """Of all real parts, then all imaginary ones, along the last axis."""
    re, im = np.split(parts, 2, axis=-1)
    return np.asarray(re + 1j * im)


def _real(numbers: Array) -> Array:
    """The opposite of `_complex`."""
    return np.concatenate([numbers.real, numbers.imag], axis=-1)
