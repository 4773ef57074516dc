"""Keras files by hand: configurations and arrays, as Keras lays them out."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
RNG = np.random.default_rng(0)
X = RNG.normal(size=(9, 2)).astype(np.float32)
SAVED = sorted(path for path in (Path(__file__).parent / "data/keras").iterdir() if path.suffix in (".keras", ".h5"))


def layer(kind: str, **config: Any) -> dict[str, Any]:
    return {"class_name": kind, "config": {"name": kind.lower()} | config}


INPUT = layer("InputLayer", batch_shape=[None, None, 2])
DENSE = layer("Dense", units=3, activation="linear", use_bias=True)
KERNEL, BIAS = RNG.normal(size=(2, 3)).astype(np.float32), RNG.normal(size=3).astype(np.float32)
ARRAYS = {"layers/dense/vars/0": KERNEL, "layers/dense/vars/1": BIAS}


def chain(*layers: dict[str, Any], first: dict[str, Any] = INPUT) -> dict[str, Any]:
    return {"class_name": "Sequential", "config": {"name": "sequential", "layers": [first, *layers]}}


def packed(fill: Callable[[Any], Any]) -> bytes:
    with io.BytesIO() as data:
        with h5py.File(data, "w") as file:
            fill(file)
        return data.getvalue()


def filled(arrays: dict[str, Any]) -> Callable[[Any], None]:
    def fill(file: Any) -> None:
        for path, array in arrays.items():
            file[path] = array

    return fill


def archive(
    folder: Path, model: Any, weights: dict[str, Any] | Callable[[Any], Any] | bytes = ARRAYS, version: str = "3.15.1"
) -> Path:
    path = folder / "model.keras"
    if not isinstance(weights, bytes):
        weights = packed(filled(weights) if isinstance(weights, dict) else weights)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("metadata.json", json.dumps({"keras_version": version}))
        file.writestr("config.json", model if isinstance(model, str) else json.dumps(model))
        file.writestr("model.weights.h5", weights)
    return path


def listed(folder: Path, model: Any, arrays: dict[str, Array]) -> Path:
    """An .h5 file, whose arrays are named by layer and path: {"dense": "dense/kernel:0", …}."""
    path = folder / "model.h5"
    with h5py.File(path, "w") as file:
        file.attrs["model_config"] = json.dumps(model)
        for name, array in arrays.items():
            group = file.require_group(f"model_weights/{name.partition('|')[0]}")
            inner = name.partition("|")[2]
            group[inner] = array
            group.attrs["weight_names"] = [*group.attrs.get("weight_names", []), inner]
    return path
