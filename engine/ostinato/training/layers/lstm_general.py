"""Long short-term memory with other activations than the usual ones, clipped sums, coupled gates or a projection,
learning: step by step in NumPy."""

from __future__ import annotations

import numpy as np

from ostinato.model.layers import Lstm
from ostinato.training.layers.gates import Gate
from ostinato.training.layers.layer import Parameters
from ostinato.training.layers.recurrent import Steps, backwards, drop, drop_back, forwards, take_previous
from ostinato.training.packing import Array


class GeneralLstm:
    """Shapes and names as in `lstm`, but that ``sums`` becomes the activations' arguments."""

    def __init__(self, layer: Lstm, sums: Array, steps: Steps, P: Array) -> None:
        self.f, self.g = Gate(layer.gate_activation, layer.clip), Gate(layer.activation, layer.clip)
        self.h = Gate(layer.output_activation, None)
        self.layer, self.sums, self.steps, self.P = layer, sums, steps, np.split(P, 3)
        self.gates = np.empty_like(sums)
        """i o f g."""
        self.shown = np.empty((len(sums), layer.hidden), sums.dtype)
        """h(c'), and what the projection multiplies."""
        self.inner = np.empty_like(self.shown)

    def forward(
        self,
        own: Parameters,
        h_start: Array,
        c_start: Array,
        mask: Array,
        y: Array,
        previous: Array,
        dropped: Array,
        c: Array,
        c_previous: Array,
    ) -> None:
        """Fill ``y``, ``previous``, ``dropped``, ``c`` and ``c_previous``."""
        Pi, Po, Pf = self.P
        for t, before, rows in forwards(self.steps):
            take_previous(y, *self.steps[:2], t, before, h_start, previous)
            take_previous(c, *self.steps[:2], t, before, c_start, c_previous)
            sums, old = self.sums[rows], c_previous[rows]
            drop(previous, mask, rows.start, rows.stop - rows.start, dropped)
            sums += dropped[rows] @ own["R"].T + own["Rb"]
            ai, ao, af, ag = np.split(sums, 4, axis=1)
            i, o, f, g = np.split(self.gates[rows], 4, axis=1)
            ai += Pi * old
            af += Pf * old
            i[:] = self.f(ai)
            f[:] = 1 - i if self.layer.input_forget else self.f(af)
            g[:] = self.g(ag)
            c[rows] = f * old + i * g
            ao += Po * c[rows]
            o[:] = self.f(ao)
            self.shown[rows] = self.h(c[rows])
            self.inner[rows] = o * self.shown[rows]
            y[rows] = self.inner[rows] @ own["H"].T if self.layer.projection else self.inner[rows]

    def backward(
        self, own: Parameters, dy: Array, mask: Array, c: Array, c_previous: Array, d_sums: Array
    ) -> tuple[Array, Array, Array]:
        """Fill ``d_sums``; gradients of h and c at the start, and of H."""
        Pi, Po, Pf = self.P
        batch = self.steps[0][0]
        d_h, d_c = np.zeros((batch, dy.shape[1]), dy.dtype), np.zeros((batch, c.shape[1]), dy.dtype)
        d_y = np.empty_like(dy)
        for rows in backwards(self.steps):
            b = slice(rows.stop - rows.start)
            ai, ao, af, ag = np.split(self.sums[rows], 4, axis=1)
            i, o, f, g = np.split(self.gates[rows], 4, axis=1)
            di, do, df, dg = np.split(d_sums[rows], 4, axis=1)
            d_y[rows] = dy[rows] + d_h[b]
            d_inner = d_y[rows] @ own["H"] if self.layer.projection else d_y[rows]
            do[:] = self.f.back(ao, o, d_inner * self.shown[rows])
            d_cell = d_c[b] + self.h.back(c[rows], self.shown[rows], d_inner * o) + do * Po
            d_i, d_f = d_cell * g, d_cell * c_previous[rows]
            if self.layer.input_forget:
                df[:] = 0
                d_i = d_i - d_f
            else:
                df[:] = self.f.back(af, f, d_f)
            di[:] = self.f.back(ai, i, d_i)
            dg[:] = self.g.back(ag, g, d_cell * i)
            d_c[b] = d_cell * f + di * Pi + df * Pf
            d_h[b] = d_sums[rows] @ own["R"]
            drop_back(d_h, mask, b.stop)
        return d_h, d_c, d_y.T @ self.inner
