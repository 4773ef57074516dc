from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import msgpack
import numpy as np
import pytest

from ostinato.errors import SnapshotError
from ostinato.pipeline.state import F32Matrix, F32Vector, F64Vector, pack, unpack


@dataclass
class Inner:
    position: int


@dataclass
class State:
    count: int
    level: float
    pending: str
    spoken: bool
    tail: F32Vector
    rows: F32Matrix
    total: F64Vector
    inner: Inner | None


def state(inner: Inner | None = None) -> State:
    return State(
        7, 0.25, "où", True, np.arange(3, dtype=np.float32), np.ones((2, 4), np.float32), np.array([1 / 3]), inner
    )


def wire(value: Any) -> Any:
    """There and back through msgpack, as in a snapshot."""
    return msgpack.unpackb(msgpack.packb(value))


@pytest.mark.parametrize("inner", [None, Inner(3)])
def test_there_and_back(inner: Inner | None) -> None:
    before = state(inner)
    after = unpack(State, wire(pack(before)))
    assert pack(after) == pack(before)
    assert (after.count, after.level, after.pending, after.spoken, after.inner) == (7, 0.25, "où", True, inner)
    assert after.tail.dtype == np.float32 and after.rows.shape == (2, 4) and after.total.dtype == np.float64
    after.tail[0] = 5  # writable, and nobody else's


def test_arrays_that_are_not_contiguous() -> None:
    before = state()
    before.rows = np.arange(24, dtype=np.float32).reshape(4, 6)[::2, 1::2]
    assert np.array_equal(unpack(State, wire(pack(before))).rows, before.rows)


def test_empty_arrays() -> None:
    before = state()
    before.rows = np.empty((0, 40), np.float32)
    assert unpack(State, wire(pack(before))).rows.shape == (0, 40)


def damaged(**changes: Any) -> dict[str, Any]:
    fields: dict[str, Any] = wire(pack(state(Inner(1))))
    return fields | changes


@pytest.mark.parametrize(
    ("raw", "where"),
    [
        (None, "state"),
        ([], "state"),
        (damaged(extra=1), "extra"),
        ({k: v for k, v in damaged().items() if k != "level"}, "level"),
        (damaged(count=True), "count"),
        (damaged(count=1.0), "count"),
        (damaged(count=2**60), "count"),
        (damaged(level=1), "level"),
        (damaged(level=float("nan")), "level"),
        (damaged(pending=b"x"), "pending"),
        (damaged(spoken=1), "spoken"),
        (damaged(tail=None), "tail"),
        (damaged(tail=[1.0]), "tail"),
        (damaged(tail={"shape": [3], "data": b"1234"}), "tail"),
        (damaged(tail={"shape": [1, 1], "data": b"1234"}), "tail"),
        (damaged(tail={"shape": [-1], "data": b""}), "tail"),
        (damaged(tail={"shape": [2**40], "data": b"1234"}), "tail"),
        (damaged(tail={"shape": [True], "data": b"1234"}), "tail"),
        (damaged(tail={"shape": [1], "data": b"1234", "dtype": "O"}), "tail"),
        (damaged(tail={"shape": [1], "data": np.float32("inf").tobytes()}), "tail"),
        (damaged(rows={"shape": [4], "data": bytes(16)}), "rows"),
        (damaged(inner={"position": "x"}), "inner.position"),
        (damaged(inner={}), "position"),
        (damaged(inner=3), "inner"),
    ],
)
def test_damage_is_refused_by_its_place(raw: Any, where: str) -> None:
    with pytest.raises(SnapshotError, match=where.replace(".", r"\.")):
        unpack(State, raw)
