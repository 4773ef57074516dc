"""Keras's activation functions by name, for all layers that have one."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from ostinato.importing.keras.place import Place, Value
from ostinato.model.activation import IDENTITY, Activation
from ostinato.model.layers import Activate, Softmax

FUNCTIONS = {
    "linear": IDENTITY,
    "relu": Activation("relu"),
    "relu6": Activation("clip", 0.0, 6.0),
    "tanh": Activation("tanh"),
    "hard_tanh": Activation("clip", -1.0, 1.0),
    "sigmoid": Activation("sigmoid"),
    "elu": Activation("elu"),
    "celu": Activation("celu"),
    "selu": Activation("selu"),
    "gelu": Activation("gelu"),
    "softplus": Activation("softplus"),
    "softsign": Activation("softsign"),
    "exponential": Activation("exp"),
    "silu": Activation("silu"),
    "swish": Activation("silu"),
    "hard_silu": Activation("hard-swish"),
    "hard_swish": Activation("hard-swish"),
    "leaky_relu": Activation("leaky-relu", 0.2),
}


def activation(place: Place, name: str = "activation", default: str = "linear") -> Activation:
    """A setting of that name. Raises ForeignModelError for one that is none of ours; softmax is a layer here."""
    raw = _function(place.setting(name, default))
    if raw == "hard_sigmoid":
        slope, formula = (1 / 6, "x / 6") if place.making.major >= 3 else (0.2, "0.2 x")
        place.tell("hard_sigmoid", f"{formula} + 0.5 within [0, 1], as Keras {place.making.version or 2} has it")
        return Activation("hard-sigmoid", slope, 0.5)
    if not isinstance(raw, str) or raw not in FUNCTIONS:
        shown = raw if isinstance(raw, str) else str(raw)[:60]
        known = ", ".join((*FUNCTIONS, "hard_sigmoid", "softmax"))
        raise place.refusal(f"has {name} {shown!r}: read here are {known}")
    return FUNCTIONS[raw]


def is_softmax(place: Place) -> bool:
    """Whether the layer ends in a softmax."""
    return bool(_function(place.setting("activation", "linear")) == "softmax")


def softened(place: Place, value: Value) -> Value:
    """A softmax behind what was made."""
    return replace(value, node=replace(place, inputs=[value]).add(Softmax(), [value.node], suffix="softmax"))


def activated(place: Place, value: Value) -> Value:
    """The layer's activation behind what was made, as nodes of their own."""
    if is_softmax(place):
        return softened(place, value)
    if (function := activation(place)) == IDENTITY:
        return value
    place = replace(place, inputs=[value])
    return replace(value, node=place.add(Activate(function), [value.node], suffix="activation"))


def _function(raw: Any) -> Any:
    """Its name, also of a function that is written as an object."""
    if isinstance(raw, dict) and raw.get("class_name") == "function" and raw.get("module") != "builtins":
        return raw.get("config")
    return raw
