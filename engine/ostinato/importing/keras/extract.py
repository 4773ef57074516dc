"""What lies in an HDF5 file, as safetensors: a program, run by its path.

    python extract.py FILE RESULT

HDF5's library crashes and hangs on damaged files, so whoever reads them does it in a process that may. Only what lies
in the file itself is read, and no more than was counted before. Exit code 3: refused, standard error says why.
"""

from __future__ import annotations

import contextlib
import json
import math
import sys
from collections.abc import Iterator
from typing import Any

import h5py
import numpy as np
from safetensors.numpy import save_file

MAX_BYTES = 1 << 30
"""Of all arrays, as float32."""
MAX_OBJECTS = 1 << 16
"""Groups and arrays."""
MAX_TEXT = 64 << 20
"""Bytes of a text that describes a model."""
MAX_MEMORY = 4 << 30
"""Of this process."""
OPTIMISERS = ("optimizer", "optimizer_weights")
"""Groups of what helped the network to learn."""
TEXTS, NAMES = ("model_config", "keras_version"), "weight_names"
"""Attributes that are read: of the file, and of groups."""
REFUSED = 3


class RefusedError(Exception):
    """What the file holds is not read."""


def extract(file: Any) -> tuple[dict[str, Any], dict[str, str]]:
    """Its arrays by their paths, as float32; and as JSON its ``texts``, the ``lists`` of names that groups have, and
    the paths of ``others``, which are no numbers."""
    arrays: dict[str, Any] = {}
    others, lists, size = [], {}, 0
    for path, each in walk(file):
        if isinstance(each, h5py.Group):
            if names := list_of_names(each.attrs):
                lists[path] = names
            continue
        check(path, each)
        size += 4 * math.prod(each.shape)
        if size > MAX_BYTES or each.dtype.itemsize > 16:
            raise RefusedError(f"its arrays are over {MAX_BYTES} bytes: use a smaller model")
        if each.dtype.kind in "fiu":
            arrays[path] = np.asarray(each[()], np.float32)
        else:
            others.append(path)
    texts = {name: text(file.attrs, name) for name in TEXTS if name in file.attrs}
    return arrays, {"texts": json.dumps(texts), "lists": json.dumps(lists), "others": json.dumps(others)}


def walk(file: Any) -> Iterator[tuple[str, Any]]:
    """All that is in it, each once, by its path. Links are not followed."""
    waiting, seen = [("", file)], {file.id}
    while waiting:
        path, each = waiting.pop()
        yield path, each
        if not isinstance(each, h5py.Group):
            continue
        for name in each:
            below = f"{path}/{name}" if path else name
            if below in OPTIMISERS:
                continue
            if not isinstance(each.get(name, getlink=True), h5py.HardLink):
                raise RefusedError(f"{below!r} is a link, which may lead anywhere: it is not followed")
            child = each[name]
            if child.id in seen:
                raise RefusedError(f"{below!r} is there by two names")
            seen.add(child.id)
            if len(seen) > MAX_OBJECTS:
                raise RefusedError(f"it has over {MAX_OBJECTS} groups and arrays: no model has")
            waiting.append((below, child))


def check(path: str, dataset: Any) -> None:
    """Refuse what lies elsewhere, or nowhere."""
    if not isinstance(dataset, h5py.Dataset) or dataset.shape is None:
        raise RefusedError(f"{path!r} is no array")
    if dataset.external or dataset.is_virtual:
        raise RefusedError(f"array {path!r} lies in another file: it is not read")


def text(attributes: Any, name: str) -> str:
    """An attribute that is a text."""
    value = attributes[name]
    value = value.decode(errors="replace") if isinstance(value, bytes) else value
    if not isinstance(value, str) or len(value) > MAX_TEXT:
        raise RefusedError(f"attribute {name!r} is no text of up to {MAX_TEXT} signs")
    return value


def list_of_names(attributes: Any) -> list[str]:
    """A list of texts, which Keras cuts into several (weight_names0, weight_names1, …) if it is long."""
    parts = [NAMES] if NAMES in attributes else []
    while f"{NAMES}{len(parts)}" in attributes and NAMES not in parts:
        parts.append(f"{NAMES}{len(parts)}")
    values = [each for part in parts for each in np.asarray(attributes[part]).reshape(-1)]
    return [each.decode(errors="replace") if isinstance(each, bytes) else str(each) for each in values]


def main() -> int:
    """See the module."""
    with contextlib.suppress(ImportError, OSError, ValueError):  # not on all systems, nor below a lower limit
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (MAX_MEMORY, MAX_MEMORY))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    try:
        with h5py.File(sys.argv[1], "r") as file:
            arrays, about = extract(file)
        save_file(arrays, sys.argv[2], about)
    except RefusedError as error:
        print(error, file=sys.stderr)
        return REFUSED
    except Exception as error:
        print(f"{error or type(error).__name__}: it is damaged, or not all of it is there", file=sys.stderr)
        return REFUSED
    return 0


if __name__ == "__main__":
    sys.exit(main())
