"""Labels in a user's data, as numbers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from ostinato.data import Utterance
from ostinato.errors import InputError

SHOWN = 50
"""Names that an error has."""


def names_of(labels: Sequence[npt.NDArray[Any]]) -> tuple[str, ...]:
    """Of labels that are texts, those there are; of indices, the numbers."""
    if all(each.dtype.kind == "U" for each in labels):
        found = sorted({str(name) for each in labels for name in np.unique(each)} - {""})
    elif all(each.dtype.kind in "iu" for each in labels):
        found = [str(number) for number in range(1 + max(int(each.max(initial=-1)) for each in labels))]
    else:
        raise InputError("some labels are names, others indices: choose one")
    if len(found) < 2:
        raise InputError(f"labels are only {found}: there is nothing to tell apart")
    return tuple(found)


def indices_of(utterance: Utterance, names: Sequence[str]) -> npt.NDArray[np.int64]:
    """Which of the ``names`` an utterance's labels are, [T] or of no dimension, below 0 where there is none. Raises
    InputError for one that is none of them."""
    labels = np.asarray(utterance.labels)
    if labels.dtype.kind == "U":
        known = {name: at for at, name in enumerate(names)} | {"": -1}
        for at, label in enumerate(labels.reshape(-1)):
            if str(label) not in known:
                shown = ", ".join(names[:SHOWN]) + ", …" * (len(names) > SHOWN)
                raise InputError(f"{utterance.place(at)}: label {str(label)!r} is none of {shown}")
        indices = np.array([known[str(label)] for label in labels.reshape(-1)], np.int64)
        return indices.reshape(labels.shape)
    if labels.max(initial=-1) >= len(names):
        raise InputError(f"{utterance.name}: label {labels.max()} of {len(names)} labels (0-based)")
    return labels.astype(np.int64)
