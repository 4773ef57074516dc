"""A server's memory and processor time under load, all its processes together; from /proc, where there is one."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path
from typing import Any

SAMPLES = 300
"""Looks at the memory in one measurement, at most."""


class Watch:
    """Looks at process ``pid`` and its children at the phases of a load, and every so often for ``seconds``.

    Memory is what the processes hold together, pages that several share counted once (PSS).
    """

    def __init__(self, pid: int, seconds: float) -> None:
        self._pid = pid
        self._every = max(1.0, seconds / SAMPLES)
        self._marks: dict[str, tuple[float, float | None, float | None]] = {}
        self._over_time: list[list[float]] = []
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._sample, daemon=True)

    def phase(self, name: str) -> None:
        """Look now."""
        self._marks[name] = (time.monotonic(), self._cpu_s(), self.memory_mb())
        if name == "start":
            self._thread.start()

    def close(self) -> None:
        """Look no more."""
        self._done.set()
        if self._thread.ident is not None:
            self._thread.join()

    def figures(self, idle: int) -> dict[str, Any]:
        """What became of it."""
        (start, cpu_start, _), (end, cpu_end, rss) = self._marks["start"], self._marks["end"]
        share = None if cpu_start is None or cpu_end is None else round((cpu_end - cpu_start) / (end - start), 3)
        before, after = self._marks["before idle"][2], self._marks["idle"][2]
        more = None if before is None or after is None else round(after - before, 1)
        return {
            "rss_mb": rss,
            "rss_over_time_mb": self._over_time,
            "server_core_share": share,
            "server_cpu_s": None if cpu_start is None or cpu_end is None else round(cpu_end - cpu_start, 2),
            "idle_streams": idle,
            "idle_mb": more,
        }

    def memory_mb(self) -> float | None:
        """Memory of all processes, in MB; None where the system does not say."""
        found = [_memory_kb(process) for process in self._processes()]
        known = [each for each in found if each is not None]
        return round(sum(known) / 1024, 1) if known else None

    def _sample(self) -> None:
        start = self._marks["start"][0]
        while not self._done.wait(self._every) and len(self._over_time) <= SAMPLES:
            if (memory := self.memory_mb()) is not None:
                self._over_time.append([round(time.monotonic() - start, 1), memory])

    def _processes(self) -> list[int]:
        try:
            children = Path(f"/proc/{self._pid}/task/{self._pid}/children").read_text().split()
        except OSError:
            children = []
        return [self._pid, *map(int, children)]

    def _cpu_s(self) -> float | None:
        total = 0.0
        for process in self._processes():
            try:
                fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
            except OSError:
                return None
            total += (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
        return total


def _memory_kb(process: int) -> int | None:
    for name, field in (("smaps_rollup", "Pss:"), ("status", "VmRSS:")):
        try:
            text = Path(f"/proc/{process}/{name}").read_text()
        except OSError:
            continue
        for line in text.splitlines():
            if line.startswith(field):
                return int(line.split()[1])
    return None
