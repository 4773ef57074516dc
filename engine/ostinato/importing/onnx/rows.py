"""The time axis of a traced tensor: found from where its elements come from, not from names or sizes.

Along time, the same values of the next frames follow each other: elements grow by a whole number of frames. Where
values of several frames meet in one vector, a term's frames are what follows each other so.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ostinato.importing.onnx.elements import FRAME, LONGEST, ZERO, Ids, frame_of, index_of, shifted, term_of
from ostinato.importing.onnx.terms import State, Terms, View

_MOST_POSITIONS = 4096


class Rows(NamedTuple):
    """A tensor along its time axis: row n holds ``ids`` [values] of frame n * ``stride``, whose frames are offsets
    from that; ``length`` rows. ``rest``: the tensor's other axes."""

    ids: Ids
    stride: int
    length: int
    rest: tuple[int, ...]


class Vectors(NamedTuple):
    """The vectors of a tensor [..., K], by what they hold: vector r is number ``which[r]`` of ``kinds`` [P, K] at
    frame ``frame[r]``. Vectors of constants have number -1."""

    frame: Ids
    which: Ids
    kinds: Ids
    stride: int = 1
    rows: int = 0
    reframed: bool = False
    end: int | None = None


class CannotFollow(Exception):  # noqa: N818  it is an answer
    """Values of frames that no frame count can tell."""


def along(ids: Ids, axis: int, terms: Terms) -> Rows | None:
    """The tensor along that axis if it is time's; frames outside what there is are zeros, or what a state holds."""
    count = ids.shape[axis]
    if count < 3:
        return None
    moved = np.moveaxis(ids, axis, 0)
    rows = moved.reshape(count, -1)
    middle = count // 2
    here, after = rows[middle], rows[middle + 1]
    traced = here >= 0
    if not traced.any() or (traced != (after >= 0)).any():
        return None
    steps = (after - here)[traced]
    stride, rest = divmod(int(steps[0]), FRAME)
    if rest or not 0 < abs(stride) <= LONGEST or (steps != steps[0]).any():
        return None
    moves = (np.arange(count) - middle)[:, None] * stride
    expected = np.where(traced, here + moves * FRAME, here)
    wrong = rows != expected
    if wrong.any():
        numbers = np.where(traced, term_of(here), 0)
        there = np.array([terms.frames(term.number) for term in terms.all])[numbers]
        frames = frame_of(here) + moves
        outside = traced & ((frames < 0) | (frames >= there))
        excused = outside & (rows == ZERO)
        caches, cuts = {}, {}
        for row, column in np.argwhere(wrong & outside & (frames < 0) & (rows >= 0)):
            held = rows[row, column]
            if isinstance(terms[int(term_of(held))].operation, State) and frame_of(held) == 0:
                caches[int(held)] = int(expected[row, column] + there[column] * FRAME)
                excused[row, column] = True
        left = wrong & ~excused
        for number in np.unique(numbers[left.any(axis=0)]):  # whose last frames were cut off, before padding
            own = traced & (numbers == number)
            first = int(np.where(left & own, frames, 1 << 40).min())
            cut = own & (frames >= first)
            if first > 0 and (rows[cut] == ZERO).all():
                cuts[int(number)] = first
                left &= ~cut
        if left.any():
            return None
        terms.caches.update(caches)
        terms.cuts.update(cuts)
    return Rows(shifted(here, -middle * stride), stride, count, moved.shape[1:])


def time_axis(ids: Ids, terms: Terms, axes: int | None = None) -> tuple[Ids, int] | None:
    """The tensor and its time axis, one of the first ``axes``. An axis in which frames and positions alternate is
    parted into two."""
    sizes = ids.shape[:axes]
    for axis in range(len(sizes)):
        if along(ids, axis, terms) is not None:
            return ids, axis
    for axis, size in enumerate(sizes):
        for positions in range(2, min(size // 3, _MOST_POSITIONS) + 1):
            if size % positions:
                continue
            parted = ids.reshape(*ids.shape[:axis], size // positions, positions, *ids.shape[axis + 1 :])
            if along(parted, axis, terms) is not None:
                return parted, axis
    return None


def frames_in(ids: Ids) -> Ids:
    """The distinct frames of a tensor's elements."""
    found: Ids = np.unique(frame_of(ids[ids >= 0]))
    return found


def vectors(ids: Ids, terms: Terms) -> Vectors:
    """The vectors along a tensor's last axis. Raises CannotFollow where they mix frames in a way that has no time
    axis."""
    flat = ids.reshape(-1, ids.shape[-1])
    traced = flat >= 0
    frames = frame_of(flat)
    latest = np.where(traced, frames, -(1 << 40)).max(axis=1)
    earliest = np.where(traced, frames, 1 << 40).min(axis=1)
    there = traced.any(axis=1)
    if (latest == earliest)[there].all() and not _strided(latest[there]):
        kinds, first, inverse = np.unique(
            shifted(flat, -latest[:, None])[there], axis=0, return_index=True, return_inverse=True
        )
        order = np.argsort(first)
        which = np.full(len(flat), -1)
        which[there] = np.argsort(order)[inverse.reshape(-1)]
        return Vectors(np.where(there, latest, 0), which, kinds[order])
    found = time_axis(ids, terms, ids.ndim - 1)
    if found is None:
        raise CannotFollow
    parted, axis = found
    rows = along(parted, axis, terms)
    assert rows is not None
    if rows.stride < 0:
        raise CannotFollow
    others = rows.rest[:-1]
    positions = int(np.prod(others, dtype=np.int64))
    kinds = rows.ids.reshape(positions, ids.shape[-1])
    shape = parted.shape[:-1]
    frame = np.broadcast_to(
        np.arange(rows.length).reshape([-1 if a == axis else 1 for a in range(len(shape))]), shape
    )
    number = np.arange(positions).reshape([1 if a == axis else size for a, size in enumerate(shape)])
    which = np.broadcast_to(number, shape)
    frame = np.broadcast_to(frame, shape)
    return Vectors(frame.reshape(-1), which.reshape(-1), kinds, rows.stride, rows.length, True)


def _strided(frames: Ids) -> bool:
    """Whether frames are left out between those that are read: then they are counted anew."""
    steps = np.diff(np.unique(frames))
    return len(steps) > 1 and bool((steps == steps[0]).all()) and int(steps[0]) > 1


def view_of(found: Vectors, ids: Ids) -> View:
    """A term's view of ``ids``, read as the vectors were."""
    return View(ids, found.stride, found.rows, found.reframed, found.end)


def whole(ids: Ids) -> bool:
    """Whether these are all values of one term's frame, in order."""
    return bool((ids >= 0).all() and (np.diff(ids) == 1).all() and index_of(ids[:1]) == 0)
