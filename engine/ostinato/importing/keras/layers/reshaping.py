"""Layers of layout: those that leave frames frames; zeros at an utterance's ends."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

from ostinato.importing.keras.place import Converter, Place, Value
from ostinato.model.layers import Slice


def _reshaped(place: Place) -> Value:
    """Frames stay frames; a frame's values may become positions, and positions values."""
    value, size = place.one(), place.inputs_size * max(1, place.inputs[0].positions)
    shape = place.setting("target_shape", [])
    if isinstance(shape, list) and all(type(each) is int for each in shape):
        inner = shape[1:] if value.frames and not place.along and shape[:1] == [-1] else shape
        if -1 in inner and (others := math.prod(each for each in inner if each != -1)):
            inner = [size // others if each == -1 else each for each in inner]
        whole = math.prod(inner) == size and min(inner, default=0) > 0
        if whole and (len(inner) < len(shape) or place.along or not value.frames):
            if len(inner) == 1:
                return replace(value, positions=0)
            if len(inner) == 2 and (value.time == "all" or place.along):
                return replace(value, positions=inner[0])
        if len(shape) == 1 + value.frames and shape[-1] == size and not place.along:
            return value
    raise place.refusal(f"makes {shape} of frames of {size} values: only what leaves frames frames is read here")


def _flattened(place: Place) -> Value:
    value = place.one()
    if value.frames and not place.along:
        raise place.refusal("puts all frames of one length of utterance side by side: take a convolution over them")
    return replace(value, positions=0)


def _permuted(place: Place) -> Value:
    value, dims = place.over_time() if place.one().frames else place.one(), place.setting("dims")
    if dims != list(range(1, 2 + value.frames)):
        raise place.refusal(f"exchanges time and values ({dims}): only what leaves frames frames is read here")
    return value


def _padded(place: Place) -> Value:
    """Zeros before and behind, for the convolution above."""
    value, amount = place.over_time(), place.setting("padding", 1)
    left, right = (amount, amount) if isinstance(amount, int) else (*amount, 0, 0)[:2]
    if not all(type(each) is int and each >= 0 for each in (left, right)):
        raise place.refusal(f"has padding {amount!r}")
    return replace(value, padding=(left, right))


def _picked(place: Place) -> Value:
    """``x[:, -1]``: the last frame. ``x[:, :, a:b]``: some of a frame's values."""
    value = place.usable(place.inputs[0])
    axes = 2 + value.frames
    parts = [_part(place, each) for each in place.constants]
    if "…" in parts:
        at = parts.index("…")
        parts[at : at + 1] = [_ALL] * (axes - len(parts) + 1)
    parts += [_ALL] * (axes - len(parts))
    wrong = len(parts) != axes or len(place.inputs) != 1 or value.positions or "…" in parts or parts[0] != _ALL
    time, values = (parts[1], parts[2]) if value.frames and not wrong else (_ALL, parts[-1])
    if wrong or not isinstance(values, slice) or values.step not in (None, 1) or time not in (_ALL, -1):
        raise place.refusal("takes a part of a tensor other than the last frame, x[:, -1], or values, x[:, :, a:b]")
    if values != _ALL:
        first, end, _ = values.indices(place.inputs_size)
        if end <= first:
            raise place.refusal("takes none of a frame's values")
        value = replace(value, node=place.add(Slice(first, end - first), [value.node]))
    if time == -1:
        place.tell(f"last frame of {place.name}", "an utterance's last frame gives what Keras does")
        value = replace(value, time="last")
    return value


_ALL = slice(None)


def _part(place: Place, raw: Any) -> Any:
    """One of what stands between brackets, as Keras writes it: a number, a slice, or "…"."""
    config = raw.get("config") if isinstance(raw, dict) else None
    if isinstance(raw, dict) and raw.get("class_name") == "__ellipsis__":
        return "…"
    if isinstance(config, dict) and raw.get("class_name") == "__slice__":
        ends = [config.get(key) for key in ("start", "stop", "step")]
        if all(each is None or type(each) is int for each in ends):
            return slice(*ends)
    if type(raw) is int:
        return raw
    raise place.refusal(f"takes a part of a tensor by {str(raw)[:40]}, which is not read here")


CONVERTERS: dict[str, Converter] = {
    "Reshape": _reshaped,
    "Flatten": _flattened,
    "Permute": _permuted,
    "ZeroPadding1D": _padded,
    "GetItem": _picked,
}
