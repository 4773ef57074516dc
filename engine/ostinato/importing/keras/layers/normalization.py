"""Normalisation, value by value or of a frame."""

from __future__ import annotations

import numpy as np

from ostinato.importing.keras.place import Array, Converter, Place, Value
from ostinato.model.layers import BatchNorm, LayerNorm, Scale


def _affine(place: Place, *more: str) -> dict[str, Array]:
    """Gamma and beta, as far as they are used, and others."""
    size = place.inputs_size
    names = [name for name, used in (("gamma", "scale"), ("beta", "center")) if place.flag(used, True)] + [*more]
    arrays = place.shaped(*[(size,)] * len(names))
    usual = {"gamma": np.ones(size, np.float32), "beta": np.zeros(size, np.float32)}
    return usual | dict(zip(names, arrays, strict=True))


def _batch(place: Place) -> Value:
    place.check_last_axis()
    if place.flag("renorm"):
        raise place.refusal("has renorm, which is not read here")
    epsilon = place.number("epsilon", 1e-3)
    return place.made(BatchNorm(epsilon), _affine(place, "mean", "variance"))


def _layer(place: Place) -> Value:
    place.check_last_axis()
    if place.flag("rms_scaling"):
        raise place.refusal("has rms_scaling, which is not read here")
    return place.made(LayerNorm(place.number("epsilon", 1e-3)), _affine(place))


def _fixed(place: Place) -> Value:
    """Of means and variances that were counted before training; the number of values that were counted is the third
    array."""
    place.check_last_axis()
    if place.flag("invert"):
        raise place.refusal("is inverted, which is not read here")
    size = place.inputs_size
    if place.arrays:
        mean, variance, _ = place.shaped((size,), (size,), ())
    else:
        mean, variance = (np.broadcast_to(np.ravel(place.setting(key, 0)), size) for key in ("mean", "variance"))
    a = 1 / np.maximum(np.sqrt(variance.astype(np.float64)), 1e-7)
    return place.made(Scale(), {"a": a, "b": -a * mean})


def _rescaled(place: Place) -> Value:
    place.shaped()
    size = place.inputs_size
    a, b = (np.full(size, place.number(key, default)) for key, default in (("scale", 1.0), ("offset", 0.0)))
    return place.made(Scale(), {"a": a, "b": b})


CONVERTERS: dict[str, Converter] = {
    "BatchNormalization": _batch,
    "BatchNormalizationV1": _batch,
    "BatchNormalizationV2": _batch,
    "LayerNormalization": _layer,
    "Normalization": _fixed,
    "Rescaling": _rescaled,
}
