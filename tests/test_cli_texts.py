"""`ostinato translate` and `ostinato read` as processes: lines in, here and on a server."""

from __future__ import annotations

import dataclasses
import json
import os
import pty
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from engine_models import encoder_decoder
from random_models import network

from ostinato.cli.console import complain, say
from ostinato.model import write
from ostinato.model.decoders import Labels, Outputs, SequenceClass
from ostinato.model.front_ends import Tokens
from ostinato.model.layers import Dense, Embedding, Gru, Softmax
from ostinato.model.specification import Head, Node, Specification
from ostinato.sampling import Sampling
from ostinato.server import Server
from ostinato.streaming import load

Run = Callable[..., subprocess.CompletedProcess[str]]
WORDS = Tokens(("?", "so", "far", "good", "bad"), unit="word", unknown=0)
MOOD = Specification(
    "mood",
    WORDS,
    (
        Node("word", Embedding(4), ("frames",)),
        Node("gru", Gru(5), ("word",)),
        Node("score", Dense(1), ("gru",)),
        Node("dense", Dense(2), ("gru",)),
        Node("softmax", Softmax(), ("dense",)),
    ),
    (
        Head("mood", "softmax", Labels(("sad", "glad"))),
        Head("all", "softmax", SequenceClass(("sad", "glad"))),
        Head("score", "score", Outputs()),
    ),
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("models")
    write(made / "letters.safetensors", encoder_decoder(longest=20).network)
    write(made / "mood.safetensors", network(MOOD))
    pieces = Tokens(("?", "so", "far", "good", "!"), unit="piece", unknown=0)
    write(made / "pieces.safetensors", network(dataclasses.replace(MOOD, name="pieces", front_end=pieces)))
    return made


GREEDY = Sampling(temperature=0)


def said(
    path: Path, source: str, wait_k: int | None = None, longest: int | None = None, how: Sampling = GREEDY
) -> str:
    early = how if how.beams == 1 else GREEDY
    with load(path).stream(wait_k=wait_k, sampling=early if wait_k else None) as stream:
        events = stream.push(source) + list(stream.generate(how, longest))
    return "".join(event.text for event in events) + "\n"


def test_each_line_becomes_a_text_here_and_on_a_server(ostinato: Run, folder: Path) -> None:
    path, lines = folder / "letters.safetensors", "bad cab\n\nfed\r\n"
    here = ostinato("translate", path, "--longest", "7", input=lines, stdin=None)
    wanted = said(path, "bad cab", longest=7) + "\n" + said(path, "fed", longest=7)
    assert (here.returncode, here.stdout) == (0, wanted), here.stderr
    assert "3 lines, 14 tokens in" in here.stderr and "2 texts had no end of the model's" in here.stderr
    early = ostinato("translate", path, "--wait-k", "2", "--text", "bad cab", "--text", "fed")
    assert early.stdout == said(path, "bad cab", 2) + said(path, "fed", 2)
    tail = ostinato("translate", path, "--wait-k", "2", "--beams", "3", "--longest", "20", "--text", "bad cab")
    assert tail.stdout == said(path, "bad cab", 2, 20, Sampling(beams=3)), tail.stderr
    best = ostinato("translate", path, "--beams", "3", "--length-penalty", "0.6", "--text", "fed")
    assert best.stdout == said(path, "fed", how=Sampling(beams=3, length_penalty=0.6)), best.stderr
    with Server({"letters": load(path)}) as server:
        there = ostinato("translate", "letters", "--wait-k", "2", "--text", "bad cab", "--connect", server.endpoint)
    assert (there.returncode, there.stdout) == (0, said(path, "bad cab", 2)), there.stderr


def test_what_is_wrong_says_in_which_line(ostinato: Run, folder: Path) -> None:
    path = folder / "letters.safetensors"
    done = ostinato("translate", path, "--text", "fed", "--text", "zoo")
    assert done.returncode == 1 and done.stdout == said(path, "fed")
    assert "error: line 2: the vocabulary has neither 'z'" in done.stderr
    none = ostinato("translate", folder / "mood.safetensors", "--text", "so")
    assert none.returncode == 1 and "has no encoder, so it makes no text of another" in none.stderr
    reading = ostinato("read", path, "--text", "fed")
    assert reading.returncode == 1 and "ostinato translate, if it has an encoder" in " ".join(reading.stderr.split())


@pytest.mark.parametrize("command", [("read", "--text", "fed"), ("listen", "--text")])
def test_who_writes_is_not_asked_what_it_reads(ostinato: Run, folder: Path, command: tuple[str, ...]) -> None:
    """Here and on a server: nothing was said, as if all were well."""
    verb, *options = command
    with Server({"letters": load(folder / "letters.safetensors")}) as server:
        for model in ((folder / "letters.safetensors",), ("letters", "--connect", server.endpoint)):
            done = ostinato(verb, *model, *options, input="fed\n", stdin=None)
            assert done.returncode == 1 and not done.stdout
            assert "writes, and says nothing of what it reads: ostinato generate" in " ".join(done.stderr.split())


def test_an_error_stands_on_a_line_of_its_own(capsys: pytest.CaptureFixture[str]) -> None:
    for text in ("half a li", "ne", ""):
        say(text)
    complain("gone")
    complain("still gone")
    assert capsys.readouterr().out == "half a line\n"


def test_a_text_is_read_word_by_word(ostinato: Run, folder: Path) -> None:
    path = folder / "mood.safetensors"
    with load(path).stream() as stream:
        events = stream.push("so far good") + stream.flush()
    done = ostinato("read", path, input="so far good\n\nbad\n", stdin=None)
    first, second = done.stdout.split("\n\n")[:2]
    assert [line.split() for line in first.splitlines()] == [
        [word, event.text, f"{event.probability:.2f}"]
        for word, event in zip(("so", "far", "good"), events, strict=True)
    ], done.stderr
    assert second.split()[0] == "bad"
    told = ostinato("read", path, "--head", "score", "--json", "--text", "so bad")
    entries = [json.loads(line) for line in told.stdout.splitlines()]
    assert [(entry["token"], entry["kind"]) for entry in entries] == [("so", "output"), ("bad", "output")]
    with Server({"mood": load(path)}) as server:
        words = ostinato("read", "mood", "--text", "so far good", "--connect", server.endpoint)
        assert words.stdout.split("\n\n")[0] == first, words.stderr
        there = ostinato("read", "mood", "--head", "all", "--text", "so good", "--connect", server.endpoint)
    assert there.stdout.startswith("(the line)") and there.returncode == 0, there.stderr


def test_who_is_to_type_is_told_so(ostinato: Run, folder: Path) -> None:
    keyboard, end = pty.openpty()
    os.write(keyboard, b"so\n\x04")
    try:
        done = ostinato("read", folder / "mood.safetensors", stdin=end)
    finally:
        os.close(keyboard)
        os.close(end)
    assert done.returncode == 0 and done.stdout.startswith("so "), done.stderr
    assert done.stderr == "a line at a time from the keyboard; Ctrl-D ends\n"


def test_pieces_stand_beside_the_word_that_they_are_of(ostinato: Run, folder: Path) -> None:
    path = folder / "pieces.safetensors"
    ask = ("--json", "--text", "so good!! far!")
    here = ostinato("read", path, *ask)
    tokens = [json.loads(line)["token"] for line in here.stdout.splitlines()]
    assert tokens == ["so", "good!!", "good!!", "good!!", "far!", "far!"], here.stderr
    shown = ostinato("read", path, "--text", "so good!! far! far!").stdout.splitlines()
    assert [line[:16].strip() for line in shown[:8]] == ["so", "good!!", "", "", "far!", "", "far!", ""], "each once"
    with Server({"pieces": load(path)}) as server:
        there = ostinato("read", "pieces", "--connect", server.endpoint, *ask)
    assert (there.returncode, there.stdout) == (0, here.stdout), there.stderr
