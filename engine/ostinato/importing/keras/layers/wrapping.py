"""A layer for each frame by itself."""

from __future__ import annotations

from dataclasses import replace

from ostinato.importing.keras.layers import activation, dense, normalization, passing
from ostinato.importing.keras.place import Converter, Place, Value

_EACH = {
    **{kind: convert for kind, convert in dense.CONVERTERS.items() if kind == "Dense"},
    **{kind: convert for kind, convert in activation.CONVERTERS.items() if kind != "PReLU"},
    **{kind: convert for kind, convert in normalization.CONVERTERS.items() if "Batch" in kind or "Layer" in kind},
    **passing.CONVERTERS,
}
"""What works on a frame's values alone, and so is the same with and without the wrapper."""


def _each_frame(place: Place) -> Value:
    value = place.over_time()
    frame = replace(value, time="none")
    inner = place.within(place.setting("layer"), "layer", place.arrays, [frame])
    if inner.kind not in _EACH:
        raise place.refusal(
            f"wraps {inner.kind!r}, which works along the values of a frame: {', '.join(_EACH)} are read here"
        )
    return replace(_EACH[inner.kind](inner), time="all")


CONVERTERS: dict[str, Converter] = {"TimeDistributed": _each_frame}
