"""Simple recurrent units, learning."""
# mypy: disable-error-code="untyped-decorator"

from __future__ import annotations

from typing import Any

import numpy as np

from ostinato.training.activations import compiled, sigmoid
from ostinato.training.layers.layer import Parameters
from ostinato.training.layers.recurrent import Direction, RecurrentLayer, take_previous
from ostinato.training.packing import Array


@compiled
def sru_forward(
    sums: Array, v: Array, highway: Array, scale: Any, sizes: Array, offsets: Array, reverse: bool, start: Array,
    y: Array, c: Array, c_previous: Array,
) -> None:  # fmt: skip
    """``sums`` becomes w f r (s): c' = w + f * (c - w), h' = x + r * (c' - x) with x the scaled highway."""
    T, H = sizes.shape[0], y.shape[1]
    for i in range(T):
        t = T - 1 - i if reverse else i
        take_previous(c, sizes, offsets, t, t + 1 if reverse else t - 1, start, c_previous)
        for row in range(offsets[t], offsets[t] + sizes[t]):
            w, f, r, old = sums[row, :H], sums[row, H : 2 * H], sums[row, 2 * H : 3 * H], c_previous[row]
            for j in range(H):
                f[j] = sigmoid(f[j] + v[j] * old[j])
                r[j] = sigmoid(r[j] + v[H + j] * old[j])
                c[row, j] = w[j] + f[j] * (old[j] - w[j])
                x = scale * highway[row, j]
                y[row, j] = x + r[j] * (c[row, j] - x)


@compiled
def sru_backward(
    dy: Array, gates: Array, v: Array, highway: Array, scale: Any, c: Array, c_previous: Array, sizes: Array,
    offsets: Array, reverse: bool, d_sums: Array, d_highway: Array,
) -> Array:  # fmt: skip
    """``d_sums`` [N, 3 H] <- gradients of the sums w f r, and ``d_highway`` [N, H]. Gives those of c at the start."""
    T, H = sizes.shape[0], dy.shape[1]
    one = dy.dtype.type(1)
    carry = np.zeros((sizes[0], H), dy.dtype)
    for i in range(T):
        t = i if reverse else T - 1 - i
        for b in range(sizes[t]):
            row = offsets[t] + b
            for j in range(H):
                w, f, r, old = gates[row, j], gates[row, H + j], gates[row, 2 * H + j], c_previous[row, j]
                d = dy[row, j]
                d_c = carry[b, j] + d * r
                d_f = d_c * (old - w) * f * (one - f)
                d_r = d * (c[row, j] - scale * highway[row, j]) * r * (one - r)
                d_highway[row, j] = d * (one - r) * scale
                d_sums[row, j] = d_c * (one - f)
                d_sums[row, H + j] = d_f
                d_sums[row, 2 * H + j] = d_r
                carry[b, j] = d_c * f + d_f * v[j] + d_r * v[H + j]
    return carry


class SruDirection(Direction):
    """w f r, and s if the highway is projected."""

    def recur(self, own: Parameters, y: Array) -> None:
        """As `Direction.recur`."""
        H, projected = self.layer.hidden, self.layer.highway == "projected"
        self.highway = np.ascontiguousarray(self.sums[:, 3 * H :] if projected else self.x)
        self.scale = y.dtype.type(self.layer.scale)
        self.c, self.c_previous = (self.buffers(name, y.shape, y.dtype) for name in ("c", "c_previous"))
        sru_forward(
            self.sums, own["v"], self.highway, self.scale, *self.steps, self.start(own, "c"), y, self.c,
            self.c_previous,
        )  # fmt: skip

    def ends(self) -> dict[str, Array]:
        """As `Direction.ends`."""
        return {"c": self.c}

    def recur_back(self, own: Parameters, dy: Array, d_sums: Array) -> dict[str, Array]:
        """As `Direction.recur_back`."""
        H = self.layer.hidden
        d_highway = self.buffers("d_highway", dy.shape, dy.dtype)
        d_start = sru_backward(
            dy, self.sums, own["v"], self.highway, self.scale, self.c, self.c_previous, *self.steps, d_sums, d_highway
        )
        d_v = [(d_sums[:, part] * self.c_previous).sum(axis=0) for part in (slice(H, 2 * H), slice(2 * H, 3 * H))]
        found = {"v": np.concatenate(d_v), "initial_c": self.began("c", d_start)}
        if self.layer.highway == "projected":
            d_sums[:, 3 * H :] = d_highway
        else:
            found["x"] = d_highway
        return found


class LearningSru(RecurrentLayer):
    """Of kind "sru"."""

    direction = SruDirection
