"""Commands and models of several heads: the digits' model, which also counts in German, and says what each frame
sounds like."""

from __future__ import annotations

import dataclasses
import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from ostinato import model
from ostinato.cli.files import RECORDINGS
from ostinato.model import Head, Network
from ostinato.model.decoders import Ctc, Labels

Run = Callable[..., subprocess.CompletedProcess[str]]
ENGLISH = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]
GERMAN = ["null", "eins", "zwei", "drei", "vier", "fünf", "sechs", "sieben", "acht", "neun"]
TRANSLATED = dict(zip(ENGLISH, GERMAN, strict=True))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Holds ``both``, a model with the heads main, german and sounds."""
    made = tmp_path_factory.mktemp("models")
    digits = model.read(model.resolve("digits-uni"))
    heads = (
        *digits.specification.heads,
        Head("german", "softmax", Ctc(("", *GERMAN, "anderes"), silent=("anderes",))),
        Head("sounds", "softmax", Labels(("", *ENGLISH, "other"))),
    )
    specification = dataclasses.replace(digits.specification, name="both", heads=heads)
    model.write(made / "both.safetensors", Network(specification, digits.weights))
    return made


@pytest.fixture(scope="module")
def spoken(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bundled recordings, as if they had been said in German."""
    made = tmp_path_factory.mktemp("spoken")
    for recording in RECORDINGS.glob("*.wav"):
        (made / recording.name).symlink_to(recording.resolve())
        said = recording.with_suffix(".txt").read_text().split()
        (made / f"{recording.stem}.txt").write_text(" ".join(TRANSLATED[word] for word in said), encoding="utf-8")
    return made


def test_listen_shows_the_head_that_is_asked_for(ostinato: Run, folder: Path) -> None:
    file = RECORDINGS / "phone-number.wav"
    said: dict[str | None, str] = {}
    for head in (None, "main", "german"):
        asked = ("--head", head) if head else ()
        done = ostinato("listen", "both", "--models", folder, "--file", file, "--fast", *asked)
        assert done.returncode == 0, done.stderr
        assert f"both, head {head or 'main'!r}" in done.stderr
        said[head] = done.stdout
    words = said["main"].split()
    assert said[None] == said["main"] and {*words} & {*ENGLISH}
    assert said["german"].split() == [TRANSLATED.get(word, word) for word in words]


def test_listen_brings_hotwords(ostinato: Run, folder: Path) -> None:
    asked = ("--hotword", "nine", "--hotword", "nine one one", "--hotword-boost", "3")
    done = ostinato("listen", "both", "--models", folder, "--file", RECORDINGS / "phone-number.wav", *asked)
    assert done.returncode == 1 and "head 'main' of both is decoded by 'ctc': leave them out" in done.stderr


def test_evaluate_counts_the_errors_of_a_head(ostinato: Run, folder: Path, spoken: Path, tmp_path: Path) -> None:
    figures = {}
    for head, data in (("main", RECORDINGS), ("german", spoken)):
        path = tmp_path / f"{head}.json"
        done = ostinato(
            "evaluate", "both", "--models", folder, "--data", data, "--head", head, "--json", path
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        (figures[head],) = json.loads(path.read_text())["models"]
        assert figures[head].pop("head") == head
    assert figures["main"]["all"] == figures["german"]["all"] and figures["main"]["all"]["symbols"] == 12


def test_compare_plays_to_a_head(ostinato: Run, folder: Path, spoken: Path, tmp_path: Path) -> None:
    path = tmp_path / "found.json"
    done = ostinato("compare", "both", "--models", folder, "--data", spoken, "--head", "german", "--json", path)
    assert done.returncode == 0, done.stderr
    found = json.loads(path.read_text())
    (run,) = found["models"]
    assert run["head"] == "german" and run["error_rate"] == 0 and {*run["text"].split()} <= {*GERMAN}
    (row,) = found["error_by_delay"]
    assert row["errors"] <= 1 and row["symbols"] == 12, "in English it would be all twelve"


@pytest.mark.parametrize(
    "arguments",
    [
        ("listen", "both", "--file", str(RECORDINGS / "phone-number.wav"), "--fast"),
        ("evaluate", "both", "--data", str(RECORDINGS)),
        ("compare", "both"),
    ],
)
def test_a_head_that_is_not_there_is_told(ostinato: Run, folder: Path, arguments: tuple[str, ...]) -> None:
    done = ostinato(*arguments, "--models", folder, "--head", "germans")
    assert done.returncode == 1 and "Traceback" not in done.stderr
    last = " ".join(done.stderr.split("error: ")[-1].split())
    assert last == "both has no head 'germans': it has main, german, sounds; did you mean 'german'?"


def test_a_head_that_transcribes_nothing_cannot_be_evaluated(ostinato: Run, folder: Path) -> None:
    done = ostinato("evaluate", "both", "--models", folder, "--data", RECORDINGS, "--head", "sounds")
    assert done.returncode == 1 and "head 'sounds' of both is for log-mel with labels" in done.stderr


def test_models_and_inspect_show_heads(ostinato: Run, folder: Path) -> None:
    heading, *lines = ostinato("models", "--models", folder).stdout.splitlines()
    assert "heads" in heading
    assert "main, german, sounds" in next(line for line in lines if line.startswith("both"))
    shown = ostinato("inspect", folder / "both.safetensors").stdout
    for words in ("head main", "head german", "null eins zwei", "head sounds", "labels: zero one"):
        assert words in shown
    assert "decoder" in ostinato("inspect", "digits-uni").stdout
    for command in (("inspect", folder / "both.safetensors"), ("models", "--models", folder)):
        found = json.loads(ostinato(*command, "--json").stdout)
        both = found if isinstance(found, dict) else next(one for one in found if one["name"] == "both")
        assert [(head["name"], head["decoder"], head["delay_ms"]) for head in both["heads"]] == [
            ("main", "ctc", 0), ("german", "ctc", 0), ("sounds", "labels", 0)
        ]  # fmt: skip
        assert both["heads"][1]["symbols"] == [*GERMAN, "anderes"]


def test_quantize_tells_of_each_head(ostinato: Run, folder: Path, tmp_path: Path) -> None:
    made, path = tmp_path / "small.safetensors", tmp_path / "found.json"
    done = ostinato("quantize", folder / "both.safetensors", "--calibrate", RECORDINGS, "-o", made, "--json", path)
    assert done.returncode == 0, done.stderr
    assert "head german: difference of outputs, mean" in done.stdout
    assert json.loads(path.read_text())["outputs"].keys() == {"main", "german", "sounds"}
    assert [head.name for head in model.read(made).specification.heads] == ["main", "german", "sounds"]
