"""Layers of layout: those that leave frames frames; zeros at an utterance's ends."""

from __future__ import annotations

import math
from dataclasses import replace

from ostinato.importing.keras.place import Converter, Place, Value


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
            if len(inner) == 2 and value.time == "all":
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


CONVERTERS: dict[str, Converter] = {
    "Reshape": _reshaped,
    "Flatten": _flattened,
    "Permute": _permuted,
    "ZeroPadding1D": _padded,
}
