"""Streams that go on in this process and, from a snapshot, in another one. As a program: the other one."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from random_models import bits, signal

from ostinato.events import Event
from ostinato.model import Network
from ostinato.model import file as files
from ostinato.streaming import Model, Stream, load

SAMPLES = 3000
PUSHED = 1234
"""Of the samples, before the snapshot."""
GoOn = Callable[[Model, Stream], list[Event]]


def push_the_rest(model: Model, stream: Stream) -> list[Event]:
    """Of a signal whose beginning was pushed."""
    return stream.push(signal(model.network.specification, SAMPLES, 7)[PUSHED:]) + stream.flush()


def generate_the_rest(model: Model, stream: Stream) -> list[Event]:
    """Of a text that is begun."""
    return list(stream.generate())


class Resumed:
    """Models and snapshots in a folder, and what streams gave that went on here."""

    def __init__(self, folder: Path, go_on: GoOn) -> None:
        self.folder, self.go_on = folder, go_on
        self.events: list[int] = []
        self._told: list[str] = []

    def model(self, network: Network) -> Model:
        """A model, from its file."""
        path = self.folder / f"{len(self._told):03}.safetensors"
        files.write(path, network)
        return Model(files.read(path))

    def leave(self, model: Model, stream: Stream) -> None:
        """A stream of the last model: its snapshot is kept, and it goes on here."""
        path = self.folder / f"{len(self._told):03}.snapshot"
        path.write_bytes(stream.snapshot())
        events = self.go_on(model, stream)
        self.events.append(len(events))
        self._told.append(_told(path, events))

    def check(self) -> None:
        """Let another process go on from all the snapshots, and compare."""
        command = [sys.executable, __file__, str(self.folder), self.go_on.__name__]
        result = subprocess.run(command, capture_output=True, text=True, check=False)
        assert result.returncode == 0, result.stderr
        assert self._told and result.stdout.splitlines() == self._told


def _told(path: Path, events: list[Event]) -> str:
    return f"{path.stem} {hashlib.sha256(repr(bits(events)).encode()).hexdigest()} {len(events)}"


def main(folder: str, go_on: str) -> None:
    """Go on from each snapshot, and print what came of it."""
    for path in sorted(Path(folder).glob("*.safetensors")):
        model = load(path)
        print(_told(path, globals()[go_on](model, model.restore(path.with_suffix(".snapshot").read_bytes()))))


if __name__ == "__main__":
    main(*sys.argv[1:])
