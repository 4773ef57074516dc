"""Keras's files that are damaged, lie, or lead elsewhere."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import h5py
import pytest
from against_keras import MOST, differences
from keras_files import BIAS, DENSE, KERNEL, SAVED, archive, chain

from ostinato.errors import ForeignModelError
from ostinato.importing import import_model
from ostinato.importing.keras import files, hdf5


@pytest.mark.parametrize("path", SAVED[::2], ids=lambda path: path.name)
def test_what_keras_saved_is_read_by_a_process_of_its_own(path: Path) -> None:
    assert max(differences(path)) < MOST


def test_nothing_is_read_from_elsewhere(tmp_path: Path) -> None:
    secret = tmp_path / "secret.h5"
    with h5py.File(secret, "w") as file:
        file["k"] = KERNEL
    (tmp_path / "raw").write_bytes(KERNEL.tobytes())

    def external_link(file: Any) -> None:
        file["layers/dense/vars/1"] = BIAS
        file["layers/dense/vars/0"] = h5py.ExternalLink(str(secret), "k")

    def soft_link(file: Any) -> None:
        file["layers/dense/vars/1"] = BIAS
        file["layers/dense/vars/0"] = h5py.SoftLink("/layers/dense/vars/1")

    def external_data(file: Any) -> None:
        file["layers/dense/vars/1"] = BIAS
        file.create_dataset("layers/dense/vars/0", (2, 3), "f4", external=[(str(tmp_path / "raw"), 0, 24)])

    def virtual(file: Any) -> None:
        file["layers/dense/vars/1"] = BIAS
        layout = h5py.VirtualLayout((2, 3), "f4")
        layout[:] = h5py.VirtualSource(str(secret), "k", shape=(2, 3))
        file.create_virtual_dataset("layers/dense/vars/0", layout)

    def circle(file: Any) -> None:
        file["layers/dense/vars/1"] = BIAS
        file["layers/dense/again"] = file["layers"]

    for fill, message in (
        (external_link, "is a link"), (soft_link, "is a link"), (external_data, "lies in another file"),
        (virtual, "lies in another file"), (circle, "by two names"),
    ):  # fmt: skip
        with pytest.raises(ForeignModelError, match=message):
            import_model(archive(tmp_path, chain(DENSE), fill))
    with h5py.File(tmp_path / "linked.h5", "w") as file:
        file.attrs["model_config"] = json.dumps(chain(DENSE))
        file["model_weights"] = h5py.ExternalLink(str(secret), "/")
    with pytest.raises(ForeignModelError, match="is a link, which may lead anywhere"):
        import_model(tmp_path / "linked.h5")


def test_sizes_are_bounded_before_anything_is_read(tmp_path: Path) -> None:
    def sparse(file: Any) -> None:
        file.create_dataset("layers/dense/vars/0", (1 << 20, 1 << 20), "f4", chunks=(1024, 1024))

    with pytest.raises(ForeignModelError, match=r"arrays are over 1073741824 bytes"):
        import_model(archive(tmp_path, chain(DENSE), sparse))
    bomb = " " * (files.MAX_CONFIG + 1)
    with pytest.raises(ForeignModelError, match=r"config.json has 16777217 bytes, over the limit of 16777216"):
        import_model(archive(tmp_path, bomb))
    for text in ("[" * 100_000, '{"class_name": ' + "[" * 300_000, '{"a": ' * 100_000, "{", "3", "[1e999]", "\x00"):
        with pytest.raises(ForeignModelError, match=r"config.json is no JSON"):
            import_model(archive(tmp_path, text))


def test_damaged_files_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "damaged"
    for saved in SAVED:
        data = saved.read_bytes()
        for length in (0, 1, 4, 64, len(data) // 3, len(data) // 2, len(data) - 400, len(data) - 1):
            path.write_bytes(data[:length])
            with pytest.raises(ForeignModelError):
                import_model(path)
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["a"] = KERNEL
    with pytest.raises(ForeignModelError, match="weights only"):
        import_model(tmp_path / "other.h5")
    with zipfile.ZipFile(path, "w") as archived:
        archived.writestr("config.json", json.dumps(chain(DENSE)))
    with pytest.raises(ForeignModelError, match=r"no model.weights.h5: save it in one piece"):
        import_model(path)


def test_a_library_that_crashes_or_hangs_harms_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "program.py"
    monkeypatch.setattr(hdf5, "PROGRAM", program)
    monkeypatch.setattr(hdf5, "LONGEST_S", 0.5)
    for code, message in (
        ("import os; os.abort()", r"HDF5's library failed at it \(exit code -6\)"),
        ("while True: pass", r"takes over 0\.5 s: it is damaged"),
        ("", "gave something else"),
        ("import sys; open(sys.argv[2], 'w').write('x' * 99)", "gave something else"),
        ("raise ModuleNotFoundError(\"No module named 'h5py'\")", "pip install h5py"),
    ):
        program.write_text(code)
        with pytest.raises(ForeignModelError, match=message):
            import_model(SAVED[0])
