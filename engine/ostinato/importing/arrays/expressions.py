"""How a weight is made of arrays: what stands behind its name in the settings.

    W = "kernel"                                        the array of that name
    W = ["w_i", "w_f", "w_c", "w_o"]                    several, one below the other
    W = {from = "kernel", rows = [0, 12], transpose = true, gates = "ifgo"}
    b = 0                                               a number: it is that everywhere

``rows`` and ``columns`` cut the stored array: [start, end], or one number, which takes that row alone. Then it is
transposed (``transpose``, of a matrix) or brought from its ``axes`` ("tio": taps, inputs, outputs) into ours; several
are put one below the other; and the ``gates``, named by letters in the order in which they are stored, are put into
ours. The last three may be said once for a node.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ostinato.errors import ForeignModelError, did_you_mean
from ostinato.importing.arrays.contents import Arrays, Floats
from ostinato.importing.gates import reordered
from ostinato.model.layers import Layer, Recurrent

_ALIASES = {"lstm": {"g": "c"}, "gru": {"h": "n", "u": "z"}, "min-gru": {"h": "n"}, "min-lstm": {"h": "n"}}
_ORDERS = {
    "lstm": "iofc", "gru": "zrn", "min-gru": "zn", "min-lstm": "fin", "sru": "wfrs",
}  # fmt: skip
"""Of the gates, by kind of layer: as its weights have them."""
_FEWER = {"P": "iof", "v": "fr"}
"""Weights that only some gates have."""
_GATED = ("W", "R", "Wb", "Rb", "b", "P", "v")
_AXES = "oti"
"""Outputs, taps, inputs: the order in which a convolution's weights lie."""
_KEYS = ("from", "rows", "columns", "transpose", "axes", "gates")


@dataclass(frozen=True)
class Layout:
    """How arrays are stored."""

    transpose: bool = False
    axes: str = ""
    gates: str = ""

    @staticmethod
    def of(raw: Mapping[str, Any], where: str, default: Layout) -> Layout:
        """What a table says, or else the ``default``."""
        transpose = raw.get("transpose", default.transpose)
        axes, gates = raw.get("axes", default.axes), raw.get("gates", default.gates)
        if not isinstance(transpose, bool):
            raise ForeignModelError(f"{where}: transpose is {transpose!r}, not true or false")
        if not isinstance(axes, str) or (axes and sorted(axes) != sorted(_AXES)):
            raise ForeignModelError(
                f"{where}: axes is {axes!r}, not the letters o (outputs), t (taps) and i (inputs) in their order: "
                "'oit' for PyTorch, 'tio' for Keras"
            )
        if not isinstance(gates, str):
            raise ForeignModelError(f"{where}: gates is {gates!r}, not letters in their order, such as 'ifgo'")
        return Layout(transpose, axes, gates)


@dataclass(frozen=True)
class Wanted:
    """A weight of a ``kind`` of layer: its gates in ``order``, none if it has no more than one; and its shape."""

    kind: str
    order: str
    shape: tuple[int, ...]

    @staticmethod
    def of(layer: Layer, part: str, shape: tuple[int, ...]) -> Wanted:
        """A layer's weight by the last part of its name, without the direction."""
        gated = isinstance(layer, Recurrent) and part in _GATED
        order = _ORDERS.get(layer.kind, "")[: layer.gates] if isinstance(layer, Recurrent) and gated else ""
        return Wanted(layer.kind, "".join(gate for gate in order if gate in _FEWER.get(part, order)), shape)


def weight(raw: Any, wanted: Wanted, arrays: Arrays, where: str, layout: Layout) -> Floats:
    """The weight that ``raw`` says. Raises ForeignModelError, which begins with ``where``, if it cannot be it."""
    if isinstance(raw, int | float) and not isinstance(raw, bool):
        return np.full(wanted.shape, raw, np.float32)
    made, names = _stacked(raw, arrays, where, layout, wanted)
    layout = Layout.of(raw, where, layout) if isinstance(raw, dict) else layout
    if len(wanted.shape) == 1 and made.size == max(made.shape, default=1):
        made = made.reshape(-1)  # [n, 1] and [1, n] are vectors too
    if made.shape != wanted.shape:
        turned = len(wanted.shape) == 2 and made.shape[::-1] == wanted.shape
        cure = "; transpose = true makes it fit" if turned and not layout.transpose else ""
        raise ForeignModelError(
            f"{where} is {list(made.shape)}, made of {names}, and {list(wanted.shape)} is needed{cure}"
        )
    return _ordered(made, wanted, where, layout)


def both_biases(raw: Any, wanted: Wanted, arrays: Arrays, where: str, layout: Layout) -> tuple[Floats, Floats]:
    """The biases of input and state that one expression says: two halves, or one, and the other is 0."""
    (size,) = wanted.shape
    if isinstance(raw, int | float):
        return weight(raw, wanted, arrays, where, layout), np.zeros(size, np.float32)
    made, names = _stacked(raw, arrays, where, layout, wanted)
    layout = Layout.of(raw, where, layout) if isinstance(raw, dict) else layout
    if made.size not in (size, 2 * size):
        raise ForeignModelError(
            f"{where} is {list(made.shape)}, made of {names}: one bias has {size} values, two have {2 * size}"
        )
    one, other = np.split(made.reshape(-1), 2) if made.size == 2 * size else (made.reshape(-1), np.zeros(size))
    return _ordered(one, wanted, where, layout), _ordered(other.astype(np.float32), wanted, where, layout)


def _stacked(raw: Any, arrays: Arrays, where: str, layout: Layout, wanted: Wanted) -> tuple[Floats, str]:
    """The arrays, cut, turned and one below the other; and what they are called."""
    if isinstance(raw, str):
        made = arrays.take(raw, where)
        return _turned(made, where, layout, wanted, strict=False), f"{raw} {list(made.shape)}"
    if isinstance(raw, list):
        if not raw:
            raise ForeignModelError(f"{where} is an empty list: name arrays")
        parts = [_stacked(each, arrays, where, layout, wanted) for each in raw]
        try:
            return np.concatenate([part for part, _ in parts]), ", ".join(name for _, name in parts)
        except ValueError as error:
            raise ForeignModelError(f"{where}: {', '.join(name for _, name in parts)} cannot be stacked") from error
    if not isinstance(raw, dict) or "from" not in raw:
        raise ForeignModelError(f"{where} is {raw!r}: name an array, or say {{from = …}}, or a number for all values")
    for key in raw:
        if key not in _KEYS:
            raise ForeignModelError(f"{where}: {key!r} says nothing here{did_you_mean(key, _KEYS)}")
    layout = Layout.of(raw, where, layout)
    if not isinstance(raw["from"], str):
        if {"rows", "columns"} & set(raw):
            raise ForeignModelError(f"{where}: rows and columns belong to each of the arrays of a list")
        return _stacked(raw["from"], arrays, where, layout, wanted)
    made = arrays.take(raw["from"], where)
    for key, axis in (("columns", 1), ("rows", 0)):
        if key in raw:
            made = _cut(made, axis, raw[key], f"{where}: {key}")
    strict = raw.get("transpose") is True
    return _turned(made, where, layout, wanted, strict), f"{raw['from']} {list(arrays.shape(raw['from']))}"


def _cut(array: Floats, axis: int, raw: Any, where: str) -> Floats:
    """From a start up to an end, or one, along an axis."""
    if axis >= array.ndim:
        raise ForeignModelError(f"{where}: the array is {list(array.shape)}")
    size = array.shape[axis]
    whole = isinstance(raw, list) and len(raw) == 2 and all(type(each) is int for each in raw)
    if whole and 0 <= raw[0] < raw[1] <= size:
        return array[:, raw[0] : raw[1]] if axis else array[raw[0] : raw[1]]
    if type(raw) is int and 0 <= raw < size:
        return array[:, raw] if axis else array[raw]
    raise ForeignModelError(f"{where} is {raw!r}: say [start, end], or one number, within the {size} that there are")


def _turned(array: Floats, where: str, layout: Layout, wanted: Wanted, strict: bool) -> Floats:
    """Outputs first. ``strict``: it is this array that is to be transposed, not all matrices of a node."""
    if layout.axes and array.ndim == 3 and len(wanted.shape) == 2:
        moved = np.transpose(array, [layout.axes.index(axis) for axis in _AXES])
        return moved.reshape(len(moved), math.prod(moved.shape[1:]))
    if layout.transpose and array.ndim == 2 and len(wanted.shape) == 2:
        return array.T
    if strict:
        raise ForeignModelError(f"{where}: transpose is for matrices, and the array is {list(array.shape)}")
    if array.ndim == 3 and len(wanted.shape) == 2:
        raise ForeignModelError(
            f"{where}: the array is {list(array.shape)}: say its axes by the letters o (outputs), t (taps) and i "
            "(inputs): axes = 'oit' for PyTorch, 'tio' for Keras; or take one of its rows"
        )
    return array


def _ordered(array: Floats, wanted: Wanted, where: str, layout: Layout) -> Floats:
    """Gates in our order. Where a weight has fewer of them than the node, the others' letters are passed over."""
    if len(wanted.order) < 2:
        return array
    aliases, all_gates = _ALIASES.get(wanted.kind, {}), _ORDERS[wanted.kind]
    theirs = "".join(aliases.get(gate, gate) for gate in layout.gates)
    if set(theirs) <= set(all_gates):
        theirs = "".join(gate for gate in theirs if gate in wanted.order)
    if sorted(theirs) != sorted(wanted.order):
        what = f"gates = {layout.gates!r} is not" if layout.gates else "gates has to say"
        raise ForeignModelError(
            f"{where}: {what} the order in which they are stored, by the letters of {wanted.order!r}"
            f"{_known(wanted.kind)}"
        )
    return reordered(array, theirs, wanted.order)


def _known(kind: str) -> str:
    if kind == "lstm":
        return " (PyTorch 'ifgo', Keras 'ifco', ONNX 'iofc')"
    return " (PyTorch 'rzn', Keras and ONNX 'zrh')" if kind == "gru" else ""
