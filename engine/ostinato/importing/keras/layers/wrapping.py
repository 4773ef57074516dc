"""A layer for each frame by itself: over its values, or along its positions."""

from __future__ import annotations

from dataclasses import replace

from ostinato.importing.keras.layers import (
    activation,
    convolution,
    dense,
    merging,
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
    **{kind: convert for kind, convert in reshaping.CONVERTERS.items() if kind in ("Reshape", "Flatten")},
    **merging.CONVERTERS,
    **passing.CONVERTERS,
}
"""What works on a frame's values alone."""
_ALONG = {
    **_EACH, "ZeroPadding1D": reshaping.CONVERTERS["ZeroPadding1D"], **convolution.CONVERTERS, **pooling.CONVERTERS,
    **recurrent.CONVERTERS,
}  # fmt: skip
"""What is read besides where a frame has positions."""


def distributed(place: Place) -> Value:
    """The wrapper's only input as what it wraps sees it: without time, or with positions in its place."""
    value = place.one()
    if not value.frames:
        raise place.refusal("works on each frame, and what is below it has no axis of time")
    return value if value.positions else replace(value, time="none")


def in_frame(place: Place) -> Value:
    """What a layer makes that is wrapped, or one of a model that is."""
    positions = place.inputs[0].positions
    known = _ALONG if positions else _EACH
    if place.kind not in known:
        where = f"frames of {positions} positions" if positions else "frames without positions"
        raise place.refusal(f"works within each frame, over {where}: {', '.join(known)} are read there")
    made = known[place.kind](replace(place, along=True))
    return replace(made, time="all" if made.positions else "none")


def _each_frame(place: Place) -> Value:
    inner = place.within(place.setting("layer"), "layer", place.arrays, [distributed(place)])
    return replace(in_frame(inner), time="all")


CONVERTERS: dict[str, Converter] = {"TimeDistributed": _each_frame}
