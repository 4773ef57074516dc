"""Fully connected layers and embeddings."""

from __future__ import annotations

from ostinato.importing.keras.activations import activation, is_softmax, softened
from ostinato.importing.keras.place import Converter, Place, Value
from ostinato.model.activation import IDENTITY
from ostinato.model.layers import Dense, Embedding


def _dense(place: Place) -> Value:
    units, soft = place.size("units"), is_softmax(place)
    function = IDENTITY if soft else activation(place)
    W, b = place.with_bias((place.inputs_size, units), bias=(units,))
    value = place.made(Dense(units, function), {"W": W.T, "b": b})
    return softened(place, value) if soft else value


def _embedding(place: Place) -> Value:
    words, size = place.size("input_dim"), place.size("output_dim")
    (E,) = place.shaped((words, size))
    if place.flag("mask_zero"):
        place.tell("mask_zero", "token 0 is a token like any other: leave padding out of a stream")
    return place.made(Embedding(size), {"E": E})


CONVERTERS: dict[str, Converter] = {"Dense": _dense, "Embedding": _embedding}
