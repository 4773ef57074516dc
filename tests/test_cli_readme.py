"""What the README shows works as it stands there."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from ostinato.cli.app import app
from ostinato.cli.files import bundled_recording
from ostinato.server import spawn_server

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
CHUNKS = """
import numpy as np
from ostinato_client import FileSource
with FileSource({recording!r}, realtime=False) as source:
    samples = np.repeat(source.read(), 16000 // source.sample_rate)
chunks = [samples[at : at + 800] for at in range(0, len(samples), 800)]
"""

Run = Callable[..., subprocess.CompletedProcess[str]]


def test_the_programs_hear_digits() -> None:
    programs = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    assert len(programs) == 2
    with spawn_server(["digits-uni"]) as server:
        for program in programs:
            script = CHUNKS.format(recording=str(bundled_recording()))
            script += program.replace("tcp://127.0.0.1:7077", server.endpoint)
            done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=100)
            assert done.returncode == 0, done.stderr
            assert re.search(r"\b(five|zero|one|four|nine)\b", done.stdout)


def test_the_commands_exist() -> None:
    known = {command.name or command.callback.__name__ for command in app.registered_commands if command.callback}
    known |= {group.name for group in app.registered_groups if group.name}
    named = {shlex.split(line)[0] for line in re.findall(r"`(?:\.venv/bin/)?ostinato ([a-z][^`]*)`", README)}
    assert named and named <= known
    for document in ("README.md", "CONTRIBUTING.md"):
        text = (ROOT / document).read_text(encoding="utf-8")
        targets = set(re.findall(r"`?make (demo|test|lint|format|clean)", text))
        assert targets and all(f"\n{target}:" in (ROOT / "Makefile").read_text() for target in targets)


def test_the_links_lead_somewhere() -> None:
    for document in ("README.md", "CONTRIBUTING.md"):
        text = (ROOT / document).read_text(encoding="utf-8")
        for link in re.findall(r"\]\((?!https?:)([^)#]+)", text):
            assert (ROOT / link).exists(), f"{document} links to {link}"
