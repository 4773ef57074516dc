"""RNN, GRU and LSTM: over time, or over the positions of each frame."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from ostinato.importing.onnx.call import Call, Convert
from ostinato.importing.onnx.elements import (
    Array,
    Ids,
    Tensor,
    Traced,
    constant,
    element,
    elements,
    frame_of,
    shifted,
    term_of,
)
from ostinato.importing.onnx.rows import along, frames_in
from ostinato.importing.onnx.terms import CellState, Recurrence, State, Term, View
from ostinato.model.activation import Activation
from ostinato.model.layers import Direction, Each, First, Gru, Lstm, Recurrent, Rnn, Within

_MOST_STREAMS = 256
NAMES = {
    "affine": "affine", "elu": "elu", "hardsigmoid": "hard-sigmoid", "leakyrelu": "leaky-relu", "relu": "relu",
    "scaledtanh": "scaled-tanh", "sigmoid": "sigmoid", "softplus": "softplus", "softsign": "softsign", "tanh": "tanh",
    "thresholdedrelu": "thresholded-relu",
}  # fmt: skip
"""Activations by ONNX's names, which are told apart without case."""
_ALPHA = ("affine", "elu", "hard-sigmoid", "leaky-relu", "scaled-tanh", "thresholded-relu")
_BETA = ("affine", "hard-sigmoid", "scaled-tanh")


class Weights(NamedTuple):
    """Of one direction, as ONNX stacks them."""

    W: Array
    R: Array
    B: Array | None = None
    P: Array | None = None


def _activations(call: Call, directions: int, usual: Sequence[str]) -> list[list[Activation]]:
    """Of each direction. Alphas and betas stand in lists of their own, for the functions that have them."""
    names = call.attributes.get("activations") or list(usual) * directions
    alphas, betas = (list(call.attributes.get(f"activation_{which}", ())) for which in ("alpha", "beta"))
    made = []
    for each in names:
        text = each.decode() if isinstance(each, bytes) else each
        if (name := NAMES.get(text.lower())) is None:
            raise call.refuse(f"activation {text!r} is unknown: it is one of {', '.join(NAMES)}")
        alpha = alphas.pop(0) if alphas and name in _ALPHA else None
        beta = betas.pop(0) if betas and name in _BETA else None
        made.append(Activation(name, alpha, beta))
    if len(made) != len(usual) * directions:
        raise call.refuse(f"has {len(made)} activations, and {len(usual) * directions} are needed")
    return [made[d * len(usual) : (d + 1) * len(usual)] for d in range(directions)]


def _rnn(call: Call, hidden: int, activations: Sequence[Activation], _: Weights) -> Recurrent:
    return Rnn(hidden, activation=activations[0], clip=_clip(call))


def _gru(call: Call, hidden: int, activations: Sequence[Activation], _: Weights) -> Recurrent:
    after = bool(call.attributes.get("linear_before_reset", 0))
    if not after:
        call.notes.setdefault("gru", []).append(call.name)
    f, g = activations
    return Gru(hidden, reset="after" if after else "before", gate_activation=f, activation=g, clip=_clip(call))


def _lstm(call: Call, hidden: int, activations: Sequence[Activation], weights: Weights) -> Recurrent:
    f, g, h = activations
    return Lstm(
        hidden, peepholes=weights.P is not None and bool(weights.P.any()), gate_activation=f, activation=g,
        output_activation=h, clip=_clip(call), input_forget=bool(call.attributes.get("input_forget", 0)),
    )  # fmt: skip


def _clip(call: Call) -> float | None:
    clip = float(call.attributes.get("clip", 0.0))
    return clip if clip > 0 else None


class Kind(NamedTuple):
    """``activations``: ONNX's defaults of a direction; ``layer``: of a direction with these and its weights."""

    gates: int
    activations: Sequence[str]
    layer: Callable[[Call, int, Sequence[Activation], Weights], Recurrent]


RNN = Kind(1, ("Tanh",), _rnn)
GRU = Kind(3, ("Sigmoid", "Tanh"), _gru)
LSTM = Kind(4, ("Sigmoid", "Tanh", "Tanh"), _lstm)


def recurrent(call: Call, kind: Kind, weights: Sequence[Weights]) -> Sequence[Tensor]:
    """The operator with its weights, one direction or two. Each sequence of a batch is a recurrence of its own."""
    batch_first = bool(call.attributes.get("layout", 0))
    X = call.framed(0)
    if batch_first:
        X = np.swapaxes(X, 0, 1)
    length, batch, _ = X.shape
    if call.optional(4) is not None and (call.constant(4, "sequence_lens") != length).any():
        raise call.refuse("ends sequences before their last frame (sequence_lens): a stream ends where it is flushed")
    way, count = call.attributes.get("direction", "forward"), len(weights)
    direction: Direction = {"forward": "forward", "reverse": "backward"}.get(way, "bidirectional")  # type: ignore[assignment]
    if count != 1 + (direction == "bidirectional"):
        raise call.refuse(f"has weights of {count} directions, and its direction is {way!r}")
    hidden = int(call.attributes.get("hidden_size", weights[0].R.shape[-1]))
    own = _activations(call, count, kind.activations)
    layers = [kind.layer(call, hidden, own[d], weights[d]) for d in range(count)]
    states = ["h", "c"] if kind is LSTM else ["h"]
    begins = [_initial(call, 5 + k, (batch, count, hidden), batch_first) for k in range(len(states))]
    Y = np.empty((length, count, batch, hidden), np.int64)
    last = {state: np.empty((count, batch, hidden), np.int64) for state in states}
    if layers[0] == layers[-1] or count == 1:
        parts = [(slice(0, count), dataclasses.replace(layers[0], direction=direction))]
    else:  # directions with activations of their own are two layers
        ways: tuple[Direction, ...] = ("forward", "backward")
        parts = [(slice(d, d + 1), dataclasses.replace(layers[d], direction=ways[d])) for d in range(count)]
    for which, layer in parts:
        arrays = _weights(kind, layer, weights[which])
        inside = _inside(call, X, begins)
        if inside is not None:
            _within(call, layer, arrays, inside, begins, which, Y, last)
            continue
        if batch > 1 and _alike(call, X, layer, begins):
            _at_each(call, layer, arrays, X, begins, which.start, Y, last)
            continue
        if batch > _MOST_STREAMS:
            raise call.refuse(f"has a batch of {batch} sequences within a frame: at most {_MOST_STREAMS} can be")
        for b in range(batch):
            start = [{s: begins[k][b, d] for k, s in enumerate(states)} for d in range(count)[which]]
            made, frames = _over_time(call, X[:, b], layer, arrays, tuple(start))
            n = len(layer.directions)
            Y[:, which, b] = made.at(frames).reshape(length, n, hidden)
            ends = [0 if direction == "backward" else length - 1 for direction in layer.directions]
            for d, end in enumerate(ends):
                h = Y[end, which.start + d, b]
                last["h"][which.start + d, b] = h if frames[end] == frames.max() else _held(call, h, frames)
                if "c" in last:
                    cell = call.terms.add(CellState(made.number), made.views, n * hidden, made.frames, call.name)
                    last["c"][which.start + d, b] = cell.at(frames[end])[d * hidden : (d + 1) * hidden]
    outputs = [Y, *last.values()]
    if batch_first:
        outputs = [np.moveaxis(Y, 2, 0), *(np.swapaxes(each, 0, 1) for each in last.values())]
    return [Traced(each) for each in outputs][: max(1, len(call.node.output))]


def _held(call: Call, ids: Ids, frames: Ids) -> Ids:
    """What a direction that runs from the last frame has at the first, beside the last frame."""
    held = call.apply(First(), [shifted(ids, -frame_of(ids))], len(ids))
    return held.at(frames.max())


def _inside(call: Call, X: Ids, begins: Sequence[Ids]) -> Ids | None:
    """Where a sequence lies within each frame, and begins anew there, its vectors [batch, sequence * inputs]; None
    where it is time, or one step of it."""
    length, batch, size = X.shape
    if along(X, 0, call.terms) is not None or (length == 1 and any((each >= 0).any() for each in begins)):
        return None
    turned = np.moveaxis(X, 1, 0).reshape(batch, length * size)
    if len(frames_in(X)) == 1 or along(turned, 0, call.terms) is not None:
        return turned
    return None


def _within(
    call: Call, layer: Recurrent, weights: dict[str, Array], ids: Ids, begins: Sequence[Ids], which: slice, Y: Ids,
    last: dict[str, Ids],
) -> None:  # fmt: skip
    """Over the positions of each frame, beginning anew in each."""
    if any((each != constant(0.0)).any() for each in begins):
        raise call.refuse("runs over positions within a frame, and does not begin from zeros there")
    length, _, batch, hidden = Y.shape
    count = len(layer.directions)
    made = call.per_vector(ids, length * count * hidden, Within(length, layer), weights)
    Y[:, which] = np.moveaxis(made.reshape(batch, length, count, hidden), 0, 2)
    for d, direction in enumerate(layer.directions):
        last["h"][which.start + d] = Y[0 if direction == "backward" else length - 1, which.start + d]
        if "c" in last:
            last["c"][which.start + d] = element(_nowhere(call), 0, np.arange(hidden))


def _alike(call: Call, X: Ids, layer: Recurrent, begins: Sequence[Ids]) -> bool:
    """Whether all sequences of a batch run forward over the same frames, and begin from zeros."""
    rows = along(X.reshape(len(X), -1), 0, call.terms)
    if layer.directions != ("forward",) or (len(X) > 1 and (rows is None or rows.stride < 1)):
        return False
    for number in np.unique(np.concatenate([term_of(each[each >= 0]) for each in begins])):
        operation = call.terms[int(number)].operation
        if not isinstance(operation, State) or np.any(operation.initial):
            return False
    return all((each[each < 0] == constant(0.0)).all() for each in begins)


def _at_each(
    call: Call, layer: Recurrent, weights: dict[str, Array], X: Ids, begins: Sequence[Ids], d: int, Y: Ids,
    last: dict[str, Ids],
) -> None:  # fmt: skip
    """Sequences side by side: the positions of a frame, each with a state of its own."""
    length, _, batch, hidden = Y.shape
    start = {state: each[:, d].reshape(-1) for state, each in zip(last, begins, strict=True)}
    made, frames = _over_time(call, X.reshape(length, -1), Each(batch, layer), weights, (start,))
    Y[:, d] = made.at(frames).reshape(length, batch, hidden)
    last["h"][d] = Y[-1, d]
    if "c" in last:
        cell = call.terms.add(CellState(made.number), made.views, batch * hidden, made.frames, call.name)
        last["c"][d] = cell.at(frames[-1]).reshape(batch, hidden)


def _nowhere(call: Call) -> int:
    """A cell state that is not kept."""
    return call.terms.add(CellState(-1), (), 1 << 16, 1, call.name).number


def _over_time(
    call: Call, X: Ids, layer: Recurrent | Each, weights: dict[str, Array], begins: tuple[dict[str, Ids], ...]
) -> tuple[Term, Ids]:
    """The term of a recurrence over ``X`` [sequence, inputs], and the frame of it that each row is."""
    rows, steps = along(X, 0, call.terms), np.arange(len(X))
    if rows is None:
        if len(X) != 1:
            raise call.unclear("reads a sequence that is not one of frames in their order")
        seen = frames_in(X)
        if len(seen) > 1:
            raise call.unclear("reads values of several frames at once, without a time axis")
        frames = np.full(1, seen[0] if len(seen) else 0)
        view = View(shifted(X[0], -frames[0]))
        count = call.frames([X[0]])
    elif isinstance(layer, Recurrent) and rows.stride == -1 and len(frames_in(rows.ids)) == 1:
        frames = len(X) - 1 - steps
        view = View(shifted(rows.ids, 1 - len(X)))
        count = len(X)
        turned: dict[Direction, Direction] = {"forward": "backward", "backward": "forward"}
        if layer.direction == "bidirectional":
            raise call.refuse("runs in both directions over a sequence that is read from its end")
        layer = dataclasses.replace(layer, direction=turned[layer.direction])
        weights = {f"{layer.direction}.{name.partition('.')[2]}": each for name, each in weights.items()}
    elif rows.stride > 0:
        frames, count = steps, len(X)
        plain = rows.stride == 1 and count == call.frames([rows.ids]) and not frame_of(rows.ids[rows.ids >= 0]).any()
        view = View(rows.ids) if plain else View(rows.ids, rows.stride, rows.length, True)
    else:
        raise call.unclear("reads a sequence that is not one of frames in their order")
    operation = Recurrence(layer, weights, begins)
    if isinstance(layer, Each):
        size = sum(len(each) for each in begins[0].values()) // len(begins[0])
    else:
        size = layer.width * len(layer.directions)
    return call.terms.add(operation, [view], size, count, call.name), frames


def _initial(call: Call, number: int, shape: tuple[int, int, int], batch_first: bool) -> Ids:
    """Elements [batch, directions, hidden] of what states begin from."""
    batch, count, hidden = shape
    given = call.optional(number)
    if given is None:
        return np.full(shape, constant(0.0))
    ids = elements(given)
    wanted = shape if batch_first else (count, batch, hidden)
    if ids.shape != wanted:
        raise call.refuse(f"begins from states of sizes {list(ids.shape)}, and {list(wanted)} are needed")
    return ids if batch_first else np.swapaxes(ids, 0, 1)


def _weights(kind: Kind, layer: Recurrent, weights: Sequence[Weights]) -> dict[str, Array]:
    """A layer's own, of its directions."""
    found: dict[str, Array] = {}
    for way, each in zip(layer.directions, weights, strict=True):
        rows = kind.gates * layer.hidden
        Wb, Rb = np.zeros((2, rows), np.float32) if each.B is None else np.split(each.B, 2)
        found |= {f"{way}.W": each.W, f"{way}.R": each.R, f"{way}.Wb": Wb, f"{way}.Rb": Rb}
        if getattr(layer, "peepholes", False):
            found[f"{way}.P"] = np.zeros(3 * layer.hidden, np.float32) if each.P is None else each.P
    return found


def _given(call: Call, kind: Kind) -> Sequence[Weights]:
    """Those of a node in float32."""
    W, R = call.constant(1, "W"), call.constant(2, "R")
    if W.ndim != 3 or R.ndim != 3 or len(W) != len(R):
        raise call.refuse(f"has weights of sizes {list(W.shape)} and {list(R.shape)}")

    def more(number: int, what: str) -> Sequence[Any]:
        return [None] * len(W) if call.optional(number) is None else list(call.constant(number, what))

    return [Weights(*each) for each in zip(W, R, more(3, "B"), more(7, "P"), strict=True)]


def _of(kind: Kind) -> Convert:
    return lambda call: recurrent(call, kind, _given(call, kind))


RECURRENT: dict[str, Convert] = {"RNN": _of(RNN), "GRU": _of(GRU), "LSTM": _of(LSTM)}
