"""Layers of layout: those that leave frames frames; zeros at an utterance's ends."""

from __future__ import annotations

from dataclasses import replace

from ostinato.importing.keras.place import Converter, Place, Value


def _reshaped(place: Place) -> Value:
    value, size = place.one(), place.inputs_size
    shape = place.setting("target_shape", [])
    if not isinstance(shape, list) or shape[-1:] != [size] or len(shape) != 1 + value.frames:
        raise place.refusal(f"makes {shape} of frames of {size} values: only what leaves frames frames is read here")
    return value


def _flattened(place: Place) -> Value:
    value = place.one()
    if value.frames:
        raise place.refusal("puts all frames of one length of utterance side by side: take a convolution over them")
    return value


def _permuted(place: Place) -> Value:
    value, dims = place.one(), place.setting("dims")
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
