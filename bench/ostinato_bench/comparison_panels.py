"""The panels below the picture of a comparison: latencies, what length costs, and what waiting buys."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeAlias

from ostinato_bench.comparison import Comparison, ModelRun
from ostinato_bench.style import COLOURS, FAINT, SOFT, plain_log, short
from ostinato_bench.waiting_panel import waiting

if TYPE_CHECKING:
    from matplotlib.axes import Axes

BESIDE = 0.39
"""Width of a panel beside another, as a share of the picture's."""
LINEAR_MS = 100.0
"""Latencies between this and its negative are on a linear scale, beyond it on a logarithmic one."""

Panel: TypeAlias = "Callable[[Axes, Comparison], None]"


def worth(panel: Panel, comparison: Comparison) -> bool:
    """Whether there is something to compare in a panel: more than one dot, and errors at more than one delay."""
    if panel is latencies:
        return sum(run.counted for run in comparison.models) > 1
    if panel is by_length:
        return len({row.seconds for row in comparison.by_length}) > 1
    return len({row.delay_ms for row in comparison.error_by_delay}) > 1


def latencies(axes: Axes, comparison: Comparison) -> None:
    """One dot per word, and a bar at the median."""
    runs = comparison.models
    for index, run in enumerate(runs):
        colour, y = COLOURS[index % len(COLOURS)], len(runs) - 1 - index
        found = [shown.latency_ms for shown in run.shown if shown.latency_ms is not None]
        axes.plot(found, [y] * len(found), "o", color=colour, alpha=0.35, markersize=5, markeredgewidth=0)
        median = run.latency_ms["p50"]
        if median is not None:
            axes.plot([median] * 2, [y - 0.22, y + 0.22], color=colour, linewidth=2)
            axes.text(median, y + 0.27, in_words(median), ha="center", va="bottom", color=colour, size=9)
    axes.set_xscale("symlog", linthresh=LINEAR_MS, linscale=0.7)
    axes.set(ylim=(-0.6, len(runs) - 0.3), yticks=range(len(runs)))
    labels = axes.set_yticklabels([short(called(run), 10).replace(" ", "\n", 1) for run in reversed(runs)], size=8.5)
    for index, label in enumerate(reversed(labels)):
        label.set_color(COLOURS[index % len(COLOURS)])
    shown = [shown.latency_ms for run in runs for shown in run.shown if shown.latency_ms is not None]
    left, right = min(3 * min(shown), -3 * LINEAR_MS), max(1.8 * max(shown), 5 * LINEAR_MS)
    axes.set_xlim(left, right)
    steps = (100, 300, 1000, 3000) if right < 10_000 else (100, 1000, 10_000, 100_000)
    ticks = [tick for tick in (*(-step for step in reversed(steps)), 0, *steps) if left <= tick <= right]
    names = [f"{tick}" if abs(tick) < 1000 else f"{tick / 1e3:g} s" for tick in ticks]
    axes.set_xticks(ticks, [name.replace("-", "−") for name in names])
    axes.set_xticks([], minor=True)
    axes.axvline(0, color=SOFT, linewidth=0.9)
    axes.grid(axis="x", color=FAINT, linewidth=0.6)
    axes.set_axisbelow(True)
    axes.set_title("From a word's end to shown (bar: median)", loc="left", size=10, weight="bold")
    axes.set_xlabel("ms; left of 0: before the word had ended", size=8.5, labelpad=1)


def by_length(axes: Axes, comparison: Comparison) -> None:
    """Computing left to do after the end of speech, against the utterance's length."""
    axes.set(xscale="log", yscale="log")
    ends: list[tuple[float, float, str, str]] = []
    for index, run in enumerate(comparison.models):
        rows = [row for row in comparison.by_length if (row.name, row.wait) == (run.name, run.wait)]
        if not rows:
            continue
        colour = COLOURS[index % len(COLOURS)]
        marker = "os^Dvp"[index % 6]
        axes.plot([r.seconds for r in rows], [r.final_ms for r in rows], f"-{marker}", color=colour, markersize=4.5)
        text = f"{short(called(run), 17)} {in_words(rows[-1].final_ms)}"
        ends.append((max(rows[-1].final_ms, 1e-3), rows[-1].seconds, text, colour))
    lengths = sorted({row.seconds for row in comparison.by_length})
    if lengths:
        room = min(0.02 * max(len(text) for _, _, text, _ in ends) * BESIDE / axes.get_position().width, 0.7)
        first, last = lengths[0] / 1.2, lengths[-1]
        axes.set_xlim(first, first * (last / first) ** (1 / (1 - room)))
        axes.set_xticks(lengths, [f"{length:g}" for length in lengths])
        axes.set_xticks([], minor=True)
        bottom, top = axes.get_ylim()
        bottom, top = min(bottom / 1.7, 0.5), max(top * 1.7, 5.0)
        axes.set_ylim(bottom, top)
        line = (top / bottom) ** 0.105  # what a line of text takes of a logarithmic axis
        free = 0.0
        for at, seconds, text, colour in sorted(ends):
            free = max(at, free * line)
            axes.annotate(
                f" {text}", (seconds, free), color=colour, size=8.5, va="center", xytext=(3, 0),
                textcoords="offset points",
            )  # fmt: skip
    plain_log(axes.yaxis)
    axes.grid(color=FAINT, linewidth=0.6)
    axes.set_axisbelow(True)
    axes.set_title("Computing left after the end of speech", loc="left", size=10, weight="bold")
    axes.set_xlabel("length of the utterance, s", size=8.5, labelpad=1)
    axes.set_ylabel("ms", size=8.5, labelpad=1)


def errors(axes: Axes, comparison: Comparison) -> None:
    """Words wrong against the delay."""
    rows = comparison.error_by_delay
    runs = {(run.name, run.wait): COLOURS[i % len(COLOURS)] for i, run in enumerate(comparison.models)}
    waiting(axes, rows, runs, least=20.0)
    words, recordings = rows[0].errors.symbols, len(rows[0].by_recording)
    axes.set_title("What waiting buys: words wrong against delay", loc="left", size=10, weight="bold")
    axes.set_title(
        f"{words} words in {recordings} recording{'s' if recordings > 1 else ''}; each small dot another look-ahead",
        loc="right", size=8.5, color=SOFT,
    )  # fmt: skip


def called(run: ModelRun) -> str:
    """A model's name, and whether it answered in blocks."""
    return f"{run.name} in blocks" if run.wait else run.name


def in_words(ms: float) -> str:
    """For people: 4.2 ms, 85 ms, −220 ms, 1.3 s."""
    text = f"{ms / 1e3:.1f} s" if abs(ms) >= 1000 else f"{ms:.0f} ms" if abs(ms) >= 10 else f"{ms:.1f} ms"
    return text.replace("-", "−")
