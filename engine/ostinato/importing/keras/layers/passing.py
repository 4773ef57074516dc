"""Layers that do nothing when a network is used: they help it to learn, or mark frames that a stream would not
have."""

from __future__ import annotations

from ostinato.importing.keras.place import Converter, Place, Value


def _left_out(place: Place) -> Value:
    place.tell("left out", f"{place.kind}, which does something only while a network learns")
    return place.one()


def _masking(place: Place) -> Value:
    place.tell("masking", "no frame is skipped, whatever its values: leave padding out of a stream")
    return place.one()


def _same(place: Place) -> Value:
    return place.one()


CONVERTERS: dict[str, Converter] = {
    **dict.fromkeys(
        ("Dropout", "SpatialDropout1D", "AlphaDropout", "GaussianDropout", "GaussianNoise", "ActivityRegularization"),
        _left_out,
    ),
    "Masking": _masking,
    "Identity": _same,
}
