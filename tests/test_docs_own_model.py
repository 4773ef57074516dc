"""docs/own-model.md works as it stands: its blocks, one after the other, in one folder."""

from __future__ import annotations

import shlex
import subprocess
import tomllib
from collections.abc import Callable
from pathlib import Path

from snippets import commands, snippets

from ostinato.server import Server
from ostinato.streaming import load

Run = Callable[..., subprocess.CompletedProcess[str]]

DOCUMENT = "docs/own-model.md"
SAYS = [
    ("evaluate", ("recall", "frames wrong in 4 utterances", "permutation test")),
    ("compare", ("of real time", "pump-bi in blocks is as good", "pump-uni")),
    ("bench", ("240 frames of data, in turns", "2000 of 50 ms", "2000, 0 lost")),
    ("listen", ("0.05 s  ", "%")),
    ("train", ()),
    ("train", ()),
    ("evaluate", ("0.0 %", "spoken")),
]
"""The commands, in their order, and what they print."""


def test_its_blocks_run_in_their_order(ostinato: Run, program: Run, tmp_path: Path) -> None:
    to_come = iter(SAYS)
    for snippet in snippets(DOCUMENT):
        if snippet.language == "python":
            run(program, snippet.code, tmp_path)
        if snippet.language == "toml":
            (tmp_path / f"{tomllib.loads(snippet.code)['name']}.toml").write_text(snippet.code)
        for line in commands(snippet) if snippet.language == "sh" else []:
            command, *arguments = shlex.split(line)
            assert command == ".venv/bin/ostinato"
            ended = ostinato(*arguments, cwd=tmp_path)
            assert ended.returncode == 0, ended.stderr
            expected, says = next(to_come)
            assert arguments[0] == expected and all(words in ended.stdout for words in says), ended.stdout
    assert (tmp_path / "runs" / "pump" / "pump.safetensors").exists()
    assert not list(to_come) and (tmp_path / "pump.png").stat().st_size > 10_000


def run(program: Run, code: str, folder: Path) -> None:
    """It prints what it should; one that needs a server has one of its model."""
    if "Client(" not in code:
        done = program(code, cwd=folder)
        assert done.returncode == 0, done.stderr
        return
    with Server({"pump-uni": load(folder / "pump-uni.safetensors")}) as server:
        done = program(code.replace("tcp://127.0.0.1:7077", server.endpoint), cwd=folder)
    assert done.returncode == 0 and not done.stderr, done.stderr
    assert done.stdout.startswith("0.05 s ") and "the last ones:" in done.stdout
    assert all(name in done.stdout for name in ("fine", "worn", "broken"))
