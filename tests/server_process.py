"""A server in a process of its own, and a model file for it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from engine_models import SPECIFICATIONS
from random_models import network
from server_raw import PATIENCE_S

from ostinato.model import write


def small_model(folder: Path) -> Path:
    """A model of frames, written into the folder."""
    path = folder / "frames.safetensors"
    write(path, network(SPECIFICATIONS["frames"]))
    return path


class Process:
    """A server in a process of its own, which ZeroMQ may end."""

    def __init__(self, path: Path, *arguments: str, limit: int | None = None) -> None:
        command = [sys.executable, "-m", "ostinato.server", "--model", str(path), "--bind", "tcp://127.0.0.1:*"]
        if limit is not None:
            command = ["sh", "-c", f'ulimit -n {limit}; exec "$@"', "sh", *command]
        self.process = subprocess.Popen(
            [*command, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        assert self.process.stdout is not None
        words = self.process.stdout.readline().split()
        assert words[:1] == ["ready"]
        self.endpoint, self.name = words[1], words[2]

    def end(self) -> str:
        """End it; what it has logged. It must have been there."""
        assert self.process.poll() is None, "the server is gone"
        self.process.terminate()
        said = self.process.communicate(timeout=PATIENCE_S)[1]
        assert self.process.returncode == 0
        return said

    def __enter__(self) -> Process:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.communicate()
