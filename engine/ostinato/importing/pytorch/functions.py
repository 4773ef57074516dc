"""Activations of PyTorch, as functions and as modules, by their names and options."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ostinato.errors import ForeignModelError
from ostinato.model.activation import Activation

OPTIONS: dict[str, Mapping[str, Any]] = {
    "relu": {}, "tanh": {}, "sigmoid": {}, "silu": {}, "softsign": {}, "hardswish": {}, "hardsigmoid": {},
    "relu6": {}, "selu": {}, "abs": {}, "exp": {}, "log": {}, "sqrt": {}, "square": {}, "erf": {}, "neg": {},
    "leaky_relu": {"negative_slope": 0.01},
    "elu": {"alpha": 1.0},
    "celu": {"alpha": 1.0},
    "gelu": {"approximate": "none"},
    "softplus": {"beta": 1.0, "threshold": 20.0},
    "hardtanh": {"min_val": -1.0, "max_val": 1.0},
    "clamp": {"min": None, "max": None},
}  # fmt: skip
"""Their options besides the input, in order, with PyTorch's defaults."""
MODULES = {
    "ReLU": "relu", "Tanh": "tanh", "Sigmoid": "sigmoid", "SiLU": "silu", "Softsign": "softsign", "GELU": "gelu",
    "Hardswish": "hardswish", "Hardsigmoid": "hardsigmoid", "ReLU6": "relu6", "SELU": "selu",
    "LeakyReLU": "leaky_relu", "ELU": "elu", "CELU": "celu", "Softplus": "softplus", "Hardtanh": "hardtanh",
}  # fmt: skip
"""Which function a module is; its options are its attributes."""
_SAME = {"softsign", "relu", "tanh", "sigmoid", "silu", "selu", "abs", "exp", "log", "sqrt", "square", "erf"}


def activation(name: str, given: Mapping[str, Any], what: str) -> Activation:
    """The function of that name. Raises ForeignModelError, which begins with ``what``, for options that it has not
    here."""
    options = {**OPTIONS[name], **given}
    if name in _SAME:
        return Activation(name)
    match name:
        case "hardswish":
            return Activation("hard-swish")
        case "hardsigmoid":
            return Activation("hard-sigmoid", 1 / 6, 0.5)
        case "neg":
            return Activation("affine", -1.0, 0.0)
        case "relu6":
            return Activation("clip", 0.0, 6.0)
        case "leaky_relu":
            return Activation("leaky-relu", options["negative_slope"])
        case "elu" | "celu":
            return Activation(name, options["alpha"])
        case "gelu":
            return Activation("gelu" if options["approximate"] == "none" else "gelu-tanh")
        case "hardtanh":
            return Activation("clip", options["min_val"], options["max_val"])
        case "clamp":
            return Activation("clip", options["min"], options["max"])
        case "softplus" if options["beta"] == 1:
            return Activation("softplus")
    raise ForeignModelError(f"{what}: {name} with {dict(given)} is not there here")
