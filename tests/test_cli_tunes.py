"""`ostinato generate` of a model of tunes: prompts in ABC, files of ABC, MIDI and sound, several continuations."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import mido
import pytest
import soundfile
from random_models import network

from ostinato.cli.tunes import TuneFiles
from ostinato.errors import InputError
from ostinato.model import write
from ostinato.model.decoders import Generation
from ostinato.model.front_ends import Tokens
from ostinato.model.layers import Dense, Embedding, Gru
from ostinato.model.specification import Sequential
from ostinato.notation import read
from ostinato.notation.bars import pieces
from ostinato.sampling import Sampling
from ostinato.server import Server
from ostinato.streaming import load

Run = Callable[..., subprocess.CompletedProcess[str]]
TOKENS = ("<unknown>", "<tune>", "M:6/8", "L:1/8", "K:D", *"ABCDEFGabcdefg", "A2", "d3/2", "e/2", "|", "|:", ":|")


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    specification = Sequential(
        "airs",
        Tokens(TOKENS, unit="word", unknown=0),
        (Embedding(4), Gru(8), Dense(len(TOKENS))),
        Generation(start=1, separator=" ", longest=40),
    )
    made = network(specification)
    made.weights["dense.b"].flags.writeable = True
    made.weights["dense.b"][:5] = -99  # neither fields nor special tokens come within a tune
    write(found := tmp_path_factory.mktemp("models") / "airs.safetensors", made)
    return found


def test_a_tune_goes_into_files(ostinato: Run, path: Path, tmp_path: Path) -> None:
    prompt = "M:6/8\nK:D\n|:dfd e/"
    files = [tmp_path / f"air{suffix}" for suffix in (".abc", ".mid", ".wav")]
    outputs = [each for file in files for each in ("--output", file)]
    done = ostinato("generate", path, "--prompt", prompt, "--seed", "2", "--tempo", "90", *outputs)
    assert done.returncode == 0, done.stderr
    with load(path).stream() as stream:
        stream.push("M:6/8 L:1/8 K:D |: d f d e/2")
        wanted = " ".join(e.text for e in stream.generate(Sampling(seed=2)) if e.kind == "token")
    assert done.stdout == wanted + "\n" and all(f"written: {file}" in done.stderr for file in files)
    text = files[0].read_text()
    assert "T:airs, seed 2" in text and "Q:3/8=90" in text
    assert read(text).body == ("|:", "d", "f", "d", "e/2", *wanted.split())
    assert abs(mido.MidiFile(files[1]).length - soundfile.info(files[2]).duration) < 2


def test_continuations_share_a_beginning_here_and_on_a_server(ostinato: Run, path: Path, tmp_path: Path) -> None:
    how = ("--prompt", "M:6/8 L:1/8 K:D", "--seed", "4", "--continuations", "2", "--shared", "9", "--longest", "20")
    here = ostinato("generate", path, *how, "-o", tmp_path / "air.abc")
    assert here.returncode == 0, here.stderr
    shared, *ways = (line.split() for line in here.stdout.splitlines())
    bodies = [read((tmp_path / f"air-{number}.abc").read_text()).body for number in (1, 2)]
    assert bodies == [(*shared, *way) for way in ways] and bodies[0] != bodies[1]
    assert [len(shared), *map(len, ways)] == [9, 11, 11] and "continuation 2:" in here.stderr
    single = ostinato("generate", path, *how[:4], "--longest", "20")
    assert tuple(single.stdout.split()) == bodies[0]  # the first goes on as if nothing had been shared
    with Server({"airs": load(path)}) as server:
        there = ostinato("generate", "airs", *how, "--connect", server.endpoint, "-o", tmp_path / "far.abc")
    assert (there.returncode, there.stdout) == (0, here.stdout), there.stderr
    assert (tmp_path / "far-2.abc").read_text() == (tmp_path / "air-2.abc").read_text()


@pytest.mark.parametrize(
    ("prompt", "message"),
    [
        ("K:H", "K:H is no key"),
        ("K:G", "'M:4/4', 'K:G', which the model has not learnt"),
        ("M:6/8 K:D d7", "'d7', which the model has not learnt"),
        ("M:6/8 K:D once upon", "is not understood"),
    ],
)
def test_prompts_that_are_no_beginning_of_a_tune_are_refused(prompt: str, message: str) -> None:
    with pytest.raises(InputError) as caught:
        TuneFiles().prompt(prompt, TOKENS)
    assert message in str(caught.value)
    assert TuneFiles().prompt(prompt, ["once", "upon"]) == prompt  # of a model of something else


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("-o", "air.mp3"), "should end in .abc or .mid or .wav"),
        (("--tempo", "90"), "--tempo is for the files"),
        (("--continuations", "2", "--longest", "9", "--shared", "9"), "leaves nothing"),
    ],
)
def test_options_that_do_not_fit_are_refused(
    ostinato: Run, path: Path, arguments: tuple[str, ...], message: str
) -> None:
    done = ostinato("generate", path, *arguments)
    assert done.returncode == 2 and message in " ".join(done.stderr.split()), done.stderr


def test_the_bundled_model_makes_tunes(ostinato: Run, tmp_path: Path) -> None:
    done = ostinato(
        "generate", "tunes", "--prompt", "M:6/8\nK:G", "--seed", "1", "--top-p", "0.9", "-o", tmp_path / "jig.wav"
    )
    assert done.returncode == 0 and "the model's end" in done.stderr, done.stderr
    tune = read(f"M:6/8 L:1/8 K:G {done.stdout}")
    assert len(pieces(tune.elements())) >= 8 and soundfile.info(tmp_path / "jig.wav").duration > 5


def test_a_text_that_is_no_tune_makes_no_file(ostinato: Run, tmp_path: Path) -> None:
    layers = (Embedding(4), Gru(8), Dense(3))
    front_end = Tokens(("?", "so", "far"), unit="word", unknown=0)
    words = Sequential("words", front_end, layers, Generation(start=1, longest=5))
    write(tmp_path / "words.safetensors", network(words))
    done = ostinato("generate", tmp_path / "words.safetensors", "-o", tmp_path / "x.wav")
    assert done.returncode == 1 and "error:" in done.stderr and not (tmp_path / "x.wav").exists()
