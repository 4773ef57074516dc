"""Layers of several inputs, value by value or side by side; also Keras 3's operations of the same names."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ostinato.importing.keras.place import Converter, Place, Value
from ostinato.model.activation import Activation
from ostinato.model.layers import Activate, Add, Concatenate, Layer, Mean, Multiply, Scale


def _inputs(place: Place) -> Value:
    """The first, if all are alike: all frames, or the last ones."""
    place.shaped()
    first, *others = place.inputs
    if place.constants or not others:
        raise place.refusal("is called with one tensor and nothing, or more than a number, beside it")
    if any(replace(each, node=first.node) != first for each in others):
        raise place.refusal("joins all frames with the last one, or with others: that depends on the utterance's end")
    return place.usable(first)


def _number(place: Place) -> float | None:
    """The number that stands beside the only tensor, if so it is."""
    if len(place.inputs) != 1 or len(place.constants) != 1 or type(place.constants[0]) not in (int, float):
        return None
    number = float(place.constants[0])
    if not np.isfinite(number):
        raise place.refusal(f"is called with {number}")
    return number


def _scaled(place: Place, factor: float, offset: float) -> Value:
    """``factor`` times the only tensor, and ``offset``."""
    place.shaped()
    value = place.usable(place.inputs[0])
    size = place.inputs_size
    weights = {"a": np.full(size, factor, np.float32), "b": np.full(size, offset, np.float32)}
    return replace(value, node=place.add(Scale(), [value.node], weights))


def _joined(layer: type[Layer]) -> Converter:
    def convert(place: Place) -> Value:
        if (number := _number(place)) is not None and place.kind in ("Add", "Multiply"):
            return _scaled(place, *((1, number) if place.kind == "Add" else (number, 0)))
        value = _inputs(place)
        return replace(value, node=place.add(layer(), [each.node for each in place.inputs]))

    return convert


def _concatenated(place: Place) -> Value:
    value, axis = _inputs(place), place.setting("axis", -1)
    if axis not in (-1, place.last_axis(value)):
        raise place.refusal(f"joins along axis {axis}: only along the last, a frame's values, is read here")
    return replace(value, node=place.add(Concatenate(), [each.node for each in place.inputs]))


def _negative(place: Place, node: str) -> str:
    size = place.making.builder.wires[node].size // max(1, place.inputs[0].positions)
    minus = {"a": np.full(size, -1, np.float32), "b": np.zeros(size, np.float32)}
    return place.add(Scale(), [node], minus, "negative")


def _two(place: Place) -> tuple[Value, str, str]:
    value = _inputs(place)
    if len(place.inputs) != 2:
        raise place.refusal(f"has {len(place.inputs)} inputs, and two are read here")
    return value, place.inputs[0].node, place.inputs[1].node


def _divided(place: Place) -> Value:
    """By a number."""
    number = _number(place)
    if not number or place.leads:
        raise place.refusal("divides by what is no number other than 0: that is not read here")
    return _scaled(place, 1 / number, 0)


def _negated(place: Place) -> Value:
    return _scaled(place, -1, 0)


def _subtracted(place: Place) -> Value:
    if (number := _number(place)) is not None:
        return _scaled(place, *((-1, number) if place.leads else (1, -number)))
    value, a, b = _two(place)
    return replace(value, node=place.add(Add(), [a, _negative(place, b)]))


def _extreme(place: Place) -> Value:
    """Max(a, b) = b + relu(a - b), min(a, b) = a - relu(a - b)."""
    value, a, b = _two(place)
    above = place.add(Add(), [a, _negative(place, b)], suffix="difference")
    above = place.add(Activate(Activation("relu")), [above], suffix="relu")
    if place.kind == "Maximum":
        return replace(value, node=place.add(Add(), [b, above]))
    return replace(value, node=place.add(Add(), [a, _negative(place, above)]))


CONVERTERS: dict[str, Converter] = {
    "Add": _joined(Add),
    "Multiply": _joined(Multiply),
    "Average": _joined(Mean),
    "Subtract": _subtracted,
    "TrueDivide": _divided,
    "Divide": _divided,
    "Negative": _negated,
    "Maximum": _extreme,
    "Minimum": _extreme,
    "Concatenate": _concatenated,
}
