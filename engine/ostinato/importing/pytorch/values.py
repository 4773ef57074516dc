"""What the nodes of a traced module give, as PyTorch has it, and what is said of those that give something else."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ostinato.errors import ForeignModelError

CURE = "write settings for its state dictionary (docs/import.md), or export it as ONNX"
_WHOLE = "looks at the whole utterance at once, which a stream has only at its end: not read here"
_OVER_TIME = "is not read here; over time it would be known at the utterance's end only: take the last frame there"
_TWO_AXES = "works over two axes, which is not read here: export it as ONNX, of which it is"
REASONS = {
    **dict.fromkeys(
        (
            "MultiheadAttention", "Transformer", "TransformerEncoder", "TransformerEncoderLayer",
            "TransformerDecoder", "TransformerDecoderLayer", "scaled_dot_product_attention", "bmm",
        ),
        f"is attention, or made for it: it {_WHOLE}",
    ),
    **dict.fromkeys(
        ("GroupNorm", "InstanceNorm1d", "group_norm", "instance_norm"),
        "has statistics of all frames, which a stream has only at its end: LayerNorm's are of each frame",
    ),
    **dict.fromkeys(
        ("Conv2d", "Conv3d", "ConvTranspose2d", "BatchNorm2d", "MaxPool2d", "AvgPool2d", "AdaptiveAvgPool2d"),
        _TWO_AXES,
    ),
    **dict.fromkeys(
        ("AdaptiveAvgPool1d", "AdaptiveMaxPool1d", "mean", "max", "min", "sum", "amax", "amin", "cumsum", "flip"),
        _OVER_TIME,
    ),
}  # fmt: skip
"""Of modules and functions that are not read, why."""


def unread(what: str, name: str, thing: str) -> ForeignModelError:
    """The error for a ``thing``, such a module, that is called ``name`` and is not known."""
    return ForeignModelError(f"{what}: {REASONS.get(name) or f'{thing} is not read here: {CURE}'}")


class AxesError(ForeignModelError):
    """A module wants other axes than the input has led to."""


@dataclass(frozen=True)
class Value:
    """What a node of the network gives, as PyTorch has it. ``pad``: frames of zeros that it was padded with.
    ``last``: of the utterance's last frame alone; here each frame's, as if it were the last."""

    node: str
    axes: str
    pad: tuple[int, int] = (0, 0)
    last: bool = False


@dataclass(frozen=True)
class States:
    """The last states of a recurrence above ``node``, of the backward direction those of the first frame. ``whole``:
    both h and c, of an LSTM."""

    node: str
    whole: bool
    several: bool
    """Whether it has two directions."""


@dataclass(frozen=True)
class Told:
    """Sizes of a tensor, or where it lies: what zeros to begin from are made of, and what nothing else may use."""


@dataclass(frozen=True)
class Zeros:
    """Zeros, of whatever sizes."""


_KEPT = (
    "to",
    "requires_grad",
    "detach",
    "clone",
    "contiguous",
    "float",
    "cpu",
    "cuda",
    "type_as",
    "expand",
    "repeat",
)
_SIZED = ("getitem", "getattr", "mul", "add", "floordiv", "int", "size")


def beginning(name: str, args: tuple[Any, ...]) -> Told | Zeros | None:
    """What a function gives that only serves to make the zeros that a recurrence begins from; None for others."""
    value = args[0] if args else None
    if name == "size" and isinstance(value, Value):
        return Told()
    if name == "getattr" and isinstance(value, Value | Zeros) and args[1] in ("shape", "device", "dtype"):
        return Told()
    if name in _SIZED and any(isinstance(each, Told) for each in args):
        return Told()
    if name in ("zeros", "new_zeros", "zeros_like"):
        return Zeros()
    return value if isinstance(value, Zeros) and name in _KEPT else None


def is_zero(value: Any) -> bool:
    """Whether it is nothing, or zeros, as a recurrence begins from without being told."""
    if isinstance(value, tuple):
        return all(map(is_zero, value))
    return value is None or isinstance(value, Zeros) or (isinstance(value, np.ndarray) and not value.any())


def expanded(key: Any, axes: str) -> tuple[Any, ...]:
    """What stands in brackets, one for each axis."""
    keys = key if isinstance(key, tuple) else (key,)
    rest = (slice(None),) * (len(axes) - sum(each is not Ellipsis for each in keys))
    at = next((at for at, each in enumerate(keys) if each is Ellipsis), len(keys))
    return (*keys[:at], *rest, *keys[at + 1 :])
