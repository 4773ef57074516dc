"""Several frames that lie side by side in one become frames of their own: what upsamples by Reshape or Resize."""

from __future__ import annotations

import numpy as np

from ostinato.importing.onnx.elements import Ids
from ostinato.importing.onnx.rows import along, time_axis
from ostinato.importing.onnx.terms import Applied, Terms, View
from ostinato.model.layers import TransposedConvolution


def unstacked(ids: Ids, terms: Terms, origin: str) -> Ids:
    """The tensor, with a time axis that is whole: where frames of a term alternate with parts of them along it, by a
    term that gives a frame for each part."""
    found = time_axis(ids, terms)
    if found is None or found[0].ndim == ids.ndim:
        return ids
    parted, axis = found
    rows = along(parted, axis, terms)
    assert rows is not None
    if rows.stride < 1:
        return ids
    parts = np.moveaxis(rows.ids.reshape(rows.rest), axis, 0)  # the axis beside the one of frames
    count, others = len(parts), parts.shape[1:]
    size = parts.size // count
    W = np.zeros((size, count, count, size), np.float32)
    for part in range(count):
        W[:, part, part] = np.eye(size)
    layer = TransposedConvolution(size, count, count, 0, 0)
    weights = {"W": W.reshape(size, -1), "b": np.zeros(size, np.float32)}
    view = View(parts.reshape(-1), rows.stride, rows.length, True)
    term = terms.add(Applied(layer, weights), [view], size, count * rows.length, origin)
    made = term.at(np.arange(count * rows.length)).reshape(count * rows.length, *others)
    return np.moveaxis(made, 0, axis)
