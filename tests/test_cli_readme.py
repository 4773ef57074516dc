"""What README and the other documents show works as it stands there."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from snippets import DOCUMENTS, ROOT, Snippet, commands, parse, snippets

from ostinato.cli.app import app
from ostinato.cli.files import bundled_recording
from ostinato.data.recordings import transcript_beside
from ostinato.pipeline.score import error_rate
from ostinato.server import Spawned, spawn_server

README = (ROOT / "README.md").read_text(encoding="utf-8")
DIGITS = (transcript_beside(bundled_recording()) or "").split()
ALL_DIGITS = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]
ENDPOINT = "tcp://127.0.0.1:7077"
IN_ORDER = {"docs/own-model.md"}
"""Documents whose blocks build on each other: test_docs_own_model runs them."""
BY_THEMSELVES = [document for document in DOCUMENTS if document not in IN_ORDER]
PROGRAMS = [one for document in BY_THEMSELVES for one in snippets(document, "python")]
COMMANDS = [(one, line) for document in BY_THEMSELVES for one in snippets(document, "sh") for line in commands(one)]
NOT_RUN = {
    "make demo": "test_cli_compare runs what it runs",
    "make test": "is running this test",
    "make music-demo": "test_bench_music runs what it runs, but for fluidsynth",
    "apt install libportaudio2 libasound2-plugins": "changes the machine",
    "apt install fluidsynth fluid-soundfont-gm": "changes the machine",
}
"""Commands that no test runs as they stand, and why."""

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def server() -> Iterator[Spawned]:
    """What the documents' programs talk to."""
    with spawn_server(["digits-uni", "digits-bi"]) as server:
        yield server


@pytest.mark.parametrize("snippet", PROGRAMS, ids=str)
def test_a_program_runs_as_it_stands(program: Run, snippet: Snippet, server: Spawned, tmp_path: Path) -> None:
    """In the clone's folder (but for what it writes), with nothing before it: it prints no empty line, and hears each
    digit if it reads the recording."""
    (tmp_path / "engine").symlink_to(ROOT / "engine")
    done = program(snippet.code.replace(ENDPOINT, server.endpoint), cwd=tmp_path)
    assert done.returncode == 0 and not done.stderr, done.stderr
    assert done.stdout and all(line.strip() for line in done.stdout.splitlines()), "an empty line says nothing"
    if bundled_recording().name in snippet.code:
        heard = [word for word in re.findall(r"[a-z]+", done.stdout) if word in ALL_DIGITS]
        assert error_rate(DIGITS, heard) < 0.3, done.stdout


@pytest.mark.parametrize(("snippet", "line"), COMMANDS, ids=[f"{one}: {line}" for one, line in COMMANDS])
def test_a_command_does_what_it_says(ostinato: Run, snippet: Snippet, line: str) -> None:
    """It is run as it stands; what would hear a microphone is given the bundled recording."""
    if line in NOT_RUN:
        assert line.split()[0] != "make" or f"\n{line.split()[1]}:" in (ROOT / "Makefile").read_text()
        return
    program, *arguments = shlex.split(line)
    assert program == ".venv/bin/ostinato", f"{snippet}: neither run nor in NOT_RUN: {line}"
    if arguments[0] == "serve":
        return serves(arguments)
    if arguments[0] == "listen" and not {"--file", "--list-devices"} & {*arguments}:
        arguments += ["--file", str(bundled_recording()), "--fast"]
    done = ostinato(*arguments, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    assert error_rate(DIGITS, re.findall(r"  ([a-z]+)\b", done.stdout)) < 0.3, done.stdout


def serves(arguments: list[str]) -> None:
    """It says where it listens, and ends when it is told."""
    command = [sys.executable, "-c", "from ostinato.cli import main; main()", *arguments]
    if "--bind" not in command:
        command += ["--bind", "tcp://127.0.0.1:*"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        first = process.stdout.readline()
        process.terminate()
        assert process.wait(30) == 0
    assert "tcp://127.0.0.1:" in first


@pytest.mark.parametrize("document", DOCUMENTS)
def test_nothing_that_could_be_run_stands_where_no_test_sees_it(document: str) -> None:
    written = (
        {"toml"} if document == "docs/own-model.md" else set()
    )  # by test_docs_own_model, for what comes after it
    for one in snippets(document):
        known = {"", "python", "sh", "text", "mermaid"} | written
        assert one.language in known, f"{one}: how is {one.language} tested?"
        if one.language in ("", "text"):
            runs = re.search(r"^(import |from \w+ import|make |pip |\.venv/|ostinato |\$ )", one.code, re.MULTILINE)
            assert runs is None, f"{one}: put it between ```python or ```sh fences"


def test_snippets_are_found() -> None:
    text = [
        "```python",
        "a = 1",
        "",
        "b",
        "```",
        "words",
        "",
        "    shown",
        "",
        "    more",
        "",
        "- ```sh",
        "  ```sh",
        "  ls # x",
        "  ```",
    ]
    found = parse("x.md", text)
    assert [(one.line, one.language, one.code) for one in found] == [
        (1, "python", "a = 1\n\nb\n"),
        (8, "", "shown\n\nmore\n"),
        (13, "sh", "ls # x\n"),
    ]
    assert commands(found[2]) == ["ls"]
    with pytest.raises(ValueError, match="without an end"):
        parse("x.md", ["```python", "a"])


def known_commands() -> dict[str, Any]:
    """All commands, as click's objects, by what is typed: "serve", "bench load"."""
    top: dict[str, Any] = typer.main.get_command(app).commands  # type: ignore[attr-defined]
    below = {f"{name} {one}": it for name, group in top.items() for one, it in getattr(group, "commands", {}).items()}
    return top | below


@pytest.mark.parametrize("document", DOCUMENTS)
def test_the_commands_and_their_options_exist(document: str) -> None:
    text, known = (ROOT / document).read_text(encoding="utf-8"), known_commands()
    for line in re.findall(r"`(?:\.venv/bin/)?ostinato ([a-z][^`]*)`", text):
        words = shlex.split(line)
        name = " ".join(words[:2]) if " ".join(words[:2]) in known else words[0]
        assert name in known, f"{document}: no command {line!r}"
        options = {option for parameter in known[name].params for option in parameter.opts} | {"--help"}
        unknown = {word for word in words if re.fullmatch(r"--[a-z-]+", word)} - options
        assert not unknown, f"{document}: {line!r} has {unknown}"
    for target in re.findall(r"`make ([a-z-]+)", text):
        assert f"\n{target}:" in (ROOT / "Makefile").read_text(), f"{document}: no make {target}"


@pytest.mark.parametrize("document", DOCUMENTS)
def test_the_links_lead_somewhere(document: str) -> None:
    here = (ROOT / document).parent
    for link in re.findall(r"\]\((?!https?:)([^)#]+)", (ROOT / document).read_text(encoding="utf-8")):
        assert (here / link).exists(), f"{document} links to {link}"


@pytest.mark.parametrize("document", DOCUMENTS)
def test_the_files_that_are_named_exist(document: str) -> None:
    text = (ROOT / document).read_text(encoding="utf-8")
    for path in re.findall(r"\b((?:tests|docs|bench|clients|engine)/[\w/-]+\.[a-z]+)\b", text):
        assert (ROOT / path).exists(), f"{document} names {path}"
