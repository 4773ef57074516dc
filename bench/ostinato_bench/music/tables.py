"""What the bench of music found, as tables for the terminal and in Markdown, and in a few sentences."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from ostinato.pipeline.confidence import chance_of
from ostinato_bench.scores import SIGNIFICANT
from ostinato_bench.tables import markdown, times, us
from ostinato_bench.terminal import Table

Row = dict[str, Any]
ENOUGH = 6
"""Pieces: of fewer, no difference is more than chance explains, as the permutation test has it."""
HEADINGS = ("heard by", "F", "precision", "recall", "events", "delay", "of real time")
NETWORK = ("network", "frames at a time", "ours, µs a frame", "±", "madmom's", "±", "times as fast")


def terminal(result: Row) -> Iterable[Table]:
    """A table for each task, and one of the networks alone."""
    for task in ("onsets", "beats"):
        rows = _rows(result, task)
        made = Table(
            *HEADINGS, title=f"{task.capitalize()}: {rows[0]['true']:,} in {music(result)}", right=HEADINGS[1:]
        )
        for row in rows:
            made.add_row(*_cells(row))
        yield made
    made = Table(*NETWORK, title="A frame through the networks alone", right=NETWORK[1:])
    for row in result["networks"]:
        made.add_row(*_network(row))
    yield made


def hearing(result: Row) -> str:
    """The same of onsets and beats, in Markdown."""
    lines = [
        [f"{task}: {_cells(row)[0]}", *_cells(row)[1:]] for task in ("onsets", "beats") for row in _rows(result, task)
    ]
    return markdown(HEADINGS, lines)


def networks(result: Row) -> str:
    """The same of the networks, in Markdown."""
    return markdown(NETWORK, map(_network, result["networks"]))


def pieces(result: Row) -> str:
    """What was played, and what each way found in it: F-measures of onsets and of beats, uni / bi."""
    lines = []
    for number, piece in enumerate(result["music"]):
        found = [f"{piece['name']}, {piece['about']}", f"{piece['seconds']:.0f} s"]
        for task in ("onsets", "beats"):
            both = (_ours(result, task, direction)["f_by_piece"][number] for direction in ("uni", "bi"))
            found += [f"{piece[task]}", " / ".join(f"{f:.2f}" for f in both)]
        lines.append(found)
    return markdown(["piece", "long", "onsets", "F, uni / bi", "beats", "F, uni / bi"], lines)


def source(result: Row) -> str:
    """What was heard, where, when and with what."""
    machine, date, rendered = result["machine"], datetime.fromisoformat(result["date"]), result["rendered"]
    busy = machine.get("load", 0.0) > machine["cores"]
    others = f", with others at work on them (load {machine['load']:g})" if busy else ""
    versions = ", ".join(f"{name} {version}" for name, version in result["versions"].items())
    return (
        f"{music(result)}: scores of {rendered['scores']}'s corpus, rendered by {rendered['by']}; measured on "
        f"{date.day} {date:%B %Y}, one core of {machine['processor']} ({machine['cores']} cores{others}); {versions}."
    )


def said(result: Row) -> str:
    """The sentences, as a paragraph."""
    return " ".join(conclusions(result))


def legend(result: Row) -> str:
    """What a reader of `terminal` wants to know."""
    return (
        "F, precision and recall over the events of all pieces; an onset may be 50 ms off, a beat 70 ms, beats count "
        "from 5 s on, as is usual. Delay: from where an event truly is to when the answer is there, in audio fed "
        "10 ms at a time, the median; computing comes on top. Of real time: processor time on one core, the median "
        f"of the pieces. ±: half the distance of the quartiles. {source(result)}"
    )


def conclusions(result: Row) -> list[str]:
    """What waiting buys for onsets and for beats, whether madmom hears the same, and who is faster."""
    found = [_waiting(result, task) for task in ("onsets", "beats")]
    if theirs := [row for row in result["rows"] if row["by"] == "madmom"]:
        same, all_theirs = sum(row["ours_too"] for row in theirs), sum(row["said"] for row in theirs)
        ours = sum(row["ours_said"] for row in theirs)
        found.append(
            f"Of the {all_theirs:,} events that madmom's programs found, ours are {same:,} of {ours:,}, to the "
            f"millisecond. Our networks are {_faster(result)}."
        )
    return found


def _waiting(result: Row, task: str) -> str:
    uni, bi = (_ours(result, task, direction) for direction in ("uni", "bi"))
    blocks = [row for row in result["rows"] if row["task"] == task and row["block_ms"] is not None]
    told = f"{task.capitalize()}: as they happen F {uni['f']:.2f}, {_ms(uni['delay_ms'])} late; with the whole piece "
    if len(result["music"]) < ENOUGH:
        best = max(blocks, key=lambda row: row["f"])
        little = f"but {_pieces(result)} prove{'s' * (len(result['music']) == 1)} little"
        return f"{told}{bi['f']:.2f}; in blocks {best['f']:.2f} at {_ms(best['delay_ms'])}; {little}."
    told += f"{bi['f']:.2f}, a gain that {_chance(bi, uni)}; in blocks "
    good = next((row for row in blocks if row["f"] >= bi["f"] or _p(bi, row) >= SIGNIFICANT), None)
    if good is not None:
        return f"{told}{good['f']:.2f} at {_ms(good['delay_ms'])}, as good as that, as far as can be told."
    best = max(blocks, key=lambda row: row["f"])
    return f"{told}{best['f']:.2f} at {_ms(best['delay_ms'])}, less than that, a gain that {_chance(best, uni)}."


def _p(one: Row, other: Row) -> float:
    return chance_of([a - b for a, b in zip(one["f_by_piece"], other["f_by_piece"], strict=True)])


def _chance(row: Row, other: Row) -> str:
    p = _p(row, other)
    return f"{'is more than chance explains' if p < SIGNIFICANT else 'may be chance'} (p = {p:.2g})"


def _faster(result: Row) -> str:
    parts = []
    for single, told in ((True, "a frame at a time"), (False, "over whole sequences")):
        ratios = [row["madmom_us"] / row["ours_us"] for row in result["networks"] if (row["frames"] == 1) == single]
        parts.append(f"{min(ratios):.0f} to {max(ratios):.0f} times as fast as its own {told}")
    return " and ".join(parts)


def _rows(result: Row, task: str) -> list[Row]:
    return [row for row in result["rows"] if row["task"] == task]


def _ours(result: Row, task: str, direction: str) -> Row:
    return next(
        row
        for row in _rows(result, task)
        if (row["by"], row["direction"], row["block_ms"]) == ("ostinato", direction, None)
    )


def _cells(row: Row) -> Sequence[str]:
    low, high = row["real_time_quartiles"]
    return (
        name_of(row), f"{row['f']:.3f}", f"{row['precision']:.3f}", f"{row['recall']:.3f}",
        f"{row['found']:,}", "the piece" if row["whole"] else _ms(row["delay_ms"]),
        f"{100 * row['real_time']:.2f} % ± {50 * (high - low):.2f}",
    )  # fmt: skip


def name_of(row: Row) -> str:
    """Who heard it, and how long they waited."""
    if row["by"] == "madmom":
        return f"madmom's {row['name']}"
    if row["block_ms"] is not None:
        return f"bi, blocks of {row['block_ms']:g} ms + {row['lookahead_ms']:g}"
    return "bi, the whole piece" if row["whole"] else "uni, as they happen"


def _network(row: Row) -> Sequence[str]:
    beside = "madmom_us" in row
    return (
        f"{row['task']}, {row['direction']}", f"{row['frames']:,}", us(row["ours_us"]), _spread(row, "ours"),
        us(row["madmom_us"]) if beside else "", _spread(row, "madmom") if beside else "",
        times(row.get("madmom_us"), row["ours_us"]),
    )  # fmt: skip


def _spread(row: Row, name: str) -> str:
    low, high = row[f"{name}_quartiles_us"]
    return f"{50 * (high - low) / row[f'{name}_us']:.0f} %"


def _ms(value: float | None) -> str:
    return "–" if value is None else f"{value:.0f} ms" if abs(value) < 1e3 else f"{value / 1e3:.2f} s"


def music(result: Row) -> str:
    """How much music of how many pieces."""
    return f"{sum(piece['seconds'] for piece in result['music']) / 60:.1f} minutes of music, {_pieces(result)}"


def _pieces(result: Row) -> str:
    count = len(result["music"])
    return f"{count} piece{'s' * (count != 1)}"
