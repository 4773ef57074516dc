"""Compares the kernels of two commits on one machine: `make bench-compare BASE=rev`.

Each commit runs in processes of its own, from its own sources and with its own cache of compiled kernels; they are
timed in turns. Where memory lies makes a process a few per cent faster or slower all its life, so each commit has
several, and a difference counts as one only if it is larger than those among processes of the same commit.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import zipfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

from ostinato import children
from ostinato.errors import InputError
from ostinato_bench.cells import Cell, Kind
from ostinato_bench.tables import us
from ostinato_bench.terminal import Console, Table

PROCESSES, ROUNDS, SECONDS = 3, 5, 0.06
SMALLEST = 0.02
"""Differences below this are called noise whatever the figures say."""
_START_S, _ANSWER_S = 180.0, 30.0
_SOURCES = ("engine", "clients")

_NETWORKS: tuple[tuple[Kind, int, int, int], ...] = (
    ("gru", 40, 16, 1), ("gru", 40, 64, 1), ("gru", 40, 128, 1), ("gru", 80, 256, 2), ("lstm", 40, 128, 1),
    ("lstm", 80, 256, 2), ("rnn", 40, 128, 1),
)  # fmt: skip
CELLS = (
    *(Cell(*network, batch=batch) for network in _NETWORKS for batch in (1, 8, 64)),
    *(Cell("gru", 40, 128, batch=batch, near_silence=True) for batch in (1, 64)),
    Cell("gru", 40, 128, 1, "bidirectional", frames=500),
    *(Cell(kind, 80, 256, 2, batch=batch, precision="int8") for kind in ("gru", "lstm") for batch in (1, 8, 64)),
)  # fmt: skip


@dataclass(frozen=True)
class Compared:
    """Microseconds a call, for each process of the two commits the median over the rounds."""

    cell: Cell
    base: tuple[float, ...]
    ours: tuple[float, ...]

    @property
    def ratio(self) -> float:
        """Of the times, ours to the base's: below 1 is faster."""
        return statistics.median(self.ours) / statistics.median(self.base)

    @property
    def spread(self) -> tuple[float, float]:
        """The smallest and the largest ratio of any two processes."""
        return min(self.ours) / max(self.base), max(self.ours) / min(self.base)

    @property
    def verdict(self) -> str:
        """'faster' or 'slower' if all processes of one commit are faster than all of the other's; else ''."""
        low, high = self.spread
        if high < 1 and self.ratio < 1 - SMALLEST:
            return "faster"
        return "slower" if low > 1 and self.ratio > 1 + SMALLEST else ""


def compare(
    base: str,
    root: Path,
    cells: Sequence[Cell] = CELLS,
    *,
    processes: int = PROCESSES,
    rounds: int = ROUNDS,
    seconds: float = SECONDS,
    cache: Path | None = None,
    report: Callable[[str], None] = lambda doing: None,
) -> list[Compared]:
    """Time ``cells`` on the commit ``base`` and on the sources in ``root``, a working tree of git.

    Everything made is removed afterwards; a ``cache`` given stays, with the kernels of both. Raises InputError for a
    commit that does not exist or cannot be measured.
    """
    with tempfile.TemporaryDirectory(prefix="ostinato-compare-") as folder, ExitStack() as stack:
        tree = Path(folder) / "base"
        _check_out(base, root, tree)
        caches = {tree: cache or Path(folder) / "base-cache", root: cache or Path(folder) / "cache"}
        workers: dict[Path, list[_Worker]] = {tree: [], root: []}
        for number in range(processes):  # the first of each compiles, the others load
            for sources, already in workers.items():
                report(f"starting process {number + 1} of {processes} of {base if sources is tree else 'this tree'}")
                already.append(stack.enter_context(_started(sources, root, caches[sources])))
        found = []
        for index, cell in enumerate(cells):
            report(f"{index} of {len(cells)}: {cell}")
            try:
                medians = _medians(cell, workers, rounds, seconds)
            except InputError as error:
                if cell.precision == "float32":
                    raise
                report(f"{cell} is left out: {error}")  # commits from before there was int8
                continue
            found.append(Compared(cell, medians[tree], medians[root]))
        return found


def _medians(
    cell: Cell, workers: dict[Path, list[_Worker]], rounds: int, seconds: float
) -> dict[Path, tuple[float, ...]]:
    """Microseconds a call, of each process; they are timed in turns."""
    times: dict[_Worker, list[float]] = {worker: [] for each in workers.values() for worker in each}
    for _ in range(rounds):
        for turn in zip(*workers.values(), strict=True):
            for worker in turn:
                times[worker].append(worker.time(cell, seconds))
    return {sources: tuple(statistics.median(times[one]) for one in each) for sources, each in workers.items()}


def _check_out(base: str, root: Path, target: Path) -> None:
    """The commit's sources; by an archive, which leaves nothing in the repository, whatever happens."""
    if base.startswith("-"):
        raise InputError(f"{base!r} is no commit: name one, such as main or HEAD~3")
    made = subprocess.run(
        ["git", "archive", "--format=zip", base, *_SOURCES], cwd=root, capture_output=True, timeout=60
    )
    if made.returncode:
        said = made.stderr.decode(errors="replace").strip()
        raise InputError(f"git has no sources of {base!r} ({said}): name a commit, such as main or HEAD~3")
    with zipfile.ZipFile(BytesIO(made.stdout)) as archive:
        archive.extractall(target)


@contextmanager
def _started(sources: Path, root: Path, cache: Path) -> Iterator[_Worker]:
    cache.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = os.pathsep.join(str(folder) for folder in (*(sources / name for name in _SOURCES), root / "bench"))
    process = children.start(
        ["-m", "ostinato_bench.revision_worker"],
        os.environ | {"PYTHONPATH": path, "XDG_CACHE_HOME": str(cache), "OMP_NUM_THREADS": "1"},
    )
    try:
        worker = _Worker(process)
        running = Path(worker.answer(_START_S)["ready"])
        if sources.resolve() not in running.resolve().parents:
            raise InputError(f"the process runs {running}, not {sources}: unset PYTHONSAFEPATH and the like")
        yield worker
    finally:
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                pipe.close()


class _Worker:
    """A process of one commit (`revision_worker`)."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def time(self, cell: Cell, seconds: float) -> float:
        """Microseconds a call. Raises InputError if the commit cannot."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"cell": asdict(cell), "seconds": seconds}) + "\n")
        self._process.stdin.flush()
        return float(self.answer(_ANSWER_S + seconds)["us"])

    def answer(self, patience: float) -> dict[str, Any]:
        """The next answer; a process that gives none in time is ended."""
        assert self._process.stdout is not None
        timer = threading.Timer(patience, self._process.kill)
        timer.start()
        try:
            line = self._process.stdout.readline()
        finally:
            timer.cancel()
        answer: dict[str, Any] = json.loads(line) if line else {"error": "its process ended; what it said is above"}
        if "error" in answer:
            raise InputError(f"this commit cannot be measured with today's bench: {answer['error']}")
        return answer


def table(found: Sequence[Compared], base: str) -> Table:
    """For the terminal."""
    columns = ("network", "B", "base", "now", "ratio", "from", "to", "")
    made = Table(*columns, title=f"Microseconds a call: {base}, and this tree", right=columns[1:-1])
    colours = {"faster": "green", "slower": "red", "": "dim"}
    for row in found:
        verdict = row.verdict
        made.add_row(
            row.cell.name + ", int8" * (row.cell.precision == "int8") + ", near silence" * row.cell.near_silence,
            str(row.cell.batch),
            us(statistics.median(row.base)),
            us(statistics.median(row.ours)),
            *(f"{ratio:.2f}" for ratio in (row.ratio, *row.spread)),
            f"[{colours[verdict]}]{verdict or 'within the noise'}[/]",
        )
    return made


def main() -> None:
    """The command behind the make target."""
    parser = argparse.ArgumentParser(
        prog="make bench-compare", description=__doc__.splitlines()[0] if __doc__ else ""
    )
    parser.add_argument("base", help="a commit, branch or tag")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    wanted = parser.parse_args()
    if wanted.json and not wanted.json.resolve().parent.is_dir():
        parser.error(f"there is no folder {wanted.json.resolve().parent} to write {wanted.json.name} into")
    err = Console(stderr=True, highlight=False)
    try:
        with err.status("…") as status:
            say = status.update if err.is_terminal else err.print
            found = compare(wanted.base, Path.cwd(), report=lambda doing: say(f"[dim]{doing}[/]"))
    except InputError as error:
        sys.exit(f"error: {error}")
    if wanted.json:  # before anything is printed: a pipe that breaks must not lose it
        rows = [asdict(row) | {"ratio": row.ratio, "verdict": row.verdict} for row in found]
        wanted.json.write_text(json.dumps(rows, indent=2) + "\n", encoding="utf-8")
    Console(highlight=False).print(table(found, wanted.base))


if __name__ == "__main__":
    main()
