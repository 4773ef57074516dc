"""Outputs that somebody recorded where a model comes from, in an .npz."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ostinato.errors import ForeignModelError
from ostinato.importing.arrays import npz
from ostinato.importing.arrays.contents import Contents
from ostinato.importing.source import Recorded
from ostinato.model import Network

Array = npt.NDArray[Any]


def recorded(path: Path, network: Network) -> Recorded:
    """The ``inputs`` [frames, size], or token ids [frames], and ``outputs`` [frames, size] of an .npz, for the
    network's first head; [1, size] or [size] is what an utterance comes to at its end. A
    batch of one before all axes is left out, and a frame's own axes are one behind the other.

    Raises ForeignModelError, naming the file, for arrays that are missing or that the network cannot have taken or
    given; no more is unpacked than a model may have.
    """
    specification = network.specification
    head, wire = specification.heads[0], specification.front_end.wire
    try:
        contents = npz.read(path)
        inputs, outputs = (_numbers(contents, name) for name in ("inputs", "outputs"))
    except ForeignModelError as error:
        raise ForeignModelError(f"{path}: {error}") from error
    except OSError as error:
        raise ForeignModelError(f"{path}: cannot be read: {error.strerror or error}") from error
    inputs, outputs = _without_batch(inputs), _without_batch(outputs)
    if wire.token:
        inputs = inputs[0] if inputs.ndim == 2 and len(inputs) == 1 else inputs
        fits = inputs.ndim == 1 and inputs.dtype.kind in "iu" and bool(((inputs >= 0) & (inputs < wire.size)).all())
    else:
        fits = inputs.shape[1:] == (wire.size,)
    if not fits or not len(inputs):
        wanted = f"token ids [frames] below {wire.size}" if wire.token else f"frames [frames, {wire.size}]"
        raise ForeignModelError(f"{path}: inputs are {inputs.dtype} {list(inputs.shape)}: the model takes {wanted}")
    outputs = outputs[None] if outputs.ndim == 1 and len(outputs) == specification.wires[head.node].size else outputs
    taken = inputs if wire.token else inputs.astype(np.float32)
    return Recorded(taken, {head.name: outputs})


def _without_batch(array: Array) -> Array:
    """[1, frames, …] and [frames, …] as [frames, size]; what has fewer axes as it is."""
    array = array[0] if array.ndim > 2 and len(array) == 1 else array
    return array.reshape(len(array), -1) if array.ndim > 2 and len(array) else array


def _numbers(contents: Contents, name: str) -> Array:
    if name not in contents.arrays:
        raise ForeignModelError(f"has no array {name!r}: save inputs and outputs with numpy.savez")
    array = contents.arrays[name].data
    if array.dtype.kind not in "fiu":
        raise ForeignModelError(f"array {name!r} is of type {array.dtype}: it should hold real numbers")
    return array
