"""The picture of the bench of music: how right against how late, and a few seconds of what is heard."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from textwrap import wrap
from typing import TYPE_CHECKING, Any

from ostinato_bench.music.tables import Row, conclusions, music
from ostinato_bench.style import COLOURS, FAINT, INK, SOFT

if TYPE_CHECKING:
    from matplotlib.axes import Axes

LINE = 150
"""Characters of a line of text as wide as the picture."""
UNI, BI, WAITING = COLOURS[0], COLOURS[1], COLOURS[2]
RIGHT_S = 0.050


def draw(result: Row, path: Path) -> None:
    """Write the picture of a result of `measuring.run` to ``path``, 1600 pixels wide."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    style: dict[Any, Any] = {
        "font.size": 9, "text.color": INK, "axes.edgecolor": SOFT, "axes.labelcolor": SOFT, "xtick.color": SOFT,
        "ytick.color": SOFT, "axes.spines.top": False, "axes.spines.right": False, "text.parse_math": False,
    }  # fmt: skip
    with plt.rc_context(style):
        closing = [line for said in conclusions(result) for line in wrap(said, LINE)]
        foot = 0.2 + 0.17 * len(closing)
        height = 6.5 + foot
        figure = plt.figure(figsize=(10, height), dpi=160)
        across = {"left": 0.065, "right": 0.985}
        figure.suptitle(
            "Onsets and beats: how right, how late?", x=across["left"], y=1 - 0.1 / height, ha="left", size=15,
            weight="bold",
        )  # fmt: skip
        date = datetime.fromisoformat(result["date"])
        about = f"{music(result)}; in green both sides in blocks, block + look-ahead; {date.day} {date:%B %Y}"
        figure.text(across["left"], 1 - 0.42 / height, about, va="top", size=8.5, color=SOFT)
        top = figure.add_gridspec(1, 2, top=1 - 0.95 / height, bottom=(foot + 3.3) / height, wspace=0.17, **across)
        for column, task in enumerate(("onsets", "beats")):
            _tradeoff(figure.add_subplot(top[column]), result, task)
        below = figure.add_gridspec(
            2, 1, top=(foot + 2.45) / height, bottom=(foot + 0.38) / height, hspace=0.38, **across
        )
        first = figure.add_subplot(below[0])
        _heard(first, result["excerpt"], "uni")
        second = figure.add_subplot(below[1], sharex=first)
        _heard(second, result["excerpt"], "bi")
        first.tick_params(labelbottom=False)
        second.set_xlabel("seconds of the piece", size=8.5, labelpad=1)
        figure.text(across["left"], 0.1 / height, "\n".join(closing), size=8.5, color=INK, va="bottom")
        figure.savefig(path)
        plt.close(figure)


def _tradeoff(axes: Axes, result: Row, task: str) -> None:
    """F-measure against the delay; what waits for the whole piece stands at the right edge."""
    rows = [row for row in result["rows"] if row["task"] == task]
    ours = [row for row in rows if row["by"] == "ostinato"]
    late = [max(1.0, row["delay_ms"]) for row in rows if not row["whole"] and row["delay_ms"] is not None] or [100.0]
    whole = 4.0 * max(late)

    def x(row: Row) -> float:
        return whole if row["whole"] or row["delay_ms"] is None else max(1.0, float(row["delay_ms"]))

    blocks = [row for row in ours if row["direction"] == "bi"]
    axes.plot([x(row) for row in blocks], [row["f"] for row in blocks], ":", color=SOFT, linewidth=1.2, zorder=2)
    for row in rows:
        if row["by"] == "madmom":  # a ring around ours, where they are the same
            axes.plot(x(row), row["f"], "o", markersize=13, markerfacecolor="none", markeredgecolor=SOFT, zorder=2)
    for row in ours:
        colour = UNI if row["direction"] == "uni" else BI if row["whole"] else WAITING
        axes.plot(x(row), row["f"], "o", color=colour, markersize=7, zorder=3)
        above = row in blocks and blocks.index(row) % 2 == 1  # neighbours are close
        axes.annotate(
            f"{_name(row)}\n{row['f']:.2f}", (x(row), row["f"]), xytext=(0, 10 if above else -10),
            textcoords="offset points", va="bottom" if above else "top", ha="center", size=8.5, color=colour,
            bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.5},
        )  # fmt: skip
    lowest, highest = min(row["f"] for row in rows), max(row["f"] for row in rows)
    room = max(highest - lowest, 0.1)
    axes.set_xscale("log")
    ticks = [tick for tick in (10, 20, 50, 100, 200, 500, 1000) if 0.7 * min(late) <= tick <= 1.3 * max(late)]
    axes.set_xticks([*ticks, whole], [*map(str, ticks), "the piece"])
    axes.minorticks_off()
    axes.set_xlim(0.65 * min(late), 1.5 * whole)
    axes.set_ylim(lowest - 0.4 * room, highest + 0.4 * room)
    axes.set_yticks(
        [tick for tick in axes.get_yticks() if lowest - 0.4 * room <= tick <= min(1, highest + 0.4 * room)]
    )
    axes.grid(color=FAINT, linewidth=0.6)
    axes.set_axisbelow(True)
    axes.set_title(f"{task.capitalize()}: F-measure", loc="left", size=10, weight="bold")
    if any(row["by"] == "madmom" for row in rows):
        axes.set_title("rings: madmom's own programs", loc="right", size=8.5, color=SOFT)
    axes.set_xlabel("ms from where it is to when the answer is there, median", size=8.5, labelpad=2)


def _name(row: Row) -> str:
    if row["block_ms"] is not None:
        return f"bi, {row['block_ms']:g} + {row['lookahead_ms']:g} ms"
    return "bi" if row["whole"] else "uni"


def _heard(axes: Axes, excerpt: Row, direction: str) -> None:
    """The activation, where onsets truly are, and what was found: filled where it is right."""
    heard, colour = excerpt[direction], UNI if direction == "uni" else BI
    axes.vlines(excerpt["onsets"], 0, 1.25, color=FAINT, linewidth=2.2, zorder=1)
    axes.plot(heard["times"], heard["activations"], color=colour, linewidth=1.1, zorder=2)
    for found in heard["found"]:
        right = any(abs(found - onset) <= RIGHT_S for onset in excerpt["onsets"])
        axes.plot(
            found, 1.09, "v", color=colour, markersize=6, markerfacecolor=colour if right else "none", clip_on=False
        )
    missed = sum(not any(abs(found - onset) <= RIGHT_S for found in heard["found"]) for onset in excerpt["onsets"])
    start = excerpt["start_s"]
    axes.set(xlim=(start, start + excerpt["seconds"]), ylim=(0, 1.25), yticks=[0, 0.5, 1])
    name = "uni, as they happen" if direction == "uni" else "bi, from both sides"
    axes.set_title(f"{name}: {len(heard['found'])} found, {missed} of {len(excerpt['onsets'])} missed", loc="left",
                   size=9.5, weight="bold", color=colour, pad=4)  # fmt: skip
    if direction == "uni":
        axes.set_title(
            f"{excerpt['name']}, {excerpt['about']}; grey: true onsets; triangles: found, hollow if wrong",
            loc="right", size=8.5, color=SOFT, pad=4,
        )  # fmt: skip
