"""Gated recurrent units with other activations than the usual ones, or clipped sums, learning: step by step in
NumPy."""

from __future__ import annotations

import numpy as np

from ostinato.model.layers import Gru
from ostinato.training.layers.gates import Gate
from ostinato.training.layers.layer import Parameters
from ostinato.training.layers.recurrent import Steps, backwards, drop, drop_back, forwards, take_previous
from ostinato.training.packing import Array


class GeneralGru:
    """Shapes and names as in `gru`, but that ``sums`` becomes the activations' arguments."""

    def __init__(self, layer: Gru, sums: Array, steps: Steps) -> None:
        self.f, self.g = Gate(layer.gate_activation, layer.clip), Gate(layer.activation, layer.clip)
        self.H, self.after, self.sums, self.steps = layer.hidden, layer.reset == "after", sums, steps
        self.gates = np.empty_like(sums)
        """z r n."""

    def forward(
        self, own: Parameters, start: Array, mask: Array, y: Array, previous: Array, dropped: Array, q: Array
    ) -> None:
        """Fill ``y``, ``previous``, ``dropped`` and ``q``: Rn h + Rbn, or r * h, dropped, if the reset gate is before
        the product."""
        H, R, Rb = self.H, own["R"], own["Rb"]
        for t, before, rows in forwards(self.steps):
            take_previous(y, *self.steps[:2], t, before, start, previous)
            drop(previous, mask, rows.start, rows.stop - rows.start, dropped)
            h, sums, gates = previous[rows], self.sums[rows], self.gates[rows]
            sums[:, : 2 * H] += dropped[rows] @ R[: 2 * H].T + Rb[: 2 * H]
            gates[:, : 2 * H] = self.f(sums[:, : 2 * H])
            z, r = gates[:, :H], gates[:, H : 2 * H]
            if self.after:
                q[rows] = dropped[rows] @ R[2 * H :].T + Rb[2 * H :]
                sums[:, 2 * H :] += r * q[rows]
            else:
                q[rows] = r * h
                drop(q, mask, rows.start, rows.stop - rows.start, q)
                sums[:, 2 * H :] += q[rows] @ R[2 * H :].T + Rb[2 * H :]
            n = gates[:, 2 * H :] = self.g(sums[:, 2 * H :])
            y[rows] = n + z * (h - n)

    def backward(
        self,
        own: Parameters,
        dy: Array,
        mask: Array,
        previous: Array,
        q: Array,
        d_sums: Array,
        d_recurrent: Array,
    ) -> Array:
        """Fill ``d_sums``, and ``d_recurrent`` (the same if the reset gate is before); gradients of the start."""
        H, R = self.H, own["R"]
        carry = np.zeros((self.steps[0][0], H), dy.dtype)
        for rows in backwards(self.steps):
            b = slice(rows.stop - rows.start)
            h, sums, d = previous[rows], self.sums[rows], d_sums[rows]
            z, r, n = np.split(self.gates[rows], 3, axis=1)
            dh = dy[rows] + carry[b]
            d_n = self.g.back(sums[:, 2 * H :], n, dh * (1 - z))
            carry[b] = dh * z
            if self.after:
                d_r, d_candidate = d_n * q[rows], d_n * r
                d_h = d_candidate @ R[2 * H :]
            else:
                d_candidate = d_n
                d_q = d_n @ R[2 * H :]
                drop_back(d_q, mask, len(d_q))
                d_r = d_q * h
                carry[b] += d_q * r
                d_h = np.zeros_like(d_q)
            d[:, 2 * H :] = d_n
            d[:, : 2 * H] = self.f.back(
                sums[:, : 2 * H], self.gates[rows, : 2 * H], np.concatenate([dh * (h - n), d_r], axis=1)
            )
            d_h += d[:, : 2 * H] @ R[: 2 * H]
            drop_back(d_h, mask, len(d_h))
            carry[b] += d_h
            d_recurrent[rows] = np.concatenate([d[:, : 2 * H], d_candidate], axis=1)
        return carry
