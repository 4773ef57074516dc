"""docs/own-model.md works as it stands: its blocks, one after the other, in one folder."""

from __future__ import annotations

import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from snippets import commands, snippets

from ostinato.server import spawn_server

DOCUMENT = "docs/own-model.md"
SAYS = {
    "evaluate": ("recall", "frames wrong in 4 utterances", "permutation test"),
    "compare": ("of real time", "pump-bi in blocks is as good", "pump-uni"),
    "bench": ("240 frames of data, in turns", "2000 of 50 ms", "2000, 0 lost"),
    "listen": ("0.05 s  ", "%"),
    "train": (),
}


def test_its_blocks_run_in_their_order(
    ostinato: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    done: list[str] = []
    for snippet in snippets(DOCUMENT):
        if snippet.language == "python":
            run(snippet.code, tmp_path)
        if snippet.language == "toml":
            (tmp_path / "pump.toml").write_text(snippet.code)
        for line in commands(snippet) if snippet.language == "sh" else []:
            program, *arguments = shlex.split(line)
            assert program == ".venv/bin/ostinato"
            ended = ostinato(*arguments, cwd=tmp_path)
            assert ended.returncode == 0, ended.stderr
            assert all(words in ended.stdout for words in SAYS[arguments[0]]), ended.stdout
            done.append(arguments[0])
    assert (tmp_path / "runs" / "pump" / "pump.safetensors").exists()
    assert done == [*SAYS] and (tmp_path / "pump.png").stat().st_size > 10_000


def run(program: str, folder: Path) -> None:
    """It prints what it should; one that needs a server has one of its model."""
    if "Client(" not in program:
        subprocess.run([sys.executable, "-c", program], cwd=folder, check=True, timeout=100)
        return
    with spawn_server([folder / "pump-uni.safetensors"]) as server:
        script = program.replace("tcp://127.0.0.1:7077", server.endpoint)
        done = subprocess.run([sys.executable, "-c", script], cwd=folder, capture_output=True, text=True, timeout=100)
    assert done.returncode == 0 and not done.stderr, done.stderr
    assert done.stdout.startswith("0.05 s ") and "the last ones:" in done.stdout
    assert all(name in done.stdout for name in ("fine", "worn", "broken"))
