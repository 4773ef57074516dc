"""Models for a server: found, loaded, and each taken through its first steps before anybody waits for it."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ostinato.engine import unit
from ostinato.errors import ModelError, UnknownModelError
from ostinato.model import available, resolve
from ostinato.server.names import served_name
from ostinato.streaming import Model, accept, advance, load

log = logging.getLogger(__name__)
WARM_MS = 300.0


def load_models(
    names: Sequence[str | os.PathLike[str]] | None, folders: Iterable[str | os.PathLike[str]], max_streams: int
) -> dict[str, Model]:
    """The models of those names or paths, or all that are bundled or in the folders; by name.

    What is in a folder and cannot be served is logged. Raises UnknownModelError, also if there is none at all or two
    have one name, and BadModelFileError for a model that was named.
    """
    folders = list(folders)
    if names is None:
        models = _all_in(available(folders, lambda why: log.warning("%s", why)), max_streams)
    else:
        paths = {}
        for name in names:
            if served_name(name) in paths:
                raise UnknownModelError(f"two models are called {served_name(name)!r}: rename one of the files")
            paths[served_name(name)] = resolve(name, folders)
        models = {name: load(path, max_streams=max_streams) for name, path in paths.items()}
    if not models:
        raise UnknownModelError("there is no model to serve: name a folder that has some with --models")
    return models


def _all_in(paths: Mapping[str, Path], max_streams: int) -> dict[str, Model]:
    models = {}
    for name, path in paths.items():
        try:
            models[name] = load(path, max_streams=max_streams)
        except ModelError as error:
            log.warning("%r is not served: %s", name, error)
    return models


def warm_up(model: Model) -> None:
    """Push, flush and batch once, so that nothing is compiled, loaded or allocated at a client's expense."""
    data = _example(model)
    with model.stream() as one, model.stream() as other:
        records = [one.record, other.record]
        accept(records, [record.check(data) for record in records])
        advance(records)
        one.push(data)
        if model.writer:
            list(one.generate(longest=2))
        for stream in (one, other):
            stream.flush()


def _example(model: Model) -> Any:
    units = max(1, int(WARM_MS * model.units_per_ms))
    kind = unit(model)
    if kind == "sample":
        return np.zeros(units, np.int16)
    if kind == "frame":
        return np.zeros((units, model.reader.specification.front_end.frame_size), np.float32)
    return model.reader.specification.front_end.vocabulary[0]  # type: ignore[attr-defined]  # tokens have one
