"""Files of frames and tokens with labels: what is read, and what is refused with file, place and cure."""

from __future__ import annotations

import io
import tracemalloc
import zipfile
from pathlib import Path

import numpy as np
import pytest

from ostinato import data
from ostinato.data import Utterance, read
from ostinato.errors import InputError

FRAMES = np.arange(12, dtype=np.float32).reshape(4, 3)


def one(path: Path) -> Utterance:
    (found,) = read(path)
    return found


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.float16, np.int16, np.uint8, ">f4"])
def test_a_npy_is_frames_of_any_numbers(tmp_path: Path, dtype: str) -> None:
    np.save(tmp_path / "a.npy", np.asfortranarray(FRAMES.astype(dtype)))
    found = one(tmp_path / "a.npy")
    assert isinstance(found.input, np.ndarray) and found.input.dtype == np.float32
    assert np.array_equal(found.input, FRAMES) and found.labels is found.targets is None and found.length == 4


def test_a_npz_has_labels_by_index_or_name_targets_and_the_pace(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    targets = np.ones((4, 2))
    np.savez_compressed(path, frames=FRAMES, labels=["a", "b", "", "a"], targets=targets, frame_ms=20)
    found = one(path)
    assert found.labels is not None and found.labels.tolist() == ["a", "b", "", "a"] and found.frame_ms == 20
    assert found.targets is not None and found.targets.shape == (4, 2)
    np.savez(path, frames=FRAMES, labels=np.array([0, 1, -1, 2], np.int8), targets=[1, 2, np.nan, 4.0])
    found = one(path)
    assert found.labels is not None and found.labels.tolist() == [0, 1, -1, 2]
    assert found.targets is not None and found.targets.shape == (4, 1) and np.isnan(found.targets[2, 0])


def test_a_npz_holds_many_utterances_by_lengths_or_by_names(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    frames, labels = np.stack((FRAMES, FRAMES + 1)), np.array([[0, 1, 2, 3], [4, 5, 0, 0]])
    np.savez(path, frames=frames, lengths=[4, 2], labels=labels)
    first, second = read(path)
    assert (first.length, second.length, second.name) == (4, 2, "a.npz[1]")
    assert second.labels is not None and second.labels.tolist() == [4, 5]
    np.savez(path, frames=frames, labels=["walk", "run"])
    assert [str(each.labels) for each in read(path)] == ["walk", "run"]
    named = {"frames.walk": FRAMES, "labels.walk": np.zeros(4, int), "frames.run": FRAMES[:2], "frame_ms": 5.0}
    np.savez(path, **named)
    walk, run = read(path)
    assert (walk.name, run.length, run.labels, run.frame_ms) == ("a.npz, walk", 2, None, 5.0)


def test_a_csv_has_columns_by_their_names(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("\ufefftime, x ,Label,y,target_a,target_b\n0.00,1,up,2,5,\n0.02,3,,4,6,7\n0.04,5,down,6,7,8\n")
    found = one(path)
    assert isinstance(found.input, np.ndarray) and found.input.tolist() == [[1, 2], [3, 4], [5, 6]]
    assert found.labels is not None and found.labels.tolist() == ["up", "", "down"]
    assert found.targets is not None and np.isnan(found.targets[0, 1]) and found.targets[2].tolist() == [7, 8]
    assert found.frame_ms == pytest.approx(20) and found.place(1) == "a.csv, row 3"
    path.write_text("time_ms;x\n0;1\n10;2\n")
    found = one(path)
    assert found.frame_ms == 10 and found.labels is None and found.length == 2
    path.write_text("x\n1\n")
    assert one(path).length == 1


def test_texts_are_lines_with_labels_after_a_tab(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes("well done\tgood\r\n\r\nso so\r\n".encode("utf-16"))
    good, plain = read(path)
    assert (good.input, str(good.labels), good.place(0)) == ("well done", "good", "a.txt, row 1")
    assert (plain.input, plain.labels, plain.place(5)) == ("so so", None, "a.txt, row 3")


CSV = [
    ("", "must name the columns"),
    ("1,2,3\n4,5,6\n", "must name the columns"),
    ("x,,y\n1,2,3\n", "must name the columns"),
    ("x,X\n1,2\n", "two columns 'x'"),
    ("label,time\na,1\n", "no column of values"),
    ("x,y\n", "no row below"),
    ("x,y\n1,2\n1\n", "row 3 has 1 cells, the first row names 2"),
    ("x,y\n1,2\n\n3,4\n", "row 3 is empty"),
    ("x,y\n1,two\n", "row 2, column 'y': 'two' is no number"),
    ("x;y\n1;2,5\n", "row 2, column 'y': '2,5' is no number: write a point"),
    ("x,y\n1,nan\n", "row 2, column 'y': nan is not finite"),
    ("x,y\n1,1e39\n", "row 2, column 'y': 1e39 is not finite, or too large"),
    ("x,time\n1,0\n1,1\n1,3\n1,4\n1,5\n", "row 4: 2000 ms after the row before, where 1000 ms is usual"),
    ("x,time\n1,0\n1,0\n", "row 3: 0 ms after the row before"),
    ("x,time,time_ms\n1,0,0\n", "one time is enough"),
    ("x\ncaf\u00e9\n", "is not UTF-8"),
]


@pytest.mark.parametrize(("text", "says"), CSV, ids=[says for _, says in CSV])
def test_a_bad_csv_is_refused_by_row_and_cure(tmp_path: Path, text: str, says: str) -> None:
    path = tmp_path / "bad.csv"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(InputError, match=r"bad\.csv") as error:
        read(path)
    assert says in str(error.value)


ARRAYS = [
    ({"frames": FRAMES[0]}, "holds float32 [3]"),
    ({"frames": FRAMES[:0]}, "holds float32 [0, 3]"),
    ({"frames": np.array([["a"]])}, "holds <U1 [1, 1]"),
    ({"frames": np.full((4, 3), np.inf)}, "frame 0 has NaN"),
    ({"frames": FRAMES, "lables": [0, 0, 0, 0]}, "'lables', which nothing reads; did you mean 'labels'?"),
    ({"frames": FRAMES, "labels": [0.5] * 4}, "labels of float64: save integers"),
    ({"frames": FRAMES, "labels": [0] * 3}, "labels [3] are neither [4], one for each frame, nor one"),
    ({"frames": FRAMES, "labels": [b"\xe9"] * 4}, "not UTF-8"),
    ({"frames": FRAMES, "targets": [1.0] * 3}, "are not numbers [4, outputs]"),
    ({"frames": FRAMES, "targets": [np.inf] * 4}, "targets have infinite"),
    ({"frames": FRAMES, "lengths": [4]}, "lengths belong to frames [N, T, size]"),
    ({"frames": FRAMES[None], "lengths": [5]}, "lengths are not 1 integers from 1 to 4"),
    ({"frames": FRAMES[None], "lengths": [0]}, "lengths are not 1 integers from 1 to 4"),
    ({"frames": FRAMES[None], "labels": [0, 1]}, "not one for each of the 1 utterances"),
    ({"frames": FRAMES, "frame_ms": -1.0}, "frame_ms is not a number of ms above 0"),
    ({"labels": [0]}, "has labels without frames"),
    ({"frame_ms": 10.0}, "no array 'frames'"),
    ({"frames": np.array([[{}]], object)}, "no array can be read|holds object"),
    ({"frames": np.zeros(4, [("x", "f4")])}, "which is not read: save plain numbers"),
    ({"frames": FRAMES, "labels": ["a" * 2000] * 4}, "texts of over 1024 characters"),
]


@pytest.mark.parametrize(("arrays", "says"), ARRAYS, ids=[says for _, says in ARRAYS])
def test_bad_arrays_are_refused_by_name_and_cure(tmp_path: Path, arrays: dict[str, np.ndarray], says: str) -> None:
    path = tmp_path / "bad.npz"
    np.savez(path, **arrays)
    with pytest.raises(InputError, match=r"bad\.npz") as error:
        read(path)
    assert any(each in str(error.value) for each in says.split("|"))


def claiming(shape: tuple[int, ...], dtype: str = "<f4") -> bytes:
    """The header of a .npy with so many values, and none of them."""
    file = io.BytesIO()
    np.lib.format.write_array_header_1_0(file, {"shape": shape, "fortran_order": False, "descr": dtype})
    return file.getvalue()


@pytest.mark.parametrize(
    ("shape", "dtype", "says"),
    [
        ((1 << 20, 1 << 20), "<f4", "more than the 67,108,864 that are read"),
        ((-1, 3), "<f4", "more than"),
        ((1 << 22, 3), "<f4", "is cut off"),
        ((1 << 20, 4), "<U1000", "more than"),
    ],
)
def test_what_a_header_claims_takes_no_memory(tmp_path: Path, shape: tuple[int, ...], dtype: str, says: str) -> None:
    """In a .npy, and in a .npz whose directory claims as much."""
    (tmp_path / "bomb.npy").write_bytes(claiming(shape, dtype))
    with zipfile.ZipFile(tmp_path / "bomb.npz", "w") as archive:
        archive.writestr("frames.npy", claiming(shape, dtype))
    raw = (tmp_path / "bomb.npz").read_bytes()
    size = len(claiming(shape, dtype)).to_bytes(4, "little")
    at = raw.rindex(b"PK\x01\x02") + 24
    assert raw[at : at + 4] == size
    (tmp_path / "liar.npz").write_bytes(raw[:at] + b"\xff\xff\xff\x7f" + raw[at + 4 :])
    tracemalloc.start()
    for name in ("bomb.npy", "bomb.npz", "liar.npz"):
        with pytest.raises(InputError, match=r"bomb|liar") as error:
            read(tmp_path / name)
        assert says in str(error.value) or name == "liar.npz"
    assert tracemalloc.get_traced_memory()[1] < 8 << 20
    tracemalloc.stop()


def test_a_table_is_read_no_further_than_its_bounds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ostinato.data.table.MOST_VALUES", 100)
    path = tmp_path / "long.csv"
    path.write_text("x,y\n" + "1,2\n" * 51)
    with pytest.raises(InputError, match=r"long.csv, row 52: a table has at most 100 values"):
        read(path)
    path.write_text("x,y\n" + "1,2\n" * 50)
    assert one(path).length == 50
    monkeypatch.setattr("ostinato.data.table.LONGEST_LINE", 20)
    path.write_text("x" * 20)
    with pytest.raises(InputError, match="has a line of over"):
        read(path)
    monkeypatch.setattr("ostinato.data.table.MOST_COLUMNS", 3)
    path.write_text("a,b,c,d\n")
    with pytest.raises(InputError, match="has 4 columns"):
        read(path)


def test_what_is_no_data_is_named(tmp_path: Path) -> None:
    np.save(tmp_path / "pickled.npy", np.array([{}], object), allow_pickle=True)
    (tmp_path / "junk.npz").write_bytes(b"PK\x03\x04junk")
    (tmp_path / "tabs.txt").write_text("a\tb\tc\n")
    (tmp_path / "empty.txt").write_text("\n\n")
    (tmp_path / "folder.csv").mkdir()
    for name, says in (
        ("pickled.npy", "holds object"),
        ("junk.npz", "is no .npz"),
        ("tabs.txt", "row 1 has 2 tabs"),
        ("empty.txt", "has no line of text"),
        ("folder.csv", "is no file: name one"),
        ("a.mat", "is no file of data: those end in .npy, .npz, .csv"),
    ):
        with pytest.raises(InputError, match=name.replace(".", r"\.")) as error:
            read(tmp_path / name)
        assert says in str(error.value)
    assert {*data.OF_FRAMES, *data.OF_TEXT} == {*data.FORMATS}


def test_damaged_files_are_refused_by_name_and_take_no_memory(tmp_path: Path) -> None:
    """Hundreds of them: bytes changed, put in, taken out, doubled."""
    rng = np.random.default_rng(0)
    files: dict[str, bytes] = {}
    for name, save in (("plain.npz", np.savez), ("packed.npz", np.savez_compressed)):
        save(tmp_path / name, frames=FRAMES, labels=["a", "b", "c", "d"], targets=FRAMES[:, :1], frame_ms=10.0)
    np.save(tmp_path / "one.npy", FRAMES)
    (tmp_path / "table.csv").write_text("time,x,y,label,target\n0,1,2,a,3\n1,2,3,b,4\n2,3,4,,\n")
    (tmp_path / "lines.txt").write_text("h\u00e9llo there\tgood\nbye\tbad\n", encoding="utf-8")
    for path in tmp_path.iterdir():
        files[path.name] = path.read_bytes()
    refused = 0
    tracemalloc.start()
    for turn in range(600):
        name = list(files)[turn % len(files)]
        raw = bytearray(files[name])
        for _ in range(rng.integers(1, 5)):
            at, kind = int(rng.integers(len(raw) + 1)), rng.integers(4)
            if kind == 0:
                raw[at : at + 1] = rng.bytes(1)
            elif kind == 1:
                raw[at:at] = rng.bytes(int(rng.integers(1, 8)))
            elif kind == 2:
                del raw[at : at + int(rng.integers(1, 30))]
            else:
                raw[at:at] = raw[max(0, at - 20) : at]
        (tmp_path / name).write_bytes(raw)
        try:
            read(tmp_path / name)
        except InputError as error:
            refused += 1
            assert name in str(error)
    assert 300 < refused < 600
    assert tracemalloc.get_traced_memory()[1] < 16 << 20
    tracemalloc.stop()
