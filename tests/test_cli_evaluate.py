"""`ostinato evaluate` on folders as people have them: transcripts in their own hand, and files that are bad."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
import typer

from ostinato.cli.files import RECORDINGS
from ostinato.cli.recordings import LeftOut, transcribed
from ostinato.data import read_text
from ostinato.data.recordings import audio_files, transcript_beside
from ostinato.errors import InputError
from ostinato.pipeline.transcript import NUMERALS, Vocabulary
from ostinato.streaming import load
from ostinato_bench.recognition import Spoken, Way, heard, recognise

Run = Callable[..., subprocess.CompletedProcess[str]]
PHONE = RECORDINGS / "phone-number.wav"
SAID = "five five five zero one four nine"


def put(folder: Path, name: str, transcript: str | bytes | None) -> Path:
    """The bundled phone number under another name, and what is said to be spoken in it."""
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(PHONE, path)
    if transcript is not None:
        text = transcript if isinstance(transcript, bytes) else transcript.encode()
        path.with_suffix(".txt").write_bytes(text)
    return path


@pytest.mark.parametrize(
    "raw",
    [
        SAID.encode(),
        b"\xef\xbb\xbfFive five FIVE: zero, one, four, nine!\r\n",
        "555-0149".encode("utf-16"),
        b"\xfe\xff" + "5 5 5 0 1 4 9\n".encode("utf-16-be"),
        b"\xff\xfe\x00\x00" + SAID.encode("utf-32-le"),
        b"five-five-five\noh one\nfour nine\n",
    ],
)
def test_a_transcript_may_be_written_and_saved_in_many_ways(tmp_path: Path, raw: bytes) -> None:
    text = transcript_beside(put(tmp_path, "one.wav", raw))
    assert text is not None and Vocabulary().read(text) == SAID.split()


def test_what_is_no_text_is_named_with_the_cure(tmp_path: Path) -> None:
    for number, (raw, says) in enumerate(
        (
            ("café".encode("latin-1"), "is not UTF-8 (byte 3 is 0xe9): save it as UTF-8"),
            (b"\xff\xfea", "is not UTF-16"),
            ("five".encode("utf-16-le"), "is no text"),
            (b"five " * 300_000, "longer than 1 MB"),
        )
    ):
        path = put(tmp_path, f"{number}.wav", raw)
        with pytest.raises(InputError, match=f"{number}.txt") as error:
            transcript_beside(path)
        assert says in str(error.value)
    os.mkfifo(tmp_path / "pipe.txt")
    with pytest.raises(InputError, match="is no file"):
        read_text(tmp_path / "pipe.txt")


def test_endings_in_any_case_belong_together_and_hidden_files_are_none(tmp_path: Path) -> None:
    put(tmp_path, "b.wav", "one")
    put(tmp_path, "A.WAV", None)
    (tmp_path / "A.TXT").write_text("two")
    put(tmp_path, "a[1].b.Wav", None)
    (tmp_path / "a[1].b.Txt").write_text("three")
    put(tmp_path, "._b.wav", "a Mac's second file of b.wav")
    (tmp_path / "folder.wav").mkdir()
    left_out = LeftOut(tmp_path)
    assert [text for _, text in sorted(transcribed(tmp_path, left_out).items())] == ["two", "three", "one"]
    assert not left_out.reasons and len(audio_files(tmp_path)) == 3
    left_out.finish(3)


def test_folders_without_recordings_or_without_any_transcript_are_wrong_usage(tmp_path: Path) -> None:
    with pytest.raises(typer.BadParameter, match="has no recordings"):
        transcribed(tmp_path, LeftOut(tmp_path))
    put(tmp_path, "one.wav", None)
    with pytest.raises(typer.BadParameter, match=r"no recording with a \.txt"):
        transcribed(tmp_path, LeftOut(tmp_path))


def test_one_bad_recording_is_left_out_for_all_models(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "short.wav", np.zeros(100, np.float32), 8000)
    (tmp_path / "bad.wav").write_text("no audio")
    ways = [Way("uni", load("digits-uni")), Way("bi", load("digits-bi"))]
    told: dict[str, str] = {}

    def read(path: Path) -> tuple[np.ndarray, int]:
        if path.name == "gone.wav":
            raise PermissionError(13, "Permission denied", str(path))
        if path.name == "bad.wav":
            raise InputError("is no audio file")
        return soundfile.read(path, dtype="float32")[0], 8000

    paths = [tmp_path / "bad.wav", PHONE, tmp_path / "gone.wav", tmp_path / "short.wav"]
    found = recognise(
        ways, [Spoken(path, SAID, read) for path in paths], lambda path, error: told.update({path.name: str(error)})
    )
    assert [[one.path for one in results] for results in found] == [[PHONE], [PHONE]]
    assert found[1][0].said == tuple(SAID.split()) and len(found[1][0].heard) >= 6
    assert list(told) == ["bad.wav", "gone.wav", "short.wav"]
    assert "12 ms are too short for digits-uni" in told["short.wav"]


def test_more_words_than_can_be_aligned_are_refused_before_memory_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ostinato_bench.recognition.MOST_PAIRS", 40)
    told: list[str] = []
    samples, rate = soundfile.read(PHONE, dtype="float32")
    spoken = [Spoken(PHONE, text, lambda path: (samples, rate)) for text in ("5 " * 5, "5 " * 7)]
    (found,) = recognise([Way("uni", load("digits-uni"))], spoken, lambda path, error: told.append(str(error)))
    assert len(found) == 1 and "7 words said and 7 heard are too many to align" in told[0]


def test_too_short_is_what_gives_no_frame_and_not_a_sample_more() -> None:
    model = load("digits-uni")
    needed = model.front_end.frame_ms + model.front_end.latency_ms
    assert heard(model, np.zeros(round(16 * needed), np.float32), 16000) == []
    with pytest.raises(InputError, match=f"less than {needed:.0f} ms"):
        heard(model, np.zeros(round(16 * needed) - 1, np.float32), 16000)


def test_a_folder_with_everything_wrong_in_it(ostinato: Run, tmp_path: Path) -> None:
    put(tmp_path, "good/as-said.wav", "Five-five-five 01 4 9")
    put(tmp_path, "good/more.wav", "five five five zero one four nine, hello two")
    put(tmp_path, "good/less.wav", "5")
    put(tmp_path, "odd/empty.wav", "")
    put(tmp_path, "odd/latin.wav", "caf\u00e9".encode("latin-1"))
    put(tmp_path, "odd/silent.wav", None)
    soundfile.write(tmp_path / "odd" / "short.wav", np.zeros(20, np.float32), 8000)
    (tmp_path / "odd" / "short.txt").write_text("one")
    (tmp_path / "odd" / "noise.wav").write_bytes(bytes(range(256)) * 4)
    (tmp_path / "odd" / "noise.txt").write_text("one")
    (tmp_path / "odd" / "away.wav").symlink_to(tmp_path / "nowhere.wav")
    (tmp_path / "odd" / "away.txt").write_text("one")
    figures = tmp_path / "figures.json"
    done = ostinato("evaluate", "digits-uni", "digits-bi", "--data", tmp_path, "--json", figures)
    assert done.returncode == 1 and "Traceback" not in done.stderr, done.stderr
    bad = ["odd/latin.wav", "odd/silent.wav", "odd/away.wav", "odd/noise.wav", "odd/short.wav"]
    at_once, at_the_end = done.stderr.split("error: left out: 5 of 9 files:")
    for name in bad:
        assert f"left out: {name}: " in at_once and f"  {name}: " in at_the_end
    assert "'hello' in good/more.wav is no word that digits-uni or digits-bi can say" in done.stderr
    assert done.stderr.count("hello") == 1 and "nothing is said, by the transcript, in odd/empty.wav" in done.stderr
    lines = done.stdout.splitlines()
    at = next(i for i, line in enumerate(lines) if line.startswith("good/more.wav"))
    assert [line.split()[0] for line in lines[at + 1 : at + 4]] == ["said", "digits-uni", "digits-bi"]
    assert lines[at + 1].split()[-2:] == ["hello", "two"] and lines[at + 3].split()[-2:] == ["[-]", "[-]"]
    assert "digits-bi has " in lines[-1] and "So few words say little" in lines[-1] and "Wilson" in done.stdout

    found = json.loads(figures.read_text())
    assert sorted(one["file"] for one in found["left_out"]) == sorted(bad)
    assert found["unknown_words"] == {
        "hello": {"recordings": ["good/more.wav"], "models": ["digits-uni", "digits-bi"]}
    }
    assert found["closing"] in done.stdout
    uni, bi = found["models"]
    for model in (uni, bi):
        everything = model["all"]
        assert everything["recordings"] == 4 and everything["symbols"] == 7 + 9 + 1 + 0
        assert everything["errors"] == sum(everything[kind] for kind in ("substitutions", "insertions", "deletions"))
        low, high = everything["interval_95"]
        assert 0 <= low < everything["error_rate"] < high
        assert model["by_folder"]["odd"]["interval_95"] is None, "one recording tells nothing"
        assert sum(one["times"] for one in model["confusions"]) == everything["errors"]
        by_name = {one["recording"]: one for one in model["recordings"]}
        assert by_name["odd/empty.wav"]["said"] == [] and by_name["odd/empty.wav"]["insertions"] >= 6
        assert by_name["good/as-said.wav"]["said"] == SAID.split()
        aligned = by_name["good/more.wav"]["aligned"]
        assert [said for said, _ in aligned if said is not None] == by_name["good/more.wav"]["said"]
        assert set(by_name["good/less.wav"]["heard"]) <= set(NUMERALS)


def test_nothing_left_to_evaluate_is_told_and_claims_nothing(ostinato: Run, tmp_path: Path) -> None:
    (tmp_path / "noise.wav").write_bytes(b"no audio at all")
    (tmp_path / "noise.txt").write_text("one")
    done = ostinato("evaluate", "digits-bi", "--data", tmp_path, "--json", tmp_path / "figures.json")
    assert done.returncode == 1 and "left out: 1 of 1 file" in done.stderr and not done.stdout
    assert json.loads((tmp_path / "figures.json").read_text())["models"] == []


def test_several_models_and_bounded_wait_stand_side_by_side(ostinato: Run, tmp_path: Path) -> None:
    figures = tmp_path / "figures.json"
    wait = ("--block-ms", "120", "--lookahead-ms", "0")
    done = ostinato(
        "evaluate", "digits-uni", "digits-bi", "digits-bi", "--data", RECORDINGS, *wait, "--json", figures
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(figures.read_text())
    ways = [(one["name"], one["block_ms"], one["delay_ms"]) for one in found["models"]]
    assert ways == [("digits-uni", None, 0), ("digits-bi", 120, 90), ("digits-bi", None, None)]
    uni, blind, bi = (one["all"] for one in found["models"])
    assert blind["errors"] > bi["errors"] and uni["symbols"] == blind["symbols"] == bi["symbols"] == 12
    assert [len(one["models"]) for one in found["differences"]] == [2, 2, 2]
    assert "digits-bi, 120 + 0 ms" in done.stdout and "may be chance (p = 0.5, permutation test)" in done.stdout
    done = ostinato("evaluate", "digits-uni", "--data", RECORDINGS, *wait)
    assert done.returncode == 2 and "bidirectional" in done.stderr


def test_into_a_pipe_nothing_is_lost(ostinato: Run, tmp_path: Path) -> None:
    long = "a-folder-with-a-rather-long-name/and-another-one-below-it"
    put(tmp_path, f"{long}/one.wav", "zero " * 30)
    put(tmp_path, "two.wav", SAID)
    done = ostinato("evaluate", "digits-bi", "--data", tmp_path, env=os.environ | {"COLUMNS": "60"})
    assert done.returncode == 0, done.stderr
    assert f"{long}/one.wav" in done.stdout and "95 %" in done.stdout and done.stdout.count("zero") >= 30
