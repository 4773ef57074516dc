"""What `bench chunk` found, as a table: for the terminal, and as Markdown for docs/performance.md."""

from __future__ import annotations

from typing import Any

from ostinato_bench import machine, tables
from ostinato_bench.spending import IO_THREADS, REST, WAITING
from ostinato_bench.terminal import Table

PARTS = (
    "receive",
    "decode",
    "numbers and credit",
    "choose a batch, count",
    "front end",
    "pack and unpack",
    "network",
    "events",
    "results",
    "send",
)
"""In the order in which a chunk goes through them."""
ORDER = (WAITING, *PARTS, REST, IO_THREADS)


def terminal(result: dict[str, Any]) -> Table:
    """A result of `run`."""
    headings, lines = _table(result)
    made = Table(*headings, title="Processor time of the server for a chunk, µs", right=headings[1:])
    for line in lines:
        made.add_row(*line)
    return made


def markdown(*results: dict[str, Any]) -> str:
    """Results in Markdown, columns of one beside those of the other."""
    tables_of = [_table(result) for result in results]
    headings = [tables_of[0][0][0], *(name for found, _ in tables_of for name in found[1:])]
    lines = [
        [rows[0][0], *(cell for row in rows for cell in row[1:])]
        for rows in zip(*(lines for _, lines in tables_of), strict=True)
    ]
    return tables.markdown(headings, lines)


def source(result: dict[str, Any]) -> str:
    """Where and when it was measured."""
    found = result["machine"]
    versions = ", ".join(f"{name} {found[name]}" for name in (*machine.VERSIONS, "python") if name in found)
    return (
        f"{result['date'][:10]}, {found['processor']}, {found['cores']} cores; {result['streams']:,} streams of "
        f"{result['model']}, chunks of {result['chunk_ms']:g} ms, for {result['seconds']:g} s each; {versions}. Load "
        f"of the last minute, our own included: {found.get('load', 0):g}."
    )


def legend(result: dict[str, Any]) -> str:
    """What a reader of `terminal` wants to know."""
    quiet = min(way["quiet"] for way in result["ways"].values())
    return (
        "PUSHES: chunks of many streams in a message; PUSH: each in its own. Pack: frames into the rows of a batch, "
        "and outputs out of them. Parts are divided by those turns of the loop in which the server had the "
        f"processor all the time ({quiet:.0%} at least), without what the timers took."
    )


def _table(result: dict[str, Any]) -> tuple[list[str], list[list[str]]]:
    ways = result["ways"]
    lines = [[name, *(f"{way['parts_us'][name]:.2f}" for way in ways.values())] for name in ORDER]
    lines.append(["all together", *(f"{way['total_us']:.2f}" for way in ways.values())])
    lines.append(["without timers", *(_or_dash(way["untimed_us"]) for way in ways.values())])
    lines.append(["chunks in a batch", *(f"{way['batch']:.1f}" for way in ways.values())])
    return ["part", *ways], lines


def _or_dash(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}"
