"""One's own model from one's own recordings with transcripts: learnt to the end, heard, and what is refused."""

from __future__ import annotations

import io
import re
import shutil
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
import soundfile
from rich.console import Console

from ostinato import data
from ostinato.cli import main
from ostinato.cli.files import RECORDINGS, read_audio
from ostinato.errors import InputError, OstinatoError, TrainingError
from ostinato.model import file
from ostinato.model.decoders import Ctc
from ostinato.model.front_ends import LogMel
from ostinato.streaming import Model
from ostinato.training.own import frames, speech
from ostinato.training.own.config import Audio, Config
from ostinato.training.own.run import Run, run

HZ = {"low": 500.0, "mid": 1100.0, "high": 2300.0}
"""Words that are tones."""
CONFIG = """
name = "tones"
data = {train = ["learn"], validation = ["choose"], test = ["test"]}
layers = [{kind = "gru", hidden = 32}]
audio = {unit = "word"}
[learning]
epochs = 40
batch = 4
rate = 2e-2
"""


def say(path: Path, words: Sequence[str], text: str, rate: int = 8000, seed: int = 0) -> None:
    random, gap = np.random.default_rng(seed), np.zeros(rate // 12)
    tones = [0.3 * np.sin(2 * np.pi * HZ[word] * np.arange(rate // 6) / rate) for word in words]
    sound = np.concatenate([gap, *(piece for tone in tones for piece in (tone, gap))])
    soundfile.write(path, sound + random.normal(0, 1e-3, len(sound)), rate)
    path.with_suffix(".txt").write_text(text)


def write(folder: Path, config: str = CONFIG) -> Path:
    random = np.random.default_rng(1)
    for seed, (part, count) in enumerate((("learn", 32), ("choose", 4), ("test", 4))):
        (folder / part / "below").mkdir(parents=True)
        for number in range(count):
            words = random.choice([*HZ], random.integers(1, 5)).tolist()
            place = folder / part / ("below" if number % 2 else "") / f"{number:02}.wav"
            text = ", ".join(words).capitalize() + ".\n"
            say(place, words, text, 16000 if number % 3 else 8000, 100 * seed + number)
    path = folder / "own.toml"
    path.write_text(config)
    return path


def learn(config: Path, folder: Path, resume: bool = False) -> Run:
    return run(config, folder, resume, Console(file=io.StringIO()), read_audio)


def test_words_are_learnt_to_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The model's file hears recordings that nothing was learnt from, here and by the commands."""
    config = write(tmp_path)
    made = learn(config, tmp_path / "run")
    specification = file.read(made.path).specification
    assert specification.heads[0].decoder == Ctc(("", "high", "low", "mid"))
    assert specification.front_end == LogMel(
        convention="kaldi", low_hz=60, high_hz=7600, stack=3, stride=3, normalise=True
    )
    assert min(each["error rate"] for each in made.history.evaluations) == 0 == made.history.best_score
    words = len(" ".join(path.read_text() for path in (tmp_path / "test").rglob("*.txt")).split())
    assert f"share of words that is wrong 0 of {words}." in made.card["accuracy"]
    assert "error rate 0, validation loss" in made.card["accuracy"]
    assert re.match(
        r"32 utterances \(0\.\d min of recordings\) with transcripts in 3 diff", made.card["training data"]
    )
    say(tmp_path / "new.wav", ["mid", "mid", "low"], "", 44100)
    for arguments, said in (
        (["listen", str(made.path), "--file", str(tmp_path / "new.wav"), "--fast"], ["mid", "mid", "low"]),
        (["evaluate", str(made.path), "--data", str(tmp_path / "test")], ["0.0 %"]),
    ):
        monkeypatch.setattr("sys.argv", ["ostinato", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        found = re.findall(r"\b(?:low|mid|high)\b|\d\.\d %", capsys.readouterr().out)
        assert ended.value.code in (0, None) and found[: len(said)] == said


def test_characters_of_real_speech_are_learnt_by_heart(tmp_path: Path) -> None:
    """The bundled recordings, with other files about them beside; a WAV by itself."""
    shutil.copytree(RECORDINGS, tmp_path / "said")
    config = tmp_path / "own.toml"
    config.write_text(
        """
        name = "heart"
        data = {train = ["said"], validation = ["said"], test = ["said/two-nine-three-four-zero.wav"]}
        layers = [{kind = "gru", hidden = 64}]
        learning = {epochs = 250, batch = 2, rate = 1e-2}
        """
    )
    made = learn(config, tmp_path / "run")
    decoder = file.read(made.path).specification.heads[0].decoder
    assert decoder == Ctc(("", *sorted(set("five zero one four nine two nine three"))), separator="")
    assert "share of characters that is wrong 0 of 24." in made.card["accuracy"]


def test_it_learns_from_what_its_stream_hears(tmp_path: Path) -> None:
    """Frames are those of the model's front end; transcripts are read as `ostinato evaluate` reads them."""
    config = Config.of(write(tmp_path))
    parts = [speech.read(tmp_path / part, tmp_path) for part in ("learn", "choose", "test")]
    matter = speech.matter(config, read_audio, *parts)
    made = frames.Network.random(matter.specification)
    weights = dict(made.weights) | dict(matter.constants)
    front = Model(frames.Network(matter.specification, weights)).front_end
    assert isinstance(matter.seen, speech.Clips)
    for recording, learnt, said in zip(parts[0], matter.seen.frames, matter.seen.said, strict=True):
        samples, rate = read_audio(recording.path)
        state = front.start(rate)
        heard = np.concatenate([front.step(state, samples), front.flush(state)])
        np.testing.assert_allclose(learnt, heard, atol=1e-4)
        names = matter.specification.heads[0].decoder.names
        assert [names[k] for k in said] == re.findall("[a-z]+", recording.text.lower())
    rows = np.concatenate(matter.seen.frames).reshape(-1, 40)
    np.testing.assert_allclose(rows.mean(axis=0), 0, atol=1e-3)
    np.testing.assert_allclose(rows.std(axis=0), 1, atol=1e-3)


def test_what_was_not_learnt_is_an_error_and_too_much_text_is_skipped(tmp_path: Path) -> None:
    config = write(tmp_path, CONFIG.replace("epochs = 40", "epochs = 2"))
    (tmp_path / "choose" / "00.txt").write_text("never heard of it")
    (tmp_path / "learn" / "00.txt").write_text("low " * 200)
    made = learn(config, tmp_path / "run")
    assert made.history.skipped == 2, "one recording, once an epoch"
    assert all(np.isfinite(each["validation loss"]) for each in made.history.evaluations)
    (tmp_path / "choose").rename(tmp_path / "all")
    (tmp_path / "choose").mkdir()
    shutil.copy(tmp_path / "all" / "00.wav", tmp_path / "choose")
    (tmp_path / "choose" / "00.txt").write_text("never heard of it")
    made = learn(config, tmp_path / "other")
    assert min(each["error rate"] for each in made.history.evaluations) >= 1


def test_a_run_is_gone_on_with_only_if_it_is_the_same(tmp_path: Path) -> None:
    config = write(tmp_path, CONFIG.replace("epochs = 40", "epochs = 1"))
    made = learn(config, tmp_path / "run").path.read_bytes()
    assert learn(config, tmp_path / "run", resume=True).path.read_bytes() == made
    transcript = tmp_path / "learn" / "00.txt"
    before = transcript.read_text()
    transcript.write_text(f"{before} low")
    with pytest.raises(TrainingError, match="the data have changed"):
        learn(config, tmp_path / "run", resume=True)
    transcript.write_text(before)
    say(tmp_path / "learn" / "00.wav", ["low"], before)
    with pytest.raises(TrainingError, match="the data have changed"):
        learn(config, tmp_path / "run", resume=True)


def broken(path: Path) -> None:
    path.write_bytes(b"RIFF, and nothing else")


SPOILT: list[tuple[Callable[[Path], object], str]] = [
    (lambda f: (f / "learn/00.txt").unlink(), r"learn/00\.wav has no transcript: write .* into 00\.txt beside it"),
    (lambda f: (f / "learn/00.txt").write_text(" \n"), r"learn/00\.wav: nothing is said, .* into 00\.txt"),
    (lambda f: (f / "test/00.txt").write_text("?!"), r"test/00\.wav: nothing is said"),
    (lambda f: broken(f / "learn/00.wav"), r"learn/00\.wav"),
    (lambda f: broken(f / "test/00.wav"), r"test/00\.wav"),
    (lambda f: soundfile.write(f / "learn/00.wav", np.zeros(100), 8000), r"learn/00\.wav lasts 12 ms, a frame 45"),
    (lambda f: soundfile.write(f / "learn/00.wav", np.zeros(0), 8000), r"learn/00\.wav.* is empty"),
    (lambda f: broken((f / "learn/00.wav").rename(f / "learn/00.m4a")), r"learn/00\.m4a"),
    (
        lambda f: (f / "learn/lines.tsv").write_text("a\tb\n"),
        r"learn/lines\.tsv is no recording's, and learn/00\.wav",
    ),
    (lambda f: np.savez(f / "learn/x.npz", frames=np.ones((5, 3))), r"learn/x\.npz is no recording's"),
    (lambda f: shutil.rmtree(f / "learn"), "learn is not there"),
]


@pytest.mark.parametrize(("spoil", "message"), SPOILT)
def test_errors_name_the_file(tmp_path: Path, spoil: Callable[[Path], object], message: str) -> None:
    config = write(tmp_path)
    spoil(tmp_path)
    with pytest.raises(OstinatoError, match=message):
        learn(config, tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("was", "becomes", "message"),
    [
        ('unit = "word"', 'unit = "sound"', "unit is 'sound', not one of 'character', 'word'"),
        ('unit = "word"', "bands = 3", "unknown field 'bands'"),
        ('unit = "word"', "sample_rate = 8000, high_hz = 5000", "own.toml: audio: .* high_hz <= sample_rate / 2"),
        ('unit = "word"', "stack = 0", "own.toml: audio: sizes must be positive"),
        ("epochs = 40", 'loss = {kind = "cross-entropy"}', "cross-entropy does not fit transcripts"),
        ("epochs = 40", 'loss = {kind = "ctc", blank = 2}', "ctc does not fit transcripts"),
        ('test = ["test"]', 'test = ["lines.txt"]', r"learn/00\.wav is a recording, lines\.txt is none"),
        ('["learn"]', '["empty"]', r"empty has no file of data: .*\.wav"),
    ],
)
def test_configurations_that_do_not_fit(tmp_path: Path, was: str, becomes: str, message: str) -> None:
    assert was in CONFIG
    config = write(tmp_path, CONFIG.replace(was, becomes))
    (tmp_path / "lines.txt").write_text("a line\n")
    (tmp_path / "empty").mkdir()
    with pytest.raises((TrainingError, InputError), match=message):
        learn(config, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_features_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = write(tmp_path)
    monkeypatch.setattr(speech, "MOST_BYTES", 20_000)
    with pytest.raises(InputError, match=r"with learn/\S+\.wav features take over .* give fewer recordings"):
        learn(config, tmp_path / "run")


def test_library_callers_are_told_that_something_must_read(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="give `run` what reads it"):
        run(write(tmp_path), tmp_path / "run", console=Console(file=io.StringIO()))


def test_the_highest_band_follows_the_rate() -> None:
    assert [Audio(sample_rate=rate).front_end.high_hz for rate in (8000, 16000, 48000)] == [3800, 7600, 7600]
    assert ".wav" not in data.FORMATS, "a transcript beside a recording is no text by itself"


def test_the_command(tmp_path: Path, ostinato: Callable[..., subprocess.CompletedProcess[str]]) -> None:
    write(tmp_path, CONFIG.replace("epochs = 40", "epochs = 1"))
    done = ostinato("train", "own.toml", cwd=tmp_path)
    assert done.returncode == 0 and "written: runs/tones/tones.safetensors" in " ".join(done.stderr.split())
    assert "share of words that is wrong" in " ".join(done.stderr.split())
