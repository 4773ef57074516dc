"""A layer for each frame by itself: over its values, or along its positions."""

from __future__ import annotations

from dataclasses import replace

from ostinato.importing.keras.layers import (
    activation,
    convolution,
    dense,
    normalization,
    passing,
    pooling,
    recurrent,
    reshaping,
)
from ostinato.importing.keras.place import Converter, Place, Value

_EACH = {
    **{kind: convert for kind, convert in dense.CONVERTERS.items() if kind == "Dense"},
    **{kind: convert for kind, convert in activation.CONVERTERS.items() if kind != "PReLU"},
    **{kind: convert for kind, convert in normalization.CONVERTERS.items() if "Batch" in kind or "Layer" in kind},
    **passing.CONVERTERS,
}
"""What works on a frame's values alone, and so is the same with and without the wrapper."""
_SHAPES = {kind: convert for kind, convert in reshaping.CONVERTERS.items() if kind in ("Reshape", "Flatten")}
_ALONG = {
    **_EACH, **_SHAPES, "ZeroPadding1D": reshaping.CONVERTERS["ZeroPadding1D"], **convolution.CONVERTERS,
    **pooling.CONVERTERS, **recurrent.CONVERTERS,
}  # fmt: skip
"""What is read besides where a frame has positions."""


def _each_frame(place: Place) -> Value:
    value = place.one()
    if not value.frames:
        raise place.refusal("works on each frame, and what is below it has no axis of time")
    known = _ALONG if value.positions else _EACH | _SHAPES
    frame = value if value.positions else replace(value, time="none")
    inner = replace(place.within(place.setting("layer"), "layer", place.arrays, [frame]), along=value.positions > 0)
    if inner.kind not in known:
        where = f"frames of {value.positions} positions" if value.positions else "frames without positions"
        raise place.refusal(f"wraps {inner.kind!r} over {where}: {', '.join(known)} are read there")
    made = known[inner.kind](inner)
    return replace(made, time="all")


CONVERTERS: dict[str, Converter] = {"TimeDistributed": _each_frame}
