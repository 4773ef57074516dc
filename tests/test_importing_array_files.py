"""Files of arrays, .safetensors and .npz: read alike, and refused where they are damaged or lie."""

from __future__ import annotations

import io
import json
import struct
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file
from test_importing_arrays import DENSE, FRAMES_OF_3, HEADS, LSTM, Array, arrays, drafted, one_layer, settings

from ostinato.errors import ForeignModelError
from ostinato.importing import import_model
from ostinato.importing.arrays import npz, tensors
from ostinato.importing.formats import format_of
from ostinato.model import write
from ostinato.model.layers import Dense
from ostinato.packages import zips


def test_safetensors_are_read_like_npz(tmp_path: Path) -> None:
    text, given = FRAMES_OF_3 + LSTM + DENSE, arrays()
    path = tmp_path / "arrays.safetensors"
    save_file(given, path)
    assert format_of(path).name == "safetensors"
    made = tensors.draft(path, settings(tmp_path, text)).network
    assert made.digest == drafted(tmp_path, text).network.digest
    header = {"w_o": {"dtype": "BF16", "shape": [2, 4], "data_offsets": [0, 16]}}
    rest = json.dumps(header).encode()
    double = rest[:-1] + b"," + rest[1:]
    bits = (given["w_o"].view(np.uint32) >> 16).astype("<u2")
    path.write_bytes(struct.pack("<Q", len(rest)) + rest + bits.tobytes())
    expected = (bits.astype(np.uint32) << 16).view(np.float32)
    np.testing.assert_array_equal(tensors.read(path).arrays["w_o"].float32("w_o"), expected)
    for name, change, said in (
        ("cut", lambda data: data[:-1], "damaged or cut off"),
        ("type", lambda data: data.replace(b'"BF16"', b'"I128"'), "damaged or cut off"),
        ("float8", lambda data: data.replace(b'"BF16"', b'"F8_E5M2"').replace(b"16]", b"8]"), "damaged or cut off"),
        ("twice", lambda data: struct.pack("<Q", len(double)) + double + data[-16:], "'w_o' more than once"),
        ("header", lambda data: struct.pack("<Q", 1 << 40) + data[8:], "over the limit"),
    ):
        other = tmp_path / f"{name}.safetensors"
        other.write_bytes(change(path.read_bytes()))
        with pytest.raises(ForeignModelError, match=said):
            tensors.read(other)
    write(path, one_layer(Dense(2)))
    with pytest.raises(ForeignModelError, match="is an Ostinato model already"):
        import_model(path)


def npy(array: Array, shape: tuple[int, ...] | None = None) -> bytes:
    """A .npy file; its header may say another shape."""
    file = io.BytesIO()
    header = np.lib.format.header_data_from_array_1_0(array)
    np.lib.format.write_array_header_1_0(file, header | {"shape": shape or array.shape})
    return file.getvalue() + array.tobytes()


def archive(
    path: Path, members: Mapping[str, bytes], change: Callable[[zipfile.ZipFile], None] | None = None
) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as made:
        for name, data in members.items():
            made.writestr(name, data)
        if change:
            change(made)
    return path


def test_damaged_and_lying_archives_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    objects = io.BytesIO()
    np.save(objects, np.array([{}, None], object), allow_pickle=True)

    def claim(size: int) -> Callable[[zipfile.ZipFile], None]:
        def change(made: zipfile.ZipFile) -> None:
            made.infolist()[0].file_size = size

        return change

    for members, change, said in (
        ({"a.npy": npy(np.ones(4), (1 << 28,))}, None, "cut off"),
        ({"a.npy": npy(np.ones(4), (-4,))}, None, "cut off|damaged"),
        ({"a.npy": npy(np.ones(4))[:30]}, None, "damaged"),
        ({"a.npy": b"\x93NUMPY\x07\x07"}, None, "damaged"),
        ({"a.npy": objects.getvalue()}, None, "Python objects, which could run code"),
        ({"a.npy": npy(np.ones(4))}, claim(2 << 30), "unpacks to 2147483648 bytes, over the limit"),
        ({"a.npy": npy(np.ones(4))}, claim(1000), "damaged|cut off"),
        ({"a.txt": b"", "b/a.npy.txt": b""}, None, "no array"),
    ):
        with pytest.raises(ForeignModelError, match=said):
            npz.read(archive(path, members, change))
    data = archive(path, {"a.npy": npy(np.ones(400))}).read_bytes()
    for cut in range(4, len(data), 7):
        path.write_bytes(data[:cut])
        with pytest.raises(ForeignModelError):
            npz.read(path)
    bomb = tmp_path / "bomb.npz"
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr("a.npy", bytes(zips.HARMLESS + 1))
    with pytest.raises(ForeignModelError, match="over 100 times its size"):
        npz.read(bomb)
    many = archive(path, {f"{number}{'x' * 60000}.npy": b"" for number in range(80)})
    with pytest.raises(ForeignModelError, match="list of members has"):
        npz.read(many)


def test_the_commands_draft_and_import(ostinato: Any, tmp_path: Path) -> None:
    """As a user does it: the draft lists the arrays, and says what to write; then the model is there."""
    np.savez(tmp_path / "wave.npz", **arrays())
    done = ostinato("import", "wave.npz", "--draft", cwd=tmp_path)
    assert done.returncode == 0 and "#   w_x [16, 3]\n" in done.stdout and "docs/import.md" in done.stdout
    (tmp_path / "spec.toml").write_text(FRAMES_OF_3 + LSTM + DENSE + HEADS)
    done = ostinato("import", "wave.npz", "--settings", "spec.toml", "--json", "-", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["parity"]["largest"] < 1e-5
    assert (tmp_path / "wave.safetensors").is_file()
    done = ostinato("verify", "wave.safetensors", "--against", "wave.npz", "--settings", "spec.toml", cwd=tmp_path)
    assert done.returncode == 0 and "largest difference from float64" in done.stdout
    done = ostinato("verify", "wave.safetensors", "--against", "wave.npz", cwd=tmp_path)
    assert done.returncode == 1 and "give the settings that it was imported with" in done.stderr
    assert ostinato("verify", "wave.safetensors", cwd=tmp_path).returncode == 2
