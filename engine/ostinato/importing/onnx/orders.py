"""Orders in which values of a frame are read: runs that follow each other, and matrices that are turned."""

from __future__ import annotations

import numpy as np

from ostinato.importing.onnx.elements import Ids


def runs(ids: Ids) -> list[tuple[int, int]]:
    """From where to where elements follow each other, one value after another."""
    starts = np.flatnonzero(np.append(True, np.diff(ids) != 1)).tolist()
    return list(zip(starts, [*starts[1:], len(ids)], strict=True))


def turned(ids: Ids) -> tuple[int, Ids] | None:
    """Rows, and elements [rows, columns] that are ``ids`` [columns, rows] turned, in which values follow each
    other; None if the second value follows the first nowhere, or not so."""
    (at,) = np.nonzero(ids == ids[0] + 1)
    if not len(at) or len(ids) % (rows := int(at[0])) or rows < 2:
        return None
    return rows, ids.reshape(-1, rows).T.reshape(-1)
