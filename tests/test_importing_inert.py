"""Pickles are read as data: their arrays are found, and nothing in them runs."""

from __future__ import annotations

import collections
import os
import pickle
import struct
from typing import Any

import numpy as np
import pytest

from ostinato.errors import ForeignModelError
from ostinato.importing import inert


class Layer:
    """Stands for a library's class: plain objects are data, if their names are known."""

    def __init__(self, weights: Any, below: Any = None) -> None:
        self.weights, self.below = weights, below


class Runs:
    """What a pickle may do to whoever trusts it."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self.call = function, arguments

    def __reduce__(self) -> Any:
        return self.call


def mine(name: str) -> bool:
    return name == f"{__name__}.Layer"


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("dtype", ["<f4", ">f4", "f8", "i8", "u1", "?", "f2"])
def test_arrays_of_all_protocols_are_found(protocol: int, dtype: str) -> None:
    array = np.arange(12).reshape(3, 4).astype(dtype)
    for each in (array, np.asfortranarray(array), array[:, 1], array[:0], np.array(array[1, 2])):
        (found,) = inert.loads(pickle.dumps([each], protocol), mine)
        np.testing.assert_array_equal(inert.array(found), each)
        assert inert.array(found).dtype == each.dtype
    assert inert.array(inert.loads(pickle.dumps(array[1, 2], protocol), mine)) == array[1, 2]


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_objects_and_dictionaries_are_found(protocol: int) -> None:
    made = Layer(np.ones(3), Layer([1, "two", None]))
    found = inert.loads(pickle.dumps(made, protocol), mine)
    assert found.name == f"{__name__}.Layer"
    np.testing.assert_array_equal(inert.array(found.fields["weights"]), np.ones(3))
    assert found.fields["below"].fields == {"weights": [1, "two", None], "below": None}
    ordered = inert.loads(pickle.dumps(collections.OrderedDict(a=1, b=2), protocol), mine)
    assert ordered.entries == [("a", 1), ("b", 2)] or ordered.args == ([["a", 1], ["b", 2]],)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize(
    ("call", "named"),
    [
        (Runs(os.system, "touch ran"), f"{os.system.__module__}.system"),
        (Runs(eval, "open('ran', 'w')"), "eval"),
        (Runs(np.load, "ran"), "numpy.load"),
        (Runs(pickle.loads, b"x"), "pickle.loads"),
    ],
)
def test_whatever_a_pickle_wants_to_run_is_refused_by_name(
    protocol: int, call: Runs, named: str, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ForeignModelError, match=f"wants to use .*{named}.*refused"):
        inert.loads(pickle.dumps([np.ones(2), call], protocol), mine)
    assert not list(tmp_path.iterdir())


def test_an_array_that_is_not_what_it_says_is_refused() -> None:
    data = pickle.dumps(np.arange(1000, dtype="f4"), 2)
    place = data.index(struct.pack("<H", 1000))
    larger = data[:place] + struct.pack("<H", 60000) + data[place + 2 :]
    with pytest.raises(ForeignModelError, match=r"shape \(60000,\) that its bytes do not fill"):
        inert.array(inert.loads(larger, mine))
    with pytest.raises(ForeignModelError, match="not of plain numbers"):
        inert.array(inert.loads(pickle.dumps(np.array([{"a": 1}, None]), 2), mine))


def test_what_is_damaged_or_too_large_is_refused() -> None:
    data = pickle.dumps([np.arange(50.0), Layer(1)], 2)
    for cut in range(len(data)):
        with pytest.raises(ForeignModelError):
            inert.loads(data[:cut], mine)
    memory = b"\x80\x02K\x01r\xff\xff\xff\x7f."  # keep a value in place 2^31 - 1
    assert inert.loads(memory, mine) == 1
    with pytest.raises(ForeignModelError, match="over the limit"):
        inert.loads(bytes(inert.MAX_BYTES + 1), mine)
    with pytest.raises(ForeignModelError, match="outside of it"):
        inert.loads(b"\x80\x02K\x01Q.", mine)
    with pytest.raises(ForeignModelError, match="damaged"):
        inert.loads(b"\x80\x02\x82\x01.", mine)  # a name from a registry that is not there
