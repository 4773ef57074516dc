"""`ostinato bench chunk`: parts are told apart, add up, and are those of a server that really runs."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from rich.console import Console

from ostinato_bench import load, report
from ostinato_bench.chunk import timed
from ostinato_bench.chunk_tables import ORDER, PARTS, legend, terminal
from ostinato_bench.spending import IO_THREADS, REST, WAITING, Spending, by_part, look


class _Clock:
    """Time that passes as it is told to: for the thread, the process, and on the wall."""

    def __init__(self) -> None:
        self.wall = self.thread = self.process = 0

    def work(self, us: int, stolen: int = 0) -> None:
        self.thread += 1000 * us
        self.process += 1500 * us  # another thread does half as much beside
        self.wall += 1000 * (us + stolen)

    def clocks(self) -> tuple[Callable[[], int], ...]:
        return lambda: self.wall, lambda: self.thread, lambda: self.process


def test_parts_exclude_each_other_and_add_up(tmp_path: Path) -> None:
    clock = _Clock()

    class Loop:
        def outer(self, stolen: int) -> None:
            clock.work(20, stolen)
            self.inner()
            clock.work(10)

        def inner(self) -> None:
            clock.work(40)

        def wait(self) -> None:
            clock.work(2, stolen=1000)

    spending, loop = Spending(tmp_path / "file.npy", ["outer", "inner"], clock.clocks()), Loop()
    spending.around(Loop, "outer", "outer")
    spending.around(Loop, "inner", "inner")
    spending.between_turns(Loop, "wait")
    loop.wait()
    before = look(tmp_path / "file.npy")
    for turn in range(12):
        loop.outer(stolen=1000 * (turn % 3 == 0))  # what others took in these turns is nobody's
        clock.work(3)
        loop.wait()
    found = by_part(look(tmp_path / "file.npy") - before, ["outer", "inner"])
    wanted = {WAITING: 2, REST: 3, "outer": 30, "inner": 40, IO_THREADS: 37.5}
    assert found["parts_ns"] == pytest.approx({name: 12e3 * us for name, us in wanted.items()})
    assert found["process_ns"] == pytest.approx(12e3 * 112.5)
    assert found["calls"] == {REST: 0, "outer": 12, "inner": 12}
    assert found["quiet"] == pytest.approx(8 / 12)


def test_the_parts_of_a_chunk() -> None:
    speak = functools.partial(load.run, 5, 1.0, model="gru-1x16", workers=1, idle=0, singly=True)
    found, spent = timed(speak)
    assert (found["sent"], found["lost"]) == (125, 0)
    assert all(spent["calls"][part] > 0 for part in PARTS), "a timer is around nothing"
    assert sum(spent["parts_ns"].values()) == pytest.approx(spent["process_ns"])
    assert spent["parts_ns"][IO_THREADS] > 0


def test_the_table(tmp_path: Path) -> None:
    way = {"parts_us": dict.fromkeys(ORDER, 1.0), "total_us": 13.0, "untimed_us": 12.5, "batch": 33.2, "quiet": 0.5}
    figures = {"streams": 400, "seconds": 10.0, "model": "gru", "chunk_ms": 40.0, "date": "2026-11-26T08:00:00"}
    result = {"ways": {"PUSHES": way, "PUSH": way | {"untimed_us": None}}, **figures}
    result["machine"] = {"processor": "P", "cores": 2, "numpy": "2", "load": 0.5}
    (tmp_path / "one.json").write_text(json.dumps(result))
    written = report.renew(
        "<!-- table chunk one.json one.json -->\n<!-- end -->\n<!-- table chunk-source one.json -->\n<!-- end -->",
        tmp_path,
    )
    assert "| network | 1.00 | 1.00 | 1.00 | 1.00 |" in written and "| without timers | 12.50 | – |" in written
    assert "400 streams of gru, chunks of 40 ms" in written and "50%" in legend(result)
    console = Console(width=80, record=True)
    console.print(terminal(result))
    assert "all together" in console.export_text()
