"""Activations of gates by settings, where a cell has not the usual ones compiled in."""

from __future__ import annotations

from ostinato.kernels.activations import activate, clip
from ostinato.kernels.compiler import routine
from ostinato.kernels.operations.record import ACTIVATION, ACTIVATION_G, ACTIVATION_H, CLIP, PARAMETERS, WEIGHTS
from ostinato.kernels.simd import BYTES, field, load, load_float, store

F, G, H = 0, 1, 2
"""Which of an operation's activations."""


@routine("void(int64, int64, int64, int64)")
def clip_sums(op: int, call: int, at: int, vectors: int) -> None:
    """Keeps sums, in place, within the operation's bound, if it has one."""
    if field(op, CLIP) >= 0:
        limit = load_float(field(call, WEIGHTS) + 4 * field(op, CLIP))
        for i in range(vectors):
            store(at + i * BYTES, clip(load(at + i * BYTES), limit))


@routine("void(int64, int64, int64, int64, int64)")
def activate_gates(op: int, call: int, which: int, at: int, vectors: int) -> None:
    """Activation f, g or h of values in place."""
    parameters = field(call, WEIGHTS) + 4 * field(op, PARAMETERS) + 8 * which
    number = field(op, ACTIVATION)
    if which == G:
        number = field(op, ACTIVATION_G)
    if which == H:
        number = field(op, ACTIVATION_H)
    activate(number, load_float(parameters), load_float(parameters + 4), at, vectors)
