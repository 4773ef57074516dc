"""Model files: what is written is read back to the bit, and whatever is wrong is refused by name."""

from __future__ import annotations

import io
import json
import pickle
import subprocess
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.numpy
from hypothesis import given, settings
from hypothesis import strategies as st
from random_models import specifications

from ostinato import model
from ostinato.errors import BadModelFileError, UnknownModelError
from ostinato.model import Network, Sequential, Specification
from ostinato.model import file as model_file
from ostinato.model import network as model_network
from ostinato.model.decoders import Outputs
from ostinato.model.front_ends import Frames, LogMel
from ostinato.model.layers import Dense, Gru, Lstm, Softmax
from ostinato.server import spawn_server
from ostinato.server.loading import load_models
from ostinato.streaming import load
from ostinato_client import Client

SPECIFICATION = Sequential("small", Frames(3), (Gru(5), Lstm(4, peepholes=True), Dense(2)), Outputs())


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A good model file."""
    path = tmp_path / "small.safetensors"
    model.write(path, Network.random(SPECIFICATION, 3))
    return path


def parts(path: Path) -> tuple[dict[str, np.ndarray[Any, Any]], dict[str, str]]:
    """Weights and metadata of a model file."""
    with safetensors.safe_open(path, framework="numpy") as file:
        return {name: file.get_tensor(name) for name in file.keys()}, file.metadata()  # noqa: SIM118


def refused(path: Path) -> str:
    """The message with which the file is refused; it names the file."""
    with pytest.raises(BadModelFileError) as caught:
        model.read(path)
    assert str(path) in str(caught.value)
    return str(caught.value)


@settings(deadline=None, max_examples=20)
@given(specification=specifications(), seed=st.integers(0, 100))
def test_a_file_holds_the_network_to_the_bit(
    tmp_path_factory: pytest.TempPathFactory, specification: Specification, seed: int
) -> None:
    network = Network.random(specification, seed)
    path = tmp_path_factory.mktemp("model") / "it.safetensors"
    model.write(path, network)
    again = model.read(path)
    assert again.specification == specification
    assert again.digest == network.digest
    assert {n: a.tobytes() for n, a in again.weights.items()} == {n: a.tobytes() for n, a in network.weights.items()}


def test_the_digest_changes_with_every_weight_and_the_specification() -> None:
    network = Network.random(SPECIFICATION)
    digests = {network.digest}
    for name, array in network.weights.items():
        changed = array.copy()
        changed.flat[-1] += 1
        digests.add(Network(SPECIFICATION, {**network.weights, name: changed}).digest)
    digests.add(Network(replace(SPECIFICATION, name="x"), network.weights).digest)
    assert len(digests) == len(network.weights) + 2


def test_a_network_cannot_be_changed() -> None:
    given_array = np.zeros((2, 4), np.float32)
    network = Network(SPECIFICATION, {**Network.random(SPECIFICATION).weights, "dense.W": given_array})
    given_array[:] = 7
    assert not network.weights["dense.W"].any()
    with pytest.raises(ValueError, match="read-only"):
        network.weights["dense.W"][0, 0] = 1
    with pytest.raises(TypeError):
        network.weights["dense.W"] = given_array  # type: ignore[index]


def test_random_networks_are_of_sensible_size() -> None:
    specification = Sequential("s", LogMel(normalise=True), (Lstm(64), Gru(48), Dense(5)), Outputs())
    network = Network.random(specification, 1)
    assert network.digest == Network.random(specification, 1).digest != Network.random(specification, 2).digest
    for gate in network.weights["lstm.forward.R"].reshape(4, 64, 64):
        np.testing.assert_allclose(gate @ gate.T, np.eye(64), atol=1e-5)
    bias = network.weights["lstm.forward.Wb"].reshape(4, 64)
    assert (bias[2] == 1).all() and not bias[[0, 1, 3]].any()
    assert (network.weights["front_end.scale"] == 1).all() and not network.weights["front_end.mean"].any()
    wanted = np.sqrt(2 / (40 + 64))
    assert abs(network.weights["lstm.forward.W"].std() / wanted - 1) < 0.1


def changed_weights(change: Callable[[dict[str, Any]], None], path: Path) -> str:
    weights, metadata = parts(path)
    change(weights)
    safetensors.numpy.save_file(weights, path, metadata)
    return refused(path)


WRONG_WEIGHTS: dict[str, tuple[Callable[[dict[str, Any]], Any], str]] = {
    "unused": (lambda w: w.update(extra=np.zeros(3, np.float32)), "weight extra is unused"),
    "missing": (lambda w: w.pop("lstm.forward.P"), "weight lstm.forward.P is missing"),
    "misshapen": (lambda w: w.update({"dense.b": np.zeros(3, np.float32)}), r"dense.b has shape [3]"),
    "transposed": (lambda w: w.update({"dense.W": np.zeros((4, 2), np.float32)}), "the specification says [2, 4]"),
    "float64": (lambda w: w.update({"dense.b": np.zeros(2)}), "dense.b is of type float64"),
    "float16": (lambda w: w.update({"dense.b": np.zeros(2, np.float16)}), "dense.b is of type float16"),
    "integers": (
        lambda w: w.update({"dense.b": np.zeros(2, np.int8)}),
        "dense.b is of type int8: convert it to float32",
    ),
    "nan": (lambda w: w.update({"dense.b": np.array([0, np.nan], np.float32)}), "dense.b has NaN"),
    "infinite": (lambda w: w.update({"dense.b": np.array([0, -np.inf], np.float32)}), "dense.b has NaN"),
}


@pytest.mark.parametrize("case", WRONG_WEIGHTS)
def test_a_wrong_weight_is_refused_by_name(case: str, path: Path) -> None:
    change, message = WRONG_WEIGHTS[case]
    assert message in changed_weights(change, path)


def with_specification(path: Path, change: Callable[[dict[str, Any]], None]) -> str:
    weights, metadata = parts(path)
    raw = json.loads(metadata["ostinato"])
    change(raw)
    safetensors.numpy.save_file(weights, path, {"ostinato": json.dumps(raw)})
    return refused(path)


def test_a_wrong_specification_is_refused(path: Path) -> None:
    assert "version 99" in with_specification(path, lambda raw: raw.update(version=99))


def test_an_unknown_field_is_refused(path: Path) -> None:
    assert "unknown field 'colour'" in with_specification(path, lambda raw: raw.update(colour="red"))


def test_a_specification_nested_beyond_reason_is_refused(path: Path) -> None:
    weights, _ = parts(path)
    safetensors.numpy.save_file(weights, path, {"ostinato": "[" * 200_000})
    refused(path)


@pytest.mark.parametrize("value", ["NaN", "Infinity", "1e999", "1e300"])
def test_numbers_that_are_none_are_refused(value: str, path: Path) -> None:
    weights, metadata = parts(path)
    text = metadata["ostinato"].replace('"frame_ms": 10.0', f'"frame_ms": {value}')
    assert text != metadata["ostinato"]
    safetensors.numpy.save_file(weights, path, {"ostinato": text})
    assert "specification.front_end.frame_ms is" in refused(path)


def test_a_safetensors_file_of_something_else_is_refused(path: Path) -> None:
    weights, _ = parts(path)
    safetensors.numpy.save_file(weights, path)
    assert "no Ostinato model" in refused(path)
    safetensors.numpy.save_file(weights, path, {"format": "pt"})
    assert "ostinato.model.write" in refused(path)


def zipped() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("data.pkl", b"x")
    return buffer.getvalue()


FOREIGN = {
    **{f"pickle {n}": (pickle.dumps({"a": [1.0] * 50}, protocol=n), "a pickle") for n in (2, 3, 4, 5)},
    "zip": (zipped(), "a zip archive"),
    "numpy": (b"\x93NUMPY\x01\x00" + bytes(100), "a NumPy file"),
    "hdf5": (b"\x89HDF\r\n\x1a\n" + bytes(100), "an HDF5 file"),
    "random": (np.random.default_rng(0).bytes(5000), "damaged or truncated"),
    "text": (b"hello " * 20, "damaged or truncated"),
    "empty": (b"", "damaged or truncated"),
}


@pytest.mark.parametrize("kind", FOREIGN)
def test_renamed_files_of_other_kinds_are_refused_with_the_cure(kind: str, path: Path) -> None:
    data, message = FOREIGN[kind]
    path.write_bytes(data)
    assert message in refused(path)


def test_every_truncation_is_refused(path: Path) -> None:
    data = path.read_bytes()
    for length in [*range(0, len(data), 97), len(data) - 1]:
        path.write_bytes(data[:length])
        refused(path)
    path.write_bytes(data + b"\0")
    refused(path)


@settings(deadline=None, max_examples=60)
@given(data=st.data())
def test_damage_is_refused_or_harmless(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    """Any bytes changed anywhere: a network or BadModelFileError, never anything else."""
    path = tmp_path_factory.mktemp("damaged") / "it.safetensors"
    model.write(path, Network.random(SPECIFICATION, 3))
    content = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(bytes(content))
    try:
        assert isinstance(model.read(path), Network)
    except BadModelFileError as error:
        assert str(path) in str(error)


def test_a_file_that_is_too_large_is_refused_unread(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(model_file, "MAX_FILE_BYTES", path.stat().st_size - 1)
    assert "over the limit" in refused(path)


def test_a_network_that_is_too_large_is_neither_made_nor_written(monkeypatch: pytest.MonkeyPatch) -> None:
    big = Sequential("big", Frames(65536), (Gru(65536),), Outputs())
    with pytest.raises(BadModelFileError, match="over the limit"):
        Network.random(big)
    monkeypatch.setattr(model_network, "MAX_WEIGHT_BYTES", 100)
    with pytest.raises(BadModelFileError, match="over the limit of 100"):
        Network.random(SPECIFICATION)


def test_no_file_and_a_folder_are_told_apart(tmp_path: Path) -> None:
    with pytest.raises(UnknownModelError, match="no such file"):
        model.read(tmp_path / "none.safetensors")
    assert "not a file" in refused(tmp_path)


def test_writing_refuses_what_reading_would(tmp_path: Path) -> None:
    network = Network.random(SPECIFICATION)
    with pytest.raises(BadModelFileError, match=r"ends in \.safetensors"):
        model.write(tmp_path / "model.bin", network)
    odd = Sequential("odd", Frames(3), (Softmax(),), Outputs())
    odd.card["date"] = 2026  # type: ignore[assignment]
    with pytest.raises(BadModelFileError, match="date"):
        model.write(tmp_path / "odd.safetensors", Network.random(odd))
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(BadModelFileError, match="cannot be written"):
        model.write(tmp_path / "no folder" / "it.safetensors", network)
    (tmp_path / "taken.safetensors").mkdir()
    with pytest.raises(BadModelFileError, match="cannot be written"):
        model.write(tmp_path / "taken.safetensors", network)


def test_a_failed_write_leaves_the_old_file(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = path.read_bytes()
    monkeypatch.setattr(model_file, "MAX_FILE_BYTES", 10)
    with pytest.raises(BadModelFileError, match="over the limit"):
        model.write(path, Network.random(SPECIFICATION, 4))
    assert path.read_bytes() == before and list(path.parent.iterdir()) == [path]
    monkeypatch.undo()
    model.write(path, Network.random(SPECIFICATION, 4))
    assert path.read_bytes() != before and list(path.parent.iterdir()) == [path]


def test_models_are_found_by_name_in_the_users_folders_first(path: Path, tmp_path: Path) -> None:
    other = tmp_path / "more"
    other.mkdir()
    model.write(other / "digits.safetensors", Network.random(SPECIFICATION))
    model.write(other / "small.safetensors", Network.random(SPECIFICATION))
    found = model.available([path.parent, other])
    assert found["small"] == path and found["digits"].parent == other
    assert model.resolve("small", [path.parent]) == path == model.resolve(path) == model.resolve(str(path))


@pytest.mark.parametrize("name", ["nothing", "../small", "small.safetensors", "a/b.safetensors", "", "."])
def test_an_unknown_model_error_lists_what_there_is(name: str, path: Path) -> None:
    with pytest.raises(UnknownModelError, match="small") as caught:
        model.resolve(name, [path.parent])
    assert repr(name) in str(caught.value)


def test_a_missing_models_folder_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(UnknownModelError, match="no such folder"):
        model.available([tmp_path / "none"])


def test_a_path_is_never_taken_for_a_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ostinato: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    """A file in the working folder that is called as a bundled model is, without the suffix, whoever asks for it."""
    monkeypatch.chdir(tmp_path)
    Path("digits-uni").write_bytes(model.resolve("digits-bi").read_bytes())
    digest = model.read(model.resolve("digits-bi")).digest
    assert model.read(model.resolve("digits-uni")).digest != digest, "without a folder it is a name"
    for written in ("./digits-uni", Path("./digits-uni"), Path("digits-uni"), str(tmp_path / "digits-uni")):
        found = model.resolve(written)
        assert found == model.resolve(found) == model.resolve(str(found))
        assert load(written).network.digest == load(found).network.digest == digest
        assert load_models([written], [], 4)["digits-uni"].network.digest == digest
    with spawn_server(["./digits-uni"]) as server, Client(server.endpoint, timeout=20.0) as client:
        assert client.models()[0].digest == digest
    told = ostinato("inspect", "./digits-uni", "--json", cwd=tmp_path)
    assert json.loads(told.stdout)["digest"] == digest, told.stderr
    Path("digits-uni").unlink()
    for written in ("./digits-uni", Path("digits-uni")):
        with pytest.raises(UnknownModelError):
            model.resolve(written)
