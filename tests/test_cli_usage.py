"""A walk through all commands and options: help pages, numbers that are none, names that do not exist, completion."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import typing
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import typer.main

from ostinato.cli.app import app
from ostinato.cli.files import RECORDINGS
from ostinato.cli.usage import DONE, WRONG_USAGE, Command, run
from ostinato.errors import did_you_mean
from ostinato.model import available

Run = Callable[..., subprocess.CompletedProcess[str]]


def commands() -> dict[str, Any]:
    """All commands, those with commands below them too, by the words that are typed."""
    found: dict[str, Any] = {}

    def walk(words: tuple[str, ...], command: Any) -> None:
        found[" ".join(words)] = command
        for name, below in getattr(command, "commands", {}).items():
            walk((*words, name), below)

    walk((), typer.main.get_command(app))
    return found


COMMANDS = commands()
LEAVES = {words: command for words, command in COMMANDS.items() if not hasattr(command, "commands")}


def numbers() -> Iterator[tuple[str, str, type, Any]]:
    """(Command, option, int or float, what typer was told) of every option that is a number."""
    for words, command in LEAVES.items():
        by_name = {param.name: param for param in command.params}
        hints = typing.get_type_hints(command.callback, include_extras=True)
        for name, hint in hints.items():
            if name == "return":
                continue
            kind, told = hint.__args__[0], hint.__metadata__[0]
            for one in (int, float):
                if re.search(rf"\b{one.__name__}\b", str(kind)):
                    yield words, by_name[name].opts[0], one, told


NUMBERS = list(numbers())
NEEDED = {
    "evaluate": ["digits-uni", "--data", str(RECORDINGS)],
    "generate": ["digits-uni"],
    "translate": ["digits-uni"],
    "read": ["digits-uni"],
    "listen": ["digits-uni", "--file", str(RECORDINGS / "phone-number.wav")],
    "quantize": ["digits-uni", "--calibrate", str(RECORDINGS), "-o", "/dev/null/out.safetensors"],
}


def test_the_walk_sees_the_options() -> None:
    assert len(LEAVES) >= 11 and all(isinstance(one, Command) for one in LEAVES.values())
    assert len(NUMBERS) >= 15
    assert ("serve", "--workers") in {(words, option) for words, option, _, _ in NUMBERS}


@pytest.mark.parametrize(
    ("words", "option", "kind", "told"), NUMBERS, ids=[f"{words} {option}" for words, option, _, _ in NUMBERS]
)
@pytest.mark.parametrize("value", ["nan", "inf", "-inf", "1e300", "-1", "1" + "0" * 400, "", "x"])
def test_every_number_has_bounds(
    words: str, option: str, kind: type, told: Any, value: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert told.min is not None and told.max is not None, "what is within no bounds is a traceback somewhere else"
    status = typed(words, *NEEDED.get(words, []), option, value)
    said = capsys.readouterr().err
    assert status == WRONG_USAGE, said
    assert option in said and said.startswith("error: ") and len(said.splitlines()) == 2


def typed(words: str, *arguments: str) -> int:
    """Run a command in this process; the exit code."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["ostinato", *words.split(), *arguments])
        return run(app)


@pytest.mark.parametrize("words", COMMANDS)
def test_every_help_page_is_plain(words: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert typed(words, "--help") == DONE
    said = capsys.readouterr().out
    assert said.startswith(f"Usage: ostinato {words}".rstrip())
    for riddle in ("<", "choosing voices", "storey", "a frame's way", "ports after this one", "Sentinel", "None"):
        assert riddle not in said, riddle
    for param in COMMANDS[words].params:
        about = getattr(param, "help", None)
        assert about and about[0].isupper() | about.startswith(("forward", "float32")) and about in said, param.name
        assert not re.search(r"be repeated|given often", about), f"{param.name}: the page says that by itself"
        if not getattr(param, "is_flag", False):
            assert param.metavar, f"{param.name}: say what its value is"


def test_commands_below_are_listed_with_the_first_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    assert typed("", "--help") == DONE
    said = capsys.readouterr().out
    for words in COMMANDS:
        if words and " " not in words:
            assert re.search(rf"^  {words} +[A-Z].*\.$", said, re.MULTILINE), words
    assert "Exit codes: 0" in said


@pytest.mark.parametrize("words", [words for words, command in COMMANDS.items() if hasattr(command, "commands")])
def test_alone_a_group_shows_its_help_and_fails(words: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert typed(words) == WRONG_USAGE
    said = capsys.readouterr()
    assert said.err.startswith("Usage:") and not said.out


@pytest.mark.parametrize(
    ("arguments", "status", "meant"),
    [
        (["lisen"], 2, "'listen'"),
        (["listen", "--fil", "x"], 2, "--file"),
        (["inspect", "digits-umi"], 1, "'digits-uni'"),
        (["inspect", "Digits-Uni"], 1, "'digits-uni'"),
        (["listen", "digits-uno", "--file", str(RECORDINGS / "phone-number.wav")], 1, "'digits-uni'"),
        (["compare", "--sweep-ms", "0,nan"], 2, "0,100,300"),
        (["compare", "--sweep-ms", "0,1e300"], 2, "0,100,300"),
        (["doctor", "--only", "kernel"], 2, "'kernels'"),
        (["bench", "kernels", "--cell", "grus"], 2, "'gru'"),
        (["bench", "kernels", "--peer", "onnx-runtime"], 2, "'onnxruntime'"),
    ],
)
def test_what_was_meant_is_asked(ostinato: Run, arguments: list[str], status: int, meant: str) -> None:
    done = ostinato(*arguments)
    assert done.returncode == status and meant in done.stderr and "Traceback" not in done.stderr, done.stderr


@pytest.mark.parametrize("words", ["read MODEL --text", "bench load --streams", "--nothing", "serve --workers 0"])
def test_every_wrong_line_names_a_help_page(words: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert typed(words) == WRONG_USAGE
    assert capsys.readouterr().err.endswith("--help says what there is\n")


def test_near_names_are_found_and_far_ones_are_not() -> None:
    assert did_you_mean("digits-umi", ["digits-bi", "digits-uni"]) == "; did you mean 'digits-uni'?"
    assert did_you_mean("elephant", ["digits-bi", "digits-uni"]) == ""
    assert did_you_mean("x" * 10**6, ["digits-uni"]) == did_you_mean("", []) == ""


def completed(line: str, **environment: str) -> list[str]:
    """What bash would be offered at the end of the line."""
    words = line.split(" ")
    asked = {"COMP_WORDS": line, "COMP_CWORD": str(len(words) - 1), "_OSTINATO_COMPLETE": "complete_bash"}
    done = subprocess.run(
        [sys.executable, "-c", "from ostinato.cli import main; main()"],
        capture_output=True, text=True, timeout=60, env=os.environ | asked | environment,
    )  # fmt: skip
    assert "Traceback" not in done.stderr, done.stderr
    return done.stdout.split()


def test_shells_complete_commands_options_and_models(tmp_path: Path) -> None:
    assert set(completed("ostinato ")) >= {"listen", "compare", "serve"}
    assert "--lookahead-ms" in completed("ostinato listen --look")
    assert completed("ostinato inspect digits-") == ["digits-bi", "digits-uni"]
    assert completed("ostinato compare digits-uni digits-b") == ["digits-bi"]
    (tmp_path / "digital.safetensors").touch()
    assert "digital" in completed(f"ostinato inspect --models {tmp_path} digi")


@pytest.mark.parametrize("name", ["models", "inspect digits-bi", "doctor --only python"])
def test_what_is_shown_is_also_json(ostinato: Run, name: str) -> None:
    done = ostinato(*name.split(), "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    if name == "models":
        delays = {one["name"]: one["delay_ms"] for one in found}
        assert delays.keys() == available().keys() and delays["digits-bi"] is None and delays["digits-uni"] == 0
    elif name.startswith("inspect"):
        assert (
            found["name"] == "digits-bi"
            and found["heads"][0]["symbols"][0] == "zero"
            and found["specification"]["nodes"]
        )
    else:
        assert found["broken"] is False and found["findings"][0]["topic"] == "python"


def test_nothing_names_a_command_or_an_extra_that_does_not_exist() -> None:
    root = Path(__file__).parent.parent
    texts = [*root.glob("*.md"), *(root / "docs").glob("*.md"), root / "Makefile"]
    for sources in ("engine", "clients", "bench", "tests"):
        texts += [path for path in (root / sources).rglob("*.py") if path != Path(__file__)]
    known = {words.split()[0] for words in COMMANDS if words}
    for path in texts:
        text = path.read_text(encoding="utf-8")
        for word in re.findall(r"`(?:\S*/)?ostinato ([a-z]+)", text):
            assert word in known, f"{path}: there is no command {word!r}"
        # Nothing is on a registry: what installs works from a clone, or names others' packages.
        assert not re.search(r"install [^\n`]*['\" ]ostinato\[", text), path
