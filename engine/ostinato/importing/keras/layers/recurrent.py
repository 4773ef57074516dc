"""Recurrent layers, in one direction or in both. Weights of Keras: kernel [inputs, gates * units], recurrent_kernel
[units, gates * units], bias [gates * units]; gates z r h (GRU) and i f c o (LSTM)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from ostinato.importing.gates import reordered
from ostinato.importing.keras.activations import activation
from ostinato.importing.keras.place import Array, Converter, Place, Value
from ostinato.model.layers import Add, Concatenate, Direction, First, Gru, Lstm, Mean, Multiply, Recurrent, Rnn, Slice


class Cell(NamedTuple):
    """One direction: the layer, going forward, and its weights."""

    layer: Recurrent
    weights: dict[str, Array]


def _simple(place: Place) -> Cell:
    units, inputs = place.size("units"), place.inputs_size
    W, R, b = place.with_bias((inputs, units), (units, units), bias=(units,))
    return Cell(Rnn(units, activation=activation(place, default="tanh")), _weights(W.T, R.T, b, np.zeros_like(b)))


def _gru(place: Place) -> Cell:
    """Keras 2.0 to 2.4 reset before the product, and so does a configuration that says nothing of it."""
    units, inputs, after = place.size("units"), place.inputs_size, place.flag("reset_after")
    bias = (2, 3 * units) if after else (3 * units,)
    W, R, b = place.with_bias((inputs, 3 * units), (units, 3 * units), bias=bias)
    Wb, Rb = b if after else (b, np.zeros_like(b))
    layer = Gru(
        units, reset="after" if after else "before", activation=activation(place, default="tanh"),
        gate_activation=activation(place, "recurrent_activation", "sigmoid"),
    )  # fmt: skip
    return Cell(layer, _weights(W.T, R.T, Wb, Rb))


def _lstm(place: Place) -> Cell:
    units, inputs = place.size("units"), place.inputs_size
    arrays = place.with_bias((inputs, 4 * units), (units, 4 * units), bias=(4 * units,))
    W, R, b = (reordered(array.T, "ifco", "iofc") for array in arrays)
    function = activation(place, default="tanh")
    layer = Lstm(
        units, activation=function, output_activation=function,
        gate_activation=activation(place, "recurrent_activation", "sigmoid"),
    )  # fmt: skip
    return Cell(layer, _weights(W, R, b, np.zeros_like(b)))


def _cudnn_gates(place: Place, count: int) -> tuple[Array, Array, Array]:
    """W, R and both biases [2, gates * units] of a layer for GPUs, whose library has the matrix of each gate turned,
    though its array has the shape of a plain one (Keras 2: saving, _convert_rnn_weights)."""
    units, inputs = place.size("units"), place.inputs_size
    kernel, recurrent, bias = place.shaped((inputs, count * units), (units, count * units), (2 * count * units,))
    W = [gate.reshape(units, inputs) for gate in np.hsplit(kernel, count)]
    return np.concatenate(W), np.concatenate(np.hsplit(recurrent, count)), bias.reshape(2, -1)


def _cudnn_lstm(place: Place) -> Cell:
    W, R, both = _cudnn_gates(place, 4)
    b = both[0].astype(np.float64) + both[1]
    W, R, b = (reordered(array, "ifco", "iofc") for array in (W, R, b))
    return Cell(Lstm(place.size("units")), _weights(W, R, b, np.zeros_like(b)))


def _cudnn_gru(place: Place) -> Cell:
    W, R, both = _cudnn_gates(place, 3)
    return Cell(Gru(place.size("units"), reset="after"), _weights(W, R, *both))


def _weights(W: Array, R: Array, Wb: Array, Rb: Array) -> dict[str, Array]:
    return {"W": W, "R": R, "Wb": Wb, "Rb": Rb}


_CELL_LAYERS = {"SimpleRNNCell": _simple, "GRUCell": _gru, "LSTMCell": _lstm}


def cells(config: dict[str, Any]) -> list[dict[str, Any]]:
    """What runs in a layer RNN, as its configuration has it: one cell, or several, one on top of the other. None of
    any other layer's configuration."""
    cell = config.get("cell")
    if not isinstance(cell, dict):
        return []
    inner = cell.get("config")
    stacked = inner.get("cells") if cell.get("class_name") == "StackedRNNCells" and isinstance(inner, dict) else None
    return [each for each in stacked if isinstance(each, dict)] if isinstance(stacked, list) else [cell]


def _of_cell(place: Place, raw: dict[str, Any], arrays: list[Array], value: Value) -> Cell:
    inner = place.within(raw, "cell", arrays, [value])
    if inner.kind not in _CELL_LAYERS:
        raise place.refusal(f"runs a cell of class {inner.kind!r}: {', '.join(_CELL_LAYERS)} are read here")
    return _CELL_LAYERS[inner.kind](inner)


def _single(place: Place) -> Cell:
    """A layer RNN of one cell."""
    found = cells(place.config)
    if len(found) != 1:
        raise place.refusal(f"runs {len(found)} cells: one is read within Bidirectional; stack layers instead")
    return _of_cell(place, found[0], place.arrays, place.one())


FORWARD: Direction = "forward"
BACKWARD: Direction = "backward"
CELLS: dict[str, Callable[[Place], Cell]] = {
    "SimpleRNN": _simple, "GRU": _gru, "LSTM": _lstm, "CuDNNLSTM": _cudnn_lstm, "CuDNNGRU": _cudnn_gru,
    "RNN": _single,
}  # fmt: skip


def _recurrent(place: Place) -> Value:
    value = place.over_time()
    _check(place)
    if place.flag("go_backwards"):
        raise place.refusal(
            "goes backwards and gives its outputs in that order, the last frame first: put it into Bidirectional, "
            "which turns them round"
        )
    stack = cells(place.config) if place.kind == "RNN" else []
    if len(stack) > 1:
        left = place.arrays
        for number, cell in enumerate(stack):
            inner = replace(place, inputs=[value])
            count = 2 + inner.within(cell, "cell", [], [value]).flag("use_bias", True)
            made = _of_cell(inner, cell, left[:count], value)
            left = left[count:]
            value = replace(value, node=_add(inner, made, FORWARD, value, suffix=str(number)))
    else:
        value = replace(value, node=_add(place, CELLS[place.kind](place), FORWARD, value))
    return value if place.flag("return_sequences") else _last(place, value)


_SO_FAR = "each frame gives what Keras would if the utterance ended there"
_BOTH_ENDS = "the last frame of one direction beside the first of the other, which are known at the utterance's end"


def _last(place: Place, value: Value, text: str = _SO_FAR) -> Value:
    """Keras goes on with the last frame alone; here each frame is made as if it were the last."""
    if place.along:
        return place.picked(value, value.positions - 1)
    place.tell(f"last frame of {place.name}", f"return_sequences is off: {text}")
    return replace(value, time="last")


def _add(place: Place, cell: Cell, direction: Direction, value: Value, suffix: str = "") -> str:
    weights = {f"{direction}.{part}": array for part, array in cell.weights.items()}
    return place.add(replace(cell.layer, direction=direction), [value.node], weights, suffix)


def _check(place: Place) -> None:
    """What changes nothing here is told; what cannot be is refused."""
    if place.flag("stateful"):
        place.tell("stateful", "states begin anew with each utterance; within it they go on however it is cut")
    if place.flag("time_major"):
        raise place.refusal("has time first: save it with time_major off")
    if place.flag("return_state"):
        place.tell(f"states of {place.name}", "are not given: a stream keeps them")


def _bidirectional(place: Place) -> Value:
    """Both directions; as one layer of ours where they differ in nothing but their weights."""
    value, merge = place.over_time(), place.setting("merge_mode", "none")
    if merge not in (*_MERGES, "concat"):
        raise place.refusal(f"has merge_mode {merge!r}: concat, sum, mul and ave are read here")
    config = place.setting("layer")
    other = place.setting("backward_layer", config)
    half = len(place.arrays) // 2
    places = [
        place.within(config, "layer", place.arrays[:half], [value]),
        place.within(other, "backward_layer", place.arrays[half:], [value]),
    ]
    if (every := places[0].flag("return_sequences")) != places[1].flag("return_sequences"):
        raise place.refusal("gives all frames of one direction, and one of the other (return_sequences)")
    cells = []
    for each in places:
        if each.kind not in CELLS:
            raise place.refusal(f"wraps {each.kind!r}: {', '.join(CELLS)} are read here")
        _check(each)
        cells.append(CELLS[each.kind](each))
    if places[0].flag("go_backwards"):
        raise place.refusal("wraps a layer that goes backwards: its directions are the wrong way round")
    forward, backward = cells
    ways = ((forward, FORWARD), (backward, BACKWARD))
    if forward.layer == backward.layer:
        weights = {f"{way}.{part}": array for cell, way in ways for part, array in cell.weights.items()}
        node = place.add(replace(forward.layer, direction="bidirectional"), [value.node], weights)
        if merge == "concat" and every:
            return replace(value, node=node)
        units = forward.layer.hidden
        halves = [place.add(Slice(start, units), [node], suffix="half") for start in (0, units)]
    else:
        halves = [_add(place, cell, way, value, suffix=way) for cell, way in ways]
    if not every:
        halves[1] = place.add(First(), halves[1:], suffix="first")
    layer = Concatenate() if merge == "concat" else _MERGES[merge]()
    value = replace(value, node=place.add(layer, halves, suffix=merge))
    return value if every else _last(place, value, _BOTH_ENDS)


_MERGES = {"sum": Add, "mul": Multiply, "ave": Mean}

CONVERTERS: dict[str, Converter] = {**dict.fromkeys(CELLS, _recurrent), "Bidirectional": _bidirectional}
