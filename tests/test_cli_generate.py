"""`ostinato generate` as a process: here and on a server, greedy and drawn, letters and words."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from random_models import VOCABULARY, network

from ostinato.model import write
from ostinato.model.decoders import Generation
from ostinato.model.front_ends import Tokens
from ostinato.model.layers import Dense, Embedding, Gru
from ostinato.model.specification import Sequential
from ostinato.sampling import Sampling
from ostinato.server import Server
from ostinato.streaming import load

Run = Callable[..., subprocess.CompletedProcess[str]]
WORDS = ("?", "so", "far", "good", "\x1b[2J")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("models")
    letters = Sequential("letters", Tokens(VOCABULARY), (Embedding(4), Gru(8), Dense(8)), Generation(start=0))
    write(made / "letters.safetensors", network(letters))
    words = Sequential(
        "words",
        Tokens(WORDS, unit="word", unknown=0),
        (Embedding(4), Gru(8), Dense(5)),
        Generation(separator=" ", longest=30),
    )
    write(made / "words.safetensors", network(words))
    return made


def said(path: Path, prompt: str, sampling: Sampling, longest: int | None = None) -> list[str]:
    with load(path).stream() as stream:
        stream.push(prompt)
        return [event.text for event in stream.generate(sampling, longest) if event.kind == "token"]


def test_a_text_goes_on_here_and_on_a_server(ostinato: Run, folder: Path) -> None:
    path = folder / "letters.safetensors"
    how = ("--seed", "5", "--temperature", "0.8", "--top-k", "6", "--top-p", "0.9", "--longest", "90")
    wanted = "".join(said(path, "bad ", Sampling(seed=5, temperature=0.8, top_k=6, top_p=0.9), 90)) + "\n"
    here = ostinato("generate", path, "--prompt", "bad ", *how)
    assert (here.returncode, here.stdout) == (0, wanted), here.stderr
    assert "seed 5: 90 tokens in" in here.stderr and "as many as there may be" in here.stderr
    named = ostinato("generate", "letters", "--models", folder, "--prompt", "bad ", *how)
    assert named.stdout == wanted
    with Server({"letters": load(path)}) as server:
        there = ostinato("generate", "letters", "--prompt", "bad ", "--connect", server.endpoint, *how)
    assert (there.returncode, there.stdout) == (0, wanted), there.stderr


def test_words_are_joined_and_control_characters_are_not_obeyed(ostinato: Run, folder: Path) -> None:
    path = folder / "words.safetensors"
    done = ostinato("generate", path, "--prompt", "so far", "--seed", "1")
    tokens = said(path, "so far", Sampling(seed=1))
    assert len(tokens) == 30 and WORDS[4] in tokens
    assert done.stdout == " ".join(tokens).replace("\x1b", "\N{REPLACEMENT CHARACTER}") + "\n"


def test_seeds_are_told_so_that_a_text_can_be_had_again(ostinato: Run, folder: Path) -> None:
    path = folder / "letters.safetensors"
    first = ostinato("generate", path, "--longest", "40")
    seed = first.stderr.split("seed ")[1].split(":")[0]
    assert ostinato("generate", path, "--longest", "40", "--seed", seed).stdout == first.stdout
    greedy = ostinato("generate", path, "--longest", "40", "--temperature", "0")
    assert (
        greedy.stdout == "".join(said(path, "", Sampling(temperature=0), 40)) + "\n" and "seed" not in greedy.stderr
    )


def test_of_a_text_that_is_stopped_the_seed_is_told_too(folder: Path) -> None:
    """It is more than a pipe holds, so it cannot have ended before."""
    path, program = folder / "words.safetensors", Path(sys.executable).with_name("ostinato")
    command = [program, "generate", path, "--prompt", "so", "--longest", "65536", "--seed", "7"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        begun = process.stdout.read(200)
        process.send_signal(signal.SIGINT)
        rest, notes = process.communicate(timeout=60)
    assert process.returncode == 130 and re.fullmatch(rb"seed 7: \d+ tokens, stopped by hand\n", notes), notes
    wanted = " ".join(said(path, "so", Sampling(seed=7), 65536)).replace("\x1b", "\N{REPLACEMENT CHARACTER}")
    text = (begun + rest).decode()
    assert text.endswith("\n") and wanted.startswith(text[:-1])


def test_a_beam_searches_here_and_on_a_server(ostinato: Run, folder: Path) -> None:
    path, how = folder / "letters.safetensors", ("--beams", "3", "--length-penalty", "0.5", "--longest", "50")
    wanted = "".join(said(path, "bad ", Sampling(beams=3, length_penalty=0.5), 50)) + "\n"
    here = ostinato("generate", path, "--prompt", "bad ", *how)
    assert (here.returncode, here.stdout) == (0, wanted) and "a beam of 3: 50 tokens in" in here.stderr
    with Server({"letters": load(path)}) as server:
        there = ostinato("generate", "letters", "--prompt", "bad ", "--connect", server.endpoint, *how)
    assert (there.returncode, there.stdout) == (0, wanted), there.stderr


def test_what_cannot_be_is_said(ostinato: Run, folder: Path) -> None:
    for arguments, message in (
        (("digits-uni", "--prompt", "a"), "'digits-uni' does not generate: only a language model does"),
        ((folder / "letters.safetensors", "--prompt", "xyz"), "the vocabulary has neither 'x'"),
        ((folder / "words.safetensors",), "push a prompt first"),
        ((folder / "letters.safetensors", "--top-p", "0"), "top_p = 0.0 is not above 0"),
    ):
        done = ostinato("generate", *arguments)
        assert done.returncode == 1 and message in " ".join(done.stderr.split()), done.stderr
        assert not done.stdout
