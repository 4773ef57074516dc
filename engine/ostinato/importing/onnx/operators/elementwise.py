"""Operators on values one by one, alone or in pairs: wherever they stand, so that no order has to be understood."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ostinato.importing.onnx.call import Call, Convert
from ostinato.importing.onnx.elements import (
    FRAME,
    Array,
    Ids,
    Tensor,
    Traced,
    constant,
    element,
    elements,
    frame_of,
    index_of,
    shifted,
    term_of,
    value,
)  # fmt: skip
from ostinato.importing.onnx.rows import along, time_axis
from ostinato.importing.onnx.terms import Applied, View
from ostinato.importing.onnx.unstacking import unstacked
from ostinato.model.activation import Activation
from ostinato.model.layers import Activate, Add, Layer, Multiply, PRelu, Scale, Slice

_MOST_OFFSETS = 16
"""Between the frames of two values that are joined."""
Numbers = Callable[..., Any]
"""What an operator makes of constants, in float64."""


def _by_term(call: Call, ids: Ids, make: Callable[[Ids], tuple[Layer, dict[str, Array]]], keys: Ids | None) -> Ids:
    """New elements in the place of ``ids`` (all traced, [n]): of a layer above each term, which reads each distinct
    pair of a value and its key once. ``make(keys)``: the layer, and its weights for these."""
    out = np.empty_like(ids)
    for number in np.unique(term_of(ids)):
        here = term_of(ids) == number
        if keys is None and 2 * len(np.unique(index_of(ids[here]))) > (size := call.terms[int(number)].size):
            distinct, column = np.stack([np.arange(size)] * 2, axis=1), index_of(ids[here])  # others find it too
        else:
            pairs = np.stack([index_of(ids[here]), np.zeros(here.sum(), int) if keys is None else keys[here]], axis=1)
            distinct, column = np.unique(pairs, axis=0, return_inverse=True)
        layer, weights = make(distinct[:, 1])
        reads = element(number, 0, distinct[:, 0])
        made = call.apply(layer, [reads], len(distinct), weights)
        out[here] = element(made.number, frame_of(ids[here]), column.reshape(-1))
    return out


def activated(call: Call, ids: Ids, activation: Activation, numbers: Numbers) -> Ids:
    """An activation, value by value; of constants what ``numbers`` makes of them."""
    out, traced = np.empty_like(ids), ids >= 0
    with np.errstate(all="ignore"):
        out[~traced] = constant(numbers(value(ids[~traced]).astype(np.float64)))
    out[traced] = _by_term(call, ids[traced], lambda _: (Activate(activation), {}), None)
    return out


def scaled(call: Call, ids: Ids, a: Array, b: Array) -> Ids:
    """A x + b with constants ``a`` and ``b`` of the same shape, each value its own."""
    out, traced = np.empty_like(ids), ids >= 0
    out[~traced] = constant(a[~traced].astype(np.float64) * value(ids[~traced]) + b[~traced])
    same, nothing = traced & (a == 1) & (b == 0), traced & (a == 0)
    for number in np.unique(term_of(ids[traced & ~same & ~nothing])):
        here = traced & (term_of(ids) == number)
        if 2 * (same & here).sum() < here.sum():  # few that stay as they are among others: one term, not two
            same &= ~here
    out[same], out[nothing] = ids[same], constant(b[nothing])
    left = traced & ~same & ~nothing
    table, keys = np.unique(np.stack([a[left], b[left]], axis=1), axis=0, return_inverse=True)
    keys = keys.reshape(-1)
    count = len(np.unique(np.stack([ids[left] & (FRAME - 1) | (term_of(ids[left]) << 24), keys]), axis=1).T)
    if count > 64 * max(1, len(np.unique(ids[left] & (FRAME - 1) | (term_of(ids[left]) << 24)))):
        raise call.unclear(
            "has constants that differ from frame to frame: what depends on a frame's number cannot be"
        )

    def make(key: Ids) -> tuple[Layer, dict[str, Array]]:
        return Scale(), {"a": table[key, 0].astype(np.float32), "b": table[key, 1].astype(np.float32)}

    out[left] = _by_term(call, ids[left], make, keys)
    return out


def joined(call: Call, left: Ids, right: Ids, layer: Layer) -> Ids:
    """A layer of two inputs, on pairs of elements of the same shape, all traced or rows of one time axis."""
    both = (left >= 0) & (right >= 0)
    if both.all() and len(np.unique(frame_of(left) - frame_of(right))) > _MOST_OFFSETS:
        left, right = _counted(call, left), _counted(call, right)  # one of them leaves frames out
    if both.all():
        later = np.maximum(frame_of(left), frame_of(right))
        pairs = np.stack([shifted(left, -later).reshape(-1), shifted(right, -later).reshape(-1)], axis=1)
        sides = [0, 1] if _leads(pairs[:, 0], pairs[:, 1]) else [1, 0]
        distinct, number = np.unique(pairs[:, sides], axis=0, return_inverse=True)
        distinct = distinct[:, sides]
        term = call.apply(layer, [distinct[:, 0], distinct[:, 1]], len(distinct))
        return element(term.number, later, number.reshape(left.shape))
    stacked = np.stack([left, right], axis=-1)
    found = time_axis(stacked, call.terms)
    rows = None if found is None else along(*found, call.terms)
    if found is None or rows is None or found[0].ndim != stacked.ndim or rows.stride < 0:
        raise call.unclear("joins values of different frames in a way that cannot be followed")
    pair = rows.ids.reshape(-1, 2)
    views = [View(pair[:, side], rows.stride, rows.length, True) for side in (0, 1)]
    term = call.terms.add(Applied(layer), views, len(pair), rows.length, call.name)
    return np.moveaxis(term.at(np.arange(rows.length)).reshape(rows.length, *rows.rest[:-1]), 0, found[1])


def _leads(one: Ids, other: Ids) -> bool:
    """Whether two values that are joined go in the order of the first: of that which has more different values, else
    of that whose values are of fewer terms."""
    counts = [(-len(np.unique(each)), len(np.unique(term_of(each)))) for each in (one, other)]
    return counts[0] <= counts[1]


def _counted(call: Call, ids: Ids) -> Ids:
    """Values of frames between which others are left out, or of parts of frames, by a term that counts those that
    are there."""
    ids = unstacked(ids, call.terms, call.name)
    found = time_axis(ids, call.terms)
    rows = None if found is None else along(*found, call.terms)
    if found is None or rows is None or rows.stride < 2:
        return ids
    view = View(rows.ids, rows.stride, rows.length, True)
    term = call.terms.add(Applied(Slice(0, view.size)), [view], view.size, rows.length, call.name)
    made = np.moveaxis(term.at(np.arange(rows.length)).reshape(rows.length, *rows.rest), 0, found[1])
    return made.reshape(ids.shape)


def _pairs(left: Tensor, right: Tensor) -> tuple[Ids, Ids]:
    """Their elements, broadcast against each other."""
    a, b = np.broadcast_arrays(elements(left), elements(right))
    return a.copy(), b.copy()


def _float64(ids: Ids) -> Array:
    return value(ids).astype(np.float64)


def add(call: Call, left: Ids, right: Ids, sign: float = 1.0) -> Ids:
    """Left + sign * right."""
    if sign != 1.0:
        right = scaled(call, right, np.full(right.shape, sign), np.zeros(right.shape))
    return _either(call, left, right, Add(), lambda ids, c: scaled(call, ids, np.ones(ids.shape), c))


def multiply(call: Call, left: Ids, right: Ids) -> Ids:
    """Left * right."""
    return _either(call, left, right, Multiply(), lambda ids, c: scaled(call, ids, c, np.zeros(ids.shape)))


def _either(call: Call, left: Ids, right: Ids, layer: Layer, known: Callable[[Ids, Array], Ids]) -> Ids:
    """A joining layer; ``known`` where one side is constant."""
    fixed_left, fixed_right = left < 0, right < 0
    both = ~fixed_left & ~fixed_right
    if both.any() and not both.all() and not _one_sided(both, fixed_left | fixed_right, left, right):
        return joined(call, left, right, layer)
    out = np.empty_like(left)
    if fixed_right.any():
        out[fixed_right] = known(left[fixed_right], _float64(right[fixed_right]))
    some = fixed_left & ~fixed_right
    if some.any():
        out[some] = known(right[some], _float64(left[some]))
    if both.any():
        out[both] = joined(call, left[both], right[both], layer)
    return out


def _one_sided(both: Array, mixed: Array, left: Ids, right: Ids) -> bool:
    """Whether pairs of two values and pairs with a constant are of different values of each frame, so that they can
    be parted: no value of a pair stands in a pair with a constant at another frame."""

    def names(where: Array) -> set[int]:
        ids = np.concatenate([left[where], right[where]])
        ids = ids[ids >= 0]
        return set((ids - frame_of(ids) * FRAME).tolist())

    return not names(both) & names(mixed)


def _power(call: Call) -> Sequence[Tensor]:
    """By a constant that is the same everywhere."""
    exponent = call.constant(1, "the exponent")
    powers = np.unique(exponent)
    ids, _ = _pairs(call.input(0), exponent.astype(np.float32))
    if len(powers) == 1:
        if powers[0] == 1:
            return [Traced(ids)]
        if powers[0] == 3:
            return [Traced(multiply(call, ids, activated(call, ids, Activation("square"), np.square)))]
        named = {2.0: ("square", np.square), 0.5: ("sqrt", np.sqrt), -1.0: ("reciprocal", np.reciprocal)}
        if float(powers[0]) in named:
            name, numbers = named[float(powers[0])]
            return [Traced(activated(call, ids, Activation(name), numbers))]
        if float(powers[0]) == -0.5:
            roots = activated(call, ids, Activation("sqrt"), np.sqrt)
            return [Traced(activated(call, roots, Activation("reciprocal"), np.reciprocal))]
    raise call.refuse("takes a power other than 2, 3, 1, 0.5, -0.5 or -1: write it with Exp and Log")


def _divide(call: Call) -> Sequence[Tensor]:
    left, right = _pairs(call.input(0), call.input(1))
    under = activated(call, right, Activation("reciprocal"), lambda x: 1 / x)
    return [Traced(multiply(call, left, under))]


def greater(call: Call, left: Ids, right: Ids) -> Ids:
    """The greater of two, value by value."""
    return _extreme(call, left, right, 1.0)


def _extreme(call: Call, left: Ids, right: Ids, sign: float) -> Ids:
    """The greater of two (sign 1) or the less: clipped by a constant, else a + relu(b - a)."""
    for one, other in ((left, right), (right, left)):
        bounds = np.unique(other)
        if len(bounds) == 1 and bounds[0] < 0:
            return _clipped(call, one, *_bounds(float(value(bounds)[0]), sign))
    more = add(call, right, left, -1.0) if sign > 0 else add(call, left, right, -1.0)
    more = activated(call, more, Activation("relu"), lambda x: np.maximum(x, 0))
    return add(call, left, more, sign)


def _bounds(bound: float, sign: float) -> tuple[float, float]:
    return (bound, math.inf) if sign > 0 else (-math.inf, bound)


def _clipped(call: Call, ids: Ids, low: float, high: float) -> Ids:
    if (low, high) == (0.0, math.inf):
        return activated(call, ids, Activation("relu"), lambda x: np.maximum(x, 0))
    return activated(call, ids, Activation("clip", _finite(low), _finite(high)), lambda x: np.clip(x, low, high))


def _finite(bound: float) -> float | None:
    """No bound is none: model files hold finite numbers."""
    return None if math.isinf(bound) or abs(bound) >= float(np.finfo(np.float32).max) else bound


def _clip(call: Call) -> Sequence[Tensor]:
    def bound(number: int, name: str, default: float) -> float:
        if call.opset < 11:
            return float(call.attributes.get(name, default))
        given = call.optional(number)
        return default if given is None else float(np.asarray(call.constant(number, name)).reshape(-1)[0])

    return [Traced(_clipped(call, call.traced(0), bound(1, "min", -math.inf), bound(2, "max", math.inf)))]


def _prelu(call: Call) -> Sequence[Tensor]:
    """With a slope for each value."""
    slope = call.constant(1, "the slope")
    ids, by = _pairs(call.input(0), slope)
    if (ids < 0).any():
        raise call.refuse("has constants among its values")
    table, keys = np.unique(value(by), return_inverse=True)

    def make(key: Ids) -> tuple[Layer, dict[str, Array]]:
        return PRelu(), {"slope": table[key].astype(np.float32)}

    made = _by_term(call, ids.reshape(-1), make, keys.reshape(-1))
    return [Traced(made.reshape(ids.shape))]


def _two(made: Callable[[Call, Ids, Ids], Ids]) -> Convert:
    """Of two inputs, or of several, one after the other."""

    def convert(call: Call) -> Sequence[Tensor]:
        result = call.input(0)
        token = any(isinstance(each, Traced) and each.token for each in call.inputs)
        for number in range(1, len(call.inputs)):
            result = Traced(made(call, *_pairs(result, call.input(number))), token)
        return [result]

    return convert


def _mean(call: Call) -> Sequence[Tensor]:
    (made,) = _two(add)(call)
    ids = made.ids if isinstance(made, Traced) else constant(made)
    return [Traced(scaled(call, ids, np.full(ids.shape, 1 / len(call.inputs)), np.zeros(ids.shape)))]


def _unary(activation: Callable[[Call], Activation]) -> Convert:
    """An activation with the node's own alpha and beta; constants go through the operator itself."""

    def convert(call: Call) -> Sequence[Tensor]:
        def numbers(x: Array) -> Array:
            return call.run([x.astype(np.float32)])[0] if x.size else x

        return [Traced(activated(call, call.traced(0), activation(call), numbers))]

    return convert


def _named(name: str, *, alpha: float | None = None, beta: float | None = None, more: Sequence[str] = ()) -> Convert:
    """``alpha`` and ``beta``: where they are none of ours; ``more``: the attributes that give them."""

    def made(call: Call) -> Activation:
        given = [call.attributes.get(attribute) for attribute in more]
        a, b = (*given, None, None)[:2]
        return Activation(name, alpha if a is None else float(a), beta if b is None else float(b))

    return _unary(made)


def _gelu(call: Call) -> Activation:
    return Activation("gelu-tanh" if call.attributes.get("approximate", "none") == "tanh" else "gelu")


ELEMENTWISE: dict[str, Convert] = {
    "Relu": _named("relu"),
    "Tanh": _named("tanh"),
    "Sigmoid": _named("sigmoid"),
    "LeakyRelu": _named("leaky-relu", more=("alpha",)),
    "ThresholdedRelu": _named("thresholded-relu", more=("alpha",)),
    "HardSigmoid": _named("hard-sigmoid", more=("alpha", "beta")),
    "Elu": _named("elu", more=("alpha",)),
    "Selu": _named("selu", more=("alpha", "gamma")),
    "Celu": _named("celu", more=("alpha",)),
    "Softsign": _named("softsign"),
    "Softplus": _named("softplus"),
    "Abs": _named("abs"),
    "Neg": _named("affine", alpha=-1.0),
    "Sqrt": _named("sqrt"),
    "Reciprocal": _named("reciprocal"),
    "Exp": _named("exp"),
    "Log": _named("log"),
    "Erf": _named("erf"),
    "HardSwish": _named("hard-swish"),
    "Swish": _named("silu", more=("alpha",)),
    "Gelu": _unary(_gelu),
    "Clip": _clip,
    "PRelu": _prelu,
    "Add": _two(add),
    "Sum": _two(add),
    "Sub": _two(lambda call, left, right: add(call, left, right, -1.0)),
    "Mul": _two(multiply),
    "Div": _divide,
    "Max": _two(greater),
    "Min": _two(lambda call, left, right: _extreme(call, left, right, -1.0)),
    "Mean": _mean,
    "Pow": _power,
}
