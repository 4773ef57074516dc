"""`ostinato bench published`, with tiny files that stand for published ones: parity with states carried, times,
streams in real time, denoising, tables and picture."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import soundfile
from onnx import TensorProto, helper, numpy_helper
from typer.testing import CliRunner

from ostinato.cli.app import app
from ostinato.errors import ForeignModelError, InputError, PackageError
from ostinato.model import Network
from ostinato.model.activation import Activation
from ostinato.model.decoders import InverseSpectrum, SpeechActivity
from ostinato.model.front_ends import Samples, Spectrum
from ostinato.model.layers import Activate, Dense
from ostinato.model.specification import Sequential
from ostinato.packages import Wheel
from ostinato.streaming import Model
from ostinato_bench.peers.onnx_file import OnnxFile, Signature
from ostinato_bench.published import catalogue, chunks, denoising, measurement, paced, sounds
from ostinato_bench.published.catalogue import PublishedFile
from ostinato_bench.published.picture import draw, write_recordings
from ostinato_bench.published.tables import terminal
from ostinato_bench.report import VIEWS

SIZE, HIDDEN = 6, 4
STEP = Signature("x", (1, 1, SIZE), "y", {"h": "next_h"})
WHOLE = Signature("x", (1, 1, SIZE), "y", sequence=0)


@dataclass(frozen=True)
class Folder(Wheel):
    """A package whose files lie in a folder."""

    folder: Path = Path()

    def files(self, paths: Sequence[str], sha256: str) -> dict[str, Path]:
        for path in paths:
            if not (self.folder / path).exists():
                raise PackageError(f"{path} is not there")
        return {path: self.folder / path for path in paths}


def gru(path: Path, *, steps: bool) -> Path:
    """A GRU and what is one value of it: a frame a run with its state outside, or any number of frames."""
    random = np.random.default_rng(5)
    weights = {
        "W": random.normal(size=(1, 3 * HIDDEN, SIZE)),
        "R": random.normal(size=(1, 3 * HIDDEN, HIDDEN)),
        "B": random.normal(size=(1, 6 * HIDDEN)),
    }
    constants = [numpy_helper.from_array(each.astype(np.float32), name) for name, each in weights.items()]
    constants.append(numpy_helper.from_array(np.array([1]), "axes"))
    nodes = [
        helper.make_node("GRU", ["x", "W", "R", "B", "", *["h"] * steps], ["raw", "next_h"], hidden_size=HIDDEN),
        helper.make_node("Squeeze", ["raw", "axes"], ["y"]),
    ]
    frames = 1 if steps else "frames"

    def value(name: str, *shape: int | str) -> Any:
        return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)

    state = [value("h", 1, 1, HIDDEN)] if steps else []
    graph = helper.make_graph(
        nodes, "tiny", [value("x", frames, 1, SIZE), *state],
        [value("y", frames, 1, HIDDEN), *([value("next_h", 1, 1, HIDDEN)] if steps else [])], constants,
    )  # fmt: skip
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    path.write_bytes(model.SerializeToString())
    return path


def tiny_frames(seconds: float) -> Any:
    return np.random.default_rng(3).normal(size=(int(10 * seconds), SIZE)).astype(np.float32)


def tiny(folder: Path, name: str, signature: Signature) -> PublishedFile:
    return PublishedFile("tiny", Folder("p", "1", "", folder=folder), name, "", 10.0, signature, tiny_frames)


@pytest.fixture
def files(tmp_path: Path) -> Mapping[str, PublishedFile]:
    gru(tmp_path / "tiny-steps.onnx", steps=True)
    gru(tmp_path / "tiny-whole.onnx", steps=False)
    return {
        "steps": tiny(tmp_path, "tiny-steps.onnx", STEP),
        "whole": tiny(tmp_path, "tiny-whole.onnx", WHOLE),
        "gone": tiny(tmp_path, "tiny-gone.onnx", STEP),
    }


# --- ONNX Runtime, by hand ------------------------------------------------------------------------------------------


def test_states_are_carried_in_all_ways_of_calling(files: Mapping[str, PublishedFile]) -> None:
    frames = tiny_frames(2.0)
    whole = OnnxFile(files["whole"].fetch(), WHOLE).outputs(frames)
    by_hand = OnnxFile(files["steps"].fetch(), STEP)
    assert whole.shape == (20, HIDDEN)
    np.testing.assert_allclose(by_hand.outputs(frames), whole, atol=1e-6)
    for made in (by_hand.steps(frames), by_hand.bound_steps(frames)):
        np.testing.assert_allclose([np.array(made()).ravel() for _ in frames], whole, atol=1e-6)
        assert not np.allclose(np.ravel(made()), whole[0], atol=1e-3)  # the first again, from the state that is there


def test_a_file_of_sequences_starts_from_zeros_in_each_call(files: Mapping[str, PublishedFile]) -> None:
    frames = tiny_frames(1.0)
    step = OnnxFile(files["whole"].fetch(), WHOLE).steps(frames[:1])
    np.testing.assert_array_equal(step(), step())


# --- files ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("which", ["steps", "whole"])
def test_a_row_of_a_file(which: str, files: Mapping[str, PublishedFile]) -> None:
    row = chunks.measure(files[which], 3.0, 0.05)
    json.dumps(row)
    assert row["frames"] == 30
    assert row["largest_difference"] < 1e-5 < 0.1 < row["largest_value"]
    assert row["carries_states"] == (which == "steps")
    assert set(row["peers"]) == {"onnxruntime", "onnxruntime-bound"}
    assert min(row["push_us"], row["kernel_us"], *row["peers"].values()) > 0


def test_the_difference_is_seen(files: Mapping[str, PublishedFile], monkeypatch: pytest.MonkeyPatch) -> None:
    """A state that is not handed on, which the first frame does not show."""
    right = OnnxFile.outputs

    def forgetful(self: OnnxFile, frames: Any) -> Any:
        return np.concatenate([right(self, frame[None]) for frame in frames])

    monkeypatch.setattr(OnnxFile, "outputs", forgetful)
    assert chunks.measure(files["steps"], 3.0, 0.01)["largest_difference"] > 0.1


def test_what_cannot_be_had_is_told_and_the_rest_is_measured(
    files: Mapping[str, PublishedFile], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(catalogue, "FILES", tuple(files.values()))
    monkeypatch.setattr(measurement, "MODELS", ("tiny",))
    monkeypatch.setattr(measurement, "TIMING_S", 0.02)
    said: list[tuple[int, int, str]] = []
    found, example = measurement.run(["tiny"], 2.0, progress=lambda *news: said.append(news))
    assert [each[:2] for each in said] == [(0, 3), (1, 3), (2, 3), (3, 3)]
    assert [row["file"] for row in found["files"]] == ["tiny-steps", "tiny-whole"]
    assert found["missing"] == {"tiny-gone": "tiny-gone.onnx is not there"}
    assert found["paced"] is None and not found["denoising"] and example is None
    assert [table.row_count for table in terminal(json.loads(json.dumps(found)))] == [2]
    with pytest.raises(InputError, match="'tony' is not measured: those that are: tiny; did you mean 'tiny'"):
        measurement.run(["tony"])


def test_what_is_known_of_the_published_files() -> None:
    names = [each.name for each in catalogue.FILES]
    assert len(set(names)) == len(names) == 11
    assert paced.FILE in names and paced.NAME in measurement.MODELS
    assert {each.name for each in catalogue.chosen(["dtln"])} == {"dtln-model_1", "dtln-model_2"}
    for each in catalogue.FILES:
        if "model_2" in each.name:  # its frames need the first one's file
            continue
        frames = each.frames(2.0)
        assert frames.shape[1] == np.prod(each.signature.shape)
        assert abs(len(frames) - 2000 / each.chunk_ms) <= 2
        assert np.abs(frames).max() > 0.1


# --- sounds ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("spoken", [True, False])
def test_speech_and_noises(spoken: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if not spoken:
        monkeypatch.setattr(shutil, "which", lambda program: None)
    sounds.speech.cache_clear()
    made = sounds.speech(3.0, 48000)
    sounds.speech.cache_clear()
    assert made.samples.shape == (144000,) and made.rate == 48000
    assert 0.2 < np.abs(made.samples).max() <= 1
    noises = sounds.noises(8000)
    assert {"white", "pink", "hum"} <= set(noises) and ("babble" in noises) <= spoken
    for noise in noises.values():
        assert noise.shape == (8000,)
    clean = made.samples[:8000]
    noisy = sounds.mixed(clean, noises["pink"], 5.0)
    added = (noisy - clean).astype(np.float64)
    assert 10 * np.log10(np.square(clean, dtype=np.float64).sum() / np.square(added).sum()) == pytest.approx(
        5, abs=1e-3
    )


# --- in real time ---------------------------------------------------------------------------------------------------


def test_a_chunk_waits_from_when_it_is_due(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also while another is computed, or chunks are let gather."""
    monkeypatch.setattr(paced, "_WARM_S", 0.1)

    def quick(keys: Sequence[int], _: Sequence[Any]) -> Iterator[int]:
        yield from keys

    def slow(keys: Sequence[int], _: Sequence[Any]) -> Iterator[int]:
        time.sleep(0.03)
        yield from keys

    def silent(keys: Sequence[int], _: Sequence[Any]) -> Iterator[int]:
        yield from keys[:-1]

    found = paced.paced(quick, 4, 0.2)
    assert found["chunks"] == 25
    assert paced.paced(slow, 4, 0.2)["latency_ms"]["p50"] > 29
    gathered = paced.paced(quick, 4, 0.2, gather_ms=64.0)["latency_ms"]["max"]
    assert gathered > 30
    with pytest.raises(RuntimeError, match="1 chunks have no result"):
        paced.paced(silent, 4, 0.2)


def test_streams_in_real_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    chain = [Dense(1, Activation("sigmoid"))]
    network = Network.random(Sequential("vad", Samples(16000, 576, 512), chain, SpeechActivity()))
    monkeypatch.setattr(paced, "import_model", lambda name: SimpleNamespace(network=network))
    random = np.random.default_rng(0)
    nodes = [
        helper.make_node("Identity", ["state"], ["stateN"]),
        helper.make_node("MatMul", ["input", "W"], ["output"]),
    ]
    shapes = {"input": (1, 576), "state": (2, 1, 128), "output": (1, 1), "stateN": (2, 1, 128)}
    values = {name: helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in shapes.items()}
    W = numpy_helper.from_array(random.normal(size=(576, 1)).astype(np.float32), "W")
    graph = helper.make_graph(
        nodes, "vad", [values["input"], values["state"]], [values["output"], values["stateN"]], [W]
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    (tmp_path / f"{paced.FILE}.onnx").write_bytes(model.SerializeToString())
    signature = Signature("input", (1, 576), "output", {"state": "stateN"})
    file = PublishedFile(
        "silero-vad", Folder("p", "1", "", folder=tmp_path), f"{paced.FILE}.onnx", "", 32.0, signature, tiny_frames
    )
    monkeypatch.setattr(paced, "FILES", (file,))
    monkeypatch.setattr(paced, "_WARM_S", 0.1)
    monkeypatch.setattr(paced, "ROUNDS", 2)
    found = paced.measure(5, 0.6)
    assert set(found["answers"]) == {"ostinato", "ostinato-gathering", "onnxruntime"}
    for one in found["answers"].values():
        assert one["chunks"] == 94
        assert 0 < one["latency_ms"]["p50"] <= one["latency_ms"]["p99"]
        assert one["core_share"] > 0


# --- denoising ------------------------------------------------------------------------------------------------------


def keeps_all(name: str) -> SimpleNamespace:
    """A denoiser that changes nothing."""
    front_end = Spectrum(48000 if name == "own rate" else 16000, 320, 160, window="sqrt-hann", pad=True)
    decoder = InverseSpectrum(320, 160, window="sqrt-hann", trim_start=160, trim_end=160)
    if name == "gone":
        raise ForeignModelError("it is not there")
    return SimpleNamespace(
        network=Network.random(
            Sequential(name.replace(" ", "-"), front_end, [Activate(Activation("identity"))], decoder)
        )
    )


def test_denoising(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(denoising, "import_model", keeps_all)
    rows, example, missing = denoising.measure(["same", "gone"], 2.0)
    assert missing == {"gone": "it is not there"}
    assert len(rows) in (9, 12)  # babble, where there are voices for it
    for row in rows:
        assert row["si_sdr_after_db"] == row["si_sdr_before_db"] == pytest.approx(row["snr_db"], abs=0.6)
        assert row["delay_ms"] == 20.0
        assert row["border_step"] < 1.5
    assert example is not None
    draw(example, tmp_path / "it.png")
    assert (tmp_path / "it.png").read_bytes().startswith(b"\x89PNG")
    paths = write_recordings(example, tmp_path / "it.png")
    assert [path.name for path in paths] == ["it-clean.wav", "it-noisy.wav", "it-same.wav"]
    heard, rate = soundfile.read(paths[2], dtype="float32")
    assert rate == 16000
    np.testing.assert_allclose(heard, np.clip(example.noisy, -1, 1), atol=2e-4)
    resampled, _ = denoising.denoised(Model(keeps_all("own rate").network), example.noisy)
    assert denoising.si_sdr(resampled, example.noisy) > 25  # but for what the transition band takes
    for view in ("published-denoising", "published-smoothness"):
        assert "same" in VIEWS[view]({"denoising": rows})


def test_si_sdr_and_steps() -> None:
    random = np.random.default_rng(0)
    clean, noise = random.normal(size=(2, 16000)).astype(np.float32)
    assert denoising.si_sdr(3 * clean + 0.3 * noise, clean) == pytest.approx(20, abs=0.2)
    assert denoising.si_sdr(clean + noise, clean) == pytest.approx(0, abs=0.2)
    smooth = np.sin(np.arange(1600) / 10).astype(np.float32)
    assert denoising.border_step(smooth, 160) == pytest.approx(1, abs=0.05)
    smooth[480:] += 1
    assert denoising.border_step(smooth, 160) > 9
    assert denoising.border_step(smooth, 161) < 0.2  # a step elsewhere is no border's


# --- tables and command ---------------------------------------------------------------------------------------------


def test_tables_in_documents() -> None:
    peers = {"onnxruntime": 40.0, "onnxruntime-bound": 30.0}
    row = {
        "file": "a", "carries_states": False, "chunk_ms": 8.0, "largest_difference": 2e-6, "largest_value": 1.0,
        "push_us": 20.0, "kernel_us": 10.0, "peers": peers, "multiply_adds": 360_000, "weight_bytes": 1_500_000,
    }  # fmt: skip
    answer = {"latency_ms": {"p50": 0.2, "p90": 0.3, "p99": 2.5, "max": 6.0}, "core_share": 0.5}
    found = {
        "files": [row],
        "paced": {"gather_ms": 8.0, "answers": {"ostinato-gathering": answer}},
        "speech": "words",
        "machine": {"processor": "p", "instructions": ["avx2"], "cores": 2, "load": 4.5},
        "versions": {"numpy": "2"},
        "date": "2026-11-26T03:00:00+00:00",
    }
    assert "| a * | 8 ms | 2.0e-06 | 1 | 20.0 | 10.0 | 40.0 | 30.0 | 1.5 × | 3.0 × |" in VIEWS["published-files"](
        found
    )
    assert "| engine, every 8 ms | 0.20 ms | 0.30 ms | 2.50 ms | 6.00 ms | 50% |" in VIEWS["published-streams"](found)
    assert VIEWS["published-streams"](found | {"paced": None}) == "Not measured."
    told = VIEWS["published-source"](found)
    assert "2 cores, with others at work on them (load 4.5)" in told and "Speech: words." in told


def test_a_model_that_is_not_known_is_refused_by_the_command() -> None:
    made = CliRunner().invoke(app, ["bench", "published", "--models", "silero"])
    assert made.exit_code != 0
    assert isinstance(made.exception, InputError) or "did you mean 'silero-vad'" in made.output
