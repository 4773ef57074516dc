"""Keras's files: a zip archive (.keras) of a configuration and HDF5, or HDF5 alone (.h5)."""

from __future__ import annotations

import json
import tempfile
import zipfile
from pathlib import Path
from typing import Any, NamedTuple

from ostinato.bounded import check_json
from ostinato.errors import ForeignModelError
from ostinato.importing import archives
from ostinato.importing.keras import hdf5
from ostinato.importing.keras.weights import ArchiveWeights, ListedWeights, Weights
from ostinato.packages import zips

MAX_CONFIG = 16 << 20
MAX_VALUES, MAX_CONTAINERS = 1 << 20, 1 << 18
"""Of a configuration: some hundred a layer."""


class File(NamedTuple):
    """What a file holds: the model's class and settings, the weights, and the version of Keras ("2.15.0")."""

    model: dict[str, Any]
    weights: Weights
    version: str


def read(path: Path) -> File:
    """The file's contents. Raises ForeignModelError."""
    if not zipfile.is_zipfile(path):
        return _listed(hdf5.read(path))
    with archives.opened(path) as archive:
        names = set(archive.namelist())
        if "config.json" not in names:
            raise ForeignModelError("has no config.json: save it with model.save('model.keras')")
        if "model.weights.h5" not in names:
            raise ForeignModelError("has no model.weights.h5: save it in one piece, with model.save('model.keras')")
        model = _json(_text(archive, "config.json"), "config.json")
        about = _json(_text(archive, "metadata.json"), "metadata.json") if "metadata.json" in names else {}
        data = zips.read(archive, "model.weights.h5")
    with tempfile.TemporaryDirectory(prefix="ostinato-") as folder:
        weights = Path(folder) / "model.weights.h5"
        weights.write_bytes(data)
        return File(model, ArchiveWeights(hdf5.read(weights)), str(about.get("keras_version", "")))


def _text(archive: zipfile.ZipFile, name: str) -> bytes:
    """A member that describes a model."""
    if (size := archive.getinfo(name).file_size) > MAX_CONFIG:
        raise ForeignModelError(f"{name} has {size} bytes, over the limit of {MAX_CONFIG}: use a smaller model")
    return zips.read(archive, name)


def _listed(contents: hdf5.Contents) -> File:
    if "model_config" not in contents.texts:
        raise ForeignModelError("has weights only: save the whole model, with model.save('model.keras')")
    model = _json(contents.texts["model_config"].encode(errors="replace"), "model_config")
    return File(model, ListedWeights(contents), contents.texts.get("keras_version", ""))


def _json(raw: bytes, where: str) -> dict[str, Any]:
    try:
        text = raw.decode()
        check_json(text, MAX_VALUES, MAX_CONTAINERS)
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ForeignModelError(f"{where} is no JSON that can be read: {error or type(error).__name__}") from error
    if not isinstance(found, dict):
        raise ForeignModelError(f"{where} is no JSON object")
    return found
