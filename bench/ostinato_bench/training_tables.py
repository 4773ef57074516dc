"""What `bench training` found, as a table: for the terminal, and as Markdown for docs/performance.md."""

from __future__ import annotations

from typing import Any

from ostinato_bench import tables
from ostinato_bench.terminal import Table

LEGEND = (
    "Thousands of frames a second of forward, backward and a step of Adam; medians. Under times how many times "
    "faster we are, each with as many threads as are best for it, and, of processor time, on one thread; peak: our "
    "share of what so many cores can multiply and add."
)
_PEERS = (("ours", "ours"), ("pytorch", "PyTorch"))


def terminal(result: dict[str, Any]) -> Table:
    """A result of `training.run`."""
    headings, lines = _table(result)
    made = Table(*headings, title="Frames learnt from a second, thousands", right=headings[1:])
    for line in lines:
        made.add_row(*line)
    return made


def learning(result: dict[str, Any]) -> str:
    """The same in Markdown."""
    return tables.markdown(*_table(result, "**"))


def source(result: dict[str, Any]) -> str:
    """Where and when it was measured, with what, and how busy the machine was."""
    load, cores = result["machine"].get("load"), result["machine"]["cores"]
    busy = "" if load is None else f" Load of the last minute, our own threads included: {load:g} on {cores} cores."
    return tables.source(result) + busy


def _table(result: dict[str, Any], strong: str = "") -> tuple[list[str], list[list[str]]]:
    rows = result["rows"]
    threads = list(dict.fromkeys(n for row in rows for n in row["ours"]))
    peers = [(who, name) for who, name in _PEERS if all(who in row for row in rows)]
    headings = ["network", "batch"]
    headings += [f"{name}, {n} thread{'s' * (n != '1')}" for who, name in peers for n in threads]
    headings += ["times", "processor time"] * (len(peers) > 1) + ["peak"]
    lines = []
    for row in rows:
        line = [row["name"], f"{row['sequences']} × {row['frames']}"]
        line += [_thousands(row[who].get(n)) for who, _ in peers for n in threads]
        if len(peers) > 1:
            line += [f"{strong}{row['times']:.2f} ×{strong}", f"{row['processor_times']:.2f} ×"]
        lines.append([*line, f"{_share(row):.0%}"])
    return headings, lines


def _share(row: dict[str, Any]) -> float:
    cores = max(row["ours"], key=lambda n: float(row["ours"][n]["frames_s"]))
    return float(row["gmacs"]) / (int(cores) * float(row["arithmetic_gmacs"]))


def _thousands(found: dict[str, Any] | None) -> str:
    return "" if found is None else f"{found['frames_s'] / 1e3:,.0f}"
