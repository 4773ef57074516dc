"""`ostinato quantize`: from any kind of typical input to an int8 model that is served like any other."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
from random_models import network

from ostinato import model
from ostinato.cli.files import RECORDINGS, bundled_recording
from ostinato.model.decoders import Outputs
from ostinato.model.front_ends import Frames, Tokens
from ostinato.model.layers import Convolution, Dense, Embedding, Gru
from ostinato.model.quantization import quantized
from ostinato.model.specification import FRAMES, Head, Node, Sequential, Specification
from ostinato.streaming import load

Run = Callable[..., subprocess.CompletedProcess[str]]


def test_a_digit_model_becomes_an_int8_one(ostinato: Run, tmp_path: Path) -> None:
    made, figures = tmp_path / "small.safetensors", tmp_path / "figures.json"
    done = ostinato("quantize", "digits-uni", "--calibrate", RECORDINGS, "-o", made, "--json", figures)
    assert done.returncode == 0, done.stderr
    for words in ("gru-2.forward.R", "4.86 MB", "errors in 12 words", "95 % interval", "same greatest output"):
        assert words in done.stdout
    found = json.loads(figures.read_text())
    assert found["bytes"]["int8"] < 0.3 * found["bytes"]["float32"]
    outputs = found["outputs"]["main"]
    assert outputs["same_greatest"] > 0.98 and outputs["mean"] < 0.002
    assert found["errors"]["symbols"] == found["errors"]["int8"]["symbols"] == 12 and found["files"] == 2
    assert found["left_out"] == []
    assert found["inputs"]["gru-1.forward.R"]["up_to"] == pytest.approx(1, abs=0.05)
    network = model.read(made)
    assert network.specification.name == "digits-uni-int8"
    card, before = network.specification.card, model.read(model.resolve("digits-uni"))
    assert before.digest[:16] in card["int8"] and "not tested" in card["int8"]
    assert "accuracy" not in card, "it is the float32 model's"
    assert card["accuracy, of the float32 model"] == before.specification.card["accuracy"]
    assert "int8" in ostinato("models", "--models", tmp_path).stdout
    assert "precision  int8" in ostinato("inspect", made).stdout
    heard = ostinato("listen", made, "--file", bundled_recording(), "--fast")
    assert heard.returncode == 0 and "five" in heard.stdout


def test_frames_and_text_calibrate_too(ostinato: Run, tmp_path: Path) -> None:
    frames, text = tmp_path / "frames.npy", tmp_path / "text.txt"
    np.save(frames, np.random.default_rng(0).normal(size=(50, 3)))
    text.write_bytes(b"\xef\xbb\xbf" + b"abba\r\ncab" * 20)
    specifications = {
        frames: Sequential("numbers", Frames(3), (Gru(1),), Outputs()),
        text: Sequential("letters", Tokens(tuple("abc\n")), (Embedding(3), Gru(5)), Outputs()),
    }
    for data, specification in specifications.items():
        before, after = tmp_path / f"{specification.name}.safetensors", tmp_path / "after.safetensors"
        model.write(before, network(specification))
        done = ostinato("quantize", before, "--calibrate", data, "-o", after)
        assert done.returncode == 0, done.stderr
        assert load(after).network.specification.precision == "int8"
        told = "same greatest output" in done.stdout
        assert told == (specification.output_size > 1), "of one output the greatest is no measurement"
    rows = tmp_path / "rows.csv"
    rows.write_text("text,label\nabba,yes\ncab,no\n")
    done = ostinato("quantize", before, "--calibrate", rows, "-o", after)
    assert done.returncode == 0, done.stderr
    again = ostinato("quantize", after, "--calibrate", text, "-o", tmp_path / "again.safetensors")
    assert again.returncode == 1 and "int8 already" in again.stderr


def test_a_model_that_writes_calibrates_on_what_it_makes_of_each_line(ostinato: Run, tmp_path: Path) -> None:
    words, made, figures = tmp_path / "words.txt", tmp_path / "made.safetensors", tmp_path / "figures.json"
    words.write_text("metronome\nknight\n\nordinary\nwhistle\nphonograph\nstreaming\n")
    done = ostinato("quantize", "phonemes-bi", "--calibrate", words, "-o", made, "--json", figures)
    assert done.returncode == 0 and "encoder.states.forward.R" in done.stdout, done.stderr
    found = json.loads(figures.read_text())
    assert found["bytes"]["int8"] < 0.4 * found["bytes"]["float32"] and found["frames"] == 9 + 6 + 8 + 7 + 10 + 9 + 6
    assert found["outputs"]["main"]["same_greatest"] > 0.95
    assert ostinato("translate", made, "--text", "knight").stdout == "N AY T\n"
    (tmp_path / "frames.npy").write_bytes(b"")
    refused = ostinato("quantize", "phonemes-bi", "--calibrate", tmp_path / "frames.npy", "-o", made)
    assert refused.returncode == 2 and "its files end in .txt" in " ".join(refused.stderr.split())


def test_a_node_that_is_kept_computes_the_same_bits(ostinato: Run, tmp_path: Path) -> None:
    nodes = (
        Node("low", Gru(6), (FRAMES,)),
        Node("high", Gru(4), ("low",)),
    )
    heads = (Head("main", "high", Outputs()), Head("counted", "low", Outputs()))
    before, after, data = (tmp_path / name for name in ("b.safetensors", "a.safetensors", "frames.npy"))
    frames = np.random.default_rng(0).normal(size=(50, 3)).astype(np.float32)
    np.save(data, frames)
    model.write(before, network(Specification("two", Frames(3), nodes, heads)))
    done = ostinato("quantize", before, "--calibrate", data, "-o", after, "--keep", "low")
    assert done.returncode == 0, done.stderr
    made = load(after)
    assert [getattr(node.layer, "precision", "") for node in made.network.specification.nodes] == ["float32", "int8"]
    assert "In float32 as they were: low" in made.network.specification.card["int8"]
    told = {}
    for one, head in ((load(before), "counted"), (made, "counted"), (load(before), "main"), (made, "main")):
        with one.stream(head=head) as stream:
            told[one.name, head] = np.array([event.values for event in stream.push(frames) + stream.flush()])
    assert np.array_equal(told["two", "counted"], told["two-int8", "counted"])
    assert not np.array_equal(told["two", "main"], told["two-int8", "main"])
    done = ostinato("quantize", before, "--calibrate", data, "-o", after, "--keep", "lower")
    assert done.returncode == 1 and "no node 'lower' to keep: it has low, high" in done.stderr


def test_nodes_of_an_encoder_are_kept_by_its_name() -> None:
    specification = load("phonemes-bi").network.specification
    encoder, below = specification.encoder, quantized(specification, ["encoder.states"]).encoder
    assert encoder is not None and below is not None
    at = [node.name for node in encoder.nodes].index("states")
    assert below.nodes[at] == encoder.nodes[at]
    usual = quantized(specification).encoder
    assert usual is not None and usual.nodes[at] != encoder.nodes[at]


def test_one_bad_file_of_a_folder_is_left_out_and_told(ostinato: Run, tmp_path: Path) -> None:
    data, made, figures = tmp_path / "data", tmp_path / "made.safetensors", tmp_path / "figures.json"
    data.mkdir()
    for recording in RECORDINGS.glob("*.wav"):
        shutil.copy(recording, data)
        (data / f"{recording.stem}.TXT").write_text("5 5 5 0 1 4 Hello", encoding="utf-16")
    shutil.copy(bundled_recording(), data / "latin.wav")
    (data / "latin.txt").write_bytes(b"caf\xe9")
    (data / "broken.npy").write_bytes(b"junk")
    (data / "noise.WAV").write_bytes(b"no audio")
    soundfile.write(data / "short.wav", np.zeros(20, np.float32), 8000)
    done = ostinato("quantize", "digits-uni", "--calibrate", data, "-o", made, "--json", figures)
    assert done.returncode == 1 and "error: left out: 4 of 6 files" in done.stderr, done.stderr
    assert done.stderr.count("'hello' in phone-number.wav and 1 more is no word that digits-uni can say") == 1
    found = json.loads(figures.read_text())
    assert [one["file"] for one in found["left_out"]] == ["broken.npy", "noise.WAV", "short.wav", "latin.wav"]
    assert found["files"] == 3 and found["errors"]["symbols"] == 14, "latin.wav calibrates all the same"
    assert load(made).network.specification.precision == "int8"
    for path in data.glob("*-*.*"):
        path.unlink()
    (data / "latin.wav").unlink()
    made.unlink()
    done = ostinato("quantize", "digits-uni", "--calibrate", data, "-o", made)
    assert done.returncode == 1 and "left out: 3 of 3 files" in done.stderr and not made.exists()


def test_what_cannot_calibrate_is_refused_with_the_cure(ostinato: Run, tmp_path: Path) -> None:
    out = tmp_path / "out.safetensors"
    np.save(tmp_path / "wide.npy", np.zeros((5, 7), np.float32))
    np.save(tmp_path / "nan.npy", np.full((5, 120), np.nan, np.float32))
    (tmp_path / "broken.npy").write_bytes(b"\x80\x04junk")
    (tmp_path / "empty").mkdir()
    (tmp_path / "rows.csv").write_text("text,label\nabba,yes\n")
    for data, status, words in (
        ("wide.npy", 1, "[5, 7], digits-uni takes numbers [frames, 120]"),
        ("nan.npy", 1, "NaN or infinite"),
        ("broken.npy", 1, "no array can be read"),
        ("rows.csv", 1, "rows.csv is text, digits-uni takes numbers [frames, 120]"),
        ("empty", 2, "has nothing that digits-uni reads"),
    ):
        done = ostinato("quantize", "digits-uni", "--calibrate", tmp_path / data, "-o", out)
        assert done.returncode == status, done.stderr
        assert words in " ".join(done.stderr.replace("│", " ").split()) and "Traceback" not in done.stderr
    done = ostinato("quantize", "digits-uni", "--calibrate", RECORDINGS, "-o", tmp_path / "no" / "out.safetensors")
    assert done.returncode == 2 and "no folder" in done.stderr
    done = ostinato("quantize", "digits-uni", "--calibrate", RECORDINGS, "-o", tmp_path / "out.bin")
    assert done.returncode == 2 and "should end in .safetensors" in done.stderr
    assert not out.exists()


def test_a_layer_before_the_network_is_calibrated_by_what_comes_in(ostinato: Run, tmp_path: Path) -> None:
    """A convolution that looks ahead stands before the network, as a front end does, and reads the frames."""
    layers = [Convolution(7, 3, 1, 1, 1, 1, 1), Gru(5), Dense(2)]
    model.write(
        tmp_path / "ahead.safetensors", model.Network.random(Sequential("ahead", Frames(3), layers, Outputs()))
    )
    np.save(tmp_path / "frames.npy", np.random.default_rng(0).normal(size=(300, 3)).astype(np.float32))
    done = ostinato("quantize", "ahead.safetensors", "--calibrate", "frames.npy", "-o", "q.safetensors", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    np.save(tmp_path / "frames.npy", np.zeros((300, 7), np.float32))
    done = ostinato("quantize", "ahead.safetensors", "--calibrate", "frames.npy", "-o", "r.safetensors", cwd=tmp_path)
    assert done.returncode == 1 and "takes numbers [frames, 3]" in done.stderr
