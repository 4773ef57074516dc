"""The picture of a comparison: the waveform, when each model showed each symbol, what length costs, and what waiting
buys."""

from __future__ import annotations

from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ostinato_bench.comparison import Comparison, DelayRow, ModelRun, Shown, spoken_words

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Okabe and Ito's palette: distinct for all common kinds of colour vision.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
INK, SOFT, FAINT = "#222222", "#6b6b6b", "#d9d9d9"
CHARACTER = 0.0088
"""Width of a bold character, as a share of the width of the axes."""
TOGETHER_MS = 60.0
"""Results that came within this time of each other are drawn as one group of words."""


def draw(comparison: Comparison, path: Path) -> None:
    """Write the picture of ``comparison`` to ``path`` as a PNG 1600 pixels wide."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    runs = comparison.models
    style: dict[Any, Any] = {
        "font.size": 9,
        "text.color": INK,
        "axes.edgecolor": SOFT,
        "axes.labelcolor": SOFT,
        "xtick.color": SOFT,
        "ytick.color": SOFT,
        "axes.spines.top": False,
        "axes.spines.right": False,
    }
    with plt.rc_context(style):
        lanes = [1.3] + [1.55] * len(runs)
        extra = 2.6 if comparison.error_by_delay else 0.0
        height = 0.6 + sum(lanes) + 3.0 + extra
        figure = plt.figure(figsize=(10, height), dpi=160)
        across = {"left": 0.075, "right": 0.985}
        grid = figure.add_gridspec(
            len(lanes),
            1,
            height_ratios=lanes,
            top=1 - 0.6 / height,
            bottom=(3.0 + extra) / height,
            hspace=0.3,
            **across,
        )
        below = figure.add_gridspec(
            1, 2, wspace=0.3, top=(2.2 + extra) / height, bottom=(0.45 + extra) / height, **across
        )
        figure.suptitle("When was each word shown?", x=0.075, y=1 - 0.1 / height, ha="left", size=15, weight="bold")
        wave = figure.add_subplot(grid[0])
        _wave(wave, comparison)
        for index, run in enumerate(runs):
            _lane(figure.add_subplot(grid[index + 1], sharex=wave), run, comparison, COLOURS[index % len(COLOURS)])
        _latencies(figure.add_subplot(below[0]), comparison)
        _by_length(figure.add_subplot(below[1]), comparison)
        if extra:
            last = figure.add_gridspec(1, 1, top=2.1 / height, bottom=0.45 / height, **across)
            _errors(figure.add_subplot(last[0]), comparison)
        figure.savefig(path)
        plt.close(figure)


def _wave(axes: Axes, comparison: Comparison) -> None:
    samples, rate, seconds = comparison.samples, comparison.sample_rate, comparison.seconds
    peak = float(np.abs(samples).max(initial=1e-6))
    step = max(len(samples) // 1400, 1)
    blocks = samples[: len(samples) // step * step].reshape(-1, step) / peak
    times = (np.arange(len(blocks)) + 0.5) * step / rate
    axes.fill_between(times, blocks.min(1), blocks.max(1), color="#8a8a8a", linewidth=0)
    for start, end, word in spoken_words(samples, rate, comparison.transcript):
        axes.plot([start, end], [1.13, 1.13], color=INK, linewidth=1.4, solid_capstyle="butt")
        axes.text((start + end) / 2, 1.24, word, ha="center", va="bottom", size=9)
    last = max([seconds * 1e3, *(shown.shown_ms for run in comparison.models for shown in run.shown)]) / 1e3
    axes.set(xlim=(0, last + 0.19 * seconds), ylim=(-1.05, 1.75), yticks=[])
    axes.spines["left"].set_visible(False)
    _end_of_speech(axes, seconds)
    axes.text(seconds, 1.75, " end of the recording", size=8, color=SOFT, va="top")
    axes.set_title("What was said", loc="left", size=10, weight="bold", pad=4)
    axes.tick_params(axis="x", labelbottom=False, length=0)


def _lane(axes: Axes, run: ModelRun, comparison: Comparison, colour: str) -> None:
    """Each symbol's way from where it was spoken (top) to when it was shown (bottom)."""
    axes.set(ylim=(-0.85, 1.1), yticks=[])
    axes.spines["left"].set_visible(False)
    _end_of_speech(axes, comparison.seconds)
    character = CHARACTER * axes.get_xlim()[1]
    taken = [-1.0] * 3  # how far to the right each row of words is taken
    for group in _groups(run.shown):
        for shown in group:
            spoken_s, shown_s = shown.spoken_ms / 1e3, shown.shown_ms / 1e3
            axes.plot([spoken_s, shown_s], [1.0, 0.18], color=colour, linewidth=0.9, alpha=0.75)
            axes.plot(spoken_s, 1.0, "o", color=colour, markersize=3, markeredgewidth=0)
        at, alone = group[0].shown_ms / 1e3, len(group) == 1
        axes.plot(at, 0.18, "v", color=colour, markersize=4, markeredgewidth=0)
        words = group[0].text if alone else _wrapped([shown.text for shown in group])
        width = character * max(map(len, words.split("\n")))
        left = at - width / 2 if alone else at + character / 2
        row = next((row for row, until in enumerate(taken) if until < left), 0)
        taken[row] = left + width
        axes.text(left, 0.02 - 0.21 * row, words, va="top", size=9, weight="bold", color=colour, linespacing=1.15)
    if not run.shown:
        axes.text(comparison.seconds / 2, 0.4, "nothing was recognised", ha="center", color=SOFT, style="italic")
    delay = "waits for the end of the utterance" if run.delay_ms is None else f"delay {run.delay_ms:.0f} ms"
    if run.wait is not None:
        delay = f"{run.wait.block_ms:g} ms at a time, {run.wait.lookahead_ms:g} ms ahead: {delay}"
    errors = "" if run.error_rate is None else f", {100 * run.error_rate:.0f} % of the words wrong"
    axes.set_title(_called(run), loc="left", size=10, weight="bold", color=colour, pad=4)
    axes.set_title(
        f"{run.direction}, {delay}; final {_duration(run.final_ms)} after the end{errors}",
        loc="right", size=8.5, color=SOFT, pad=4,
    )  # fmt: skip
    axes.text(-0.012, 0.94, "spoken", transform=axes.transAxes, ha="right", va="center", size=8, color=SOFT)
    axes.text(-0.012, 0.53, "shown", transform=axes.transAxes, ha="right", va="center", size=8, color=SOFT)
    if run is comparison.models[-1]:
        axes.tick_params(axis="x", labelsize=8)
        axes.set_xlabel("seconds since the first sample was spoken", size=8.5, labelpad=2)
    else:
        axes.tick_params(axis="x", labelbottom=False, length=0)


def _latencies(axes: Axes, comparison: Comparison) -> None:
    """One dot per result; a bar from p50 to p99."""
    runs = comparison.models
    floor = 1.0
    for index, run in enumerate(runs):
        colour, y = COLOURS[index % len(COLOURS)], len(runs) - 1 - index
        latencies = [max(shown.latency_ms, floor) for shown in run.shown]
        axes.plot(latencies, [y] * len(latencies), "o", color=colour, alpha=0.35, markersize=5, markeredgewidth=0)
        median = run.latency_ms["p50"]
        if median is not None:
            axes.plot([max(median, floor)] * 2, [y - 0.22, y + 0.22], color=colour, linewidth=2)
            axes.text(max(median, floor), y + 0.27, _duration(median), ha="center", va="bottom", color=colour, size=9)
    axes.set(xscale="log", ylim=(-0.6, len(runs) - 0.3), yticks=range(len(runs)))
    axes.set_yticklabels([_called(run).replace(" ", "\n", 1) for run in reversed(runs)], size=8.5)
    left, right = axes.get_xlim()
    axes.set_xlim(min(left, 10), max(right, 1000))
    plain_log(axes.xaxis)
    axes.grid(axis="x", color=FAINT, linewidth=0.6)
    axes.set_axisbelow(True)
    axes.set_title("From spoken to shown, each word (bar: median)", loc="left", size=10, weight="bold")
    axes.set_xlabel("ms", size=8.5, labelpad=1)


def _by_length(axes: Axes, comparison: Comparison) -> None:
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
        text = f"{_called(run)} {_duration(rows[-1].final_ms)}"
        ends.append((max(rows[-1].final_ms, 1e-3), rows[-1].seconds, text, colour))
    lengths = sorted({row.seconds for row in comparison.by_length})
    if lengths:
        axes.set_xlim(lengths[0] / 1.2, lengths[-1] * 11)
        axes.set_xticks(lengths, [f"{length:g}" for length in lengths])
        axes.set_xticks([], minor=True)
        bottom, top = axes.get_ylim()
        axes.set_ylim(bottom / 1.7, top * 1.7)
        line = (top * 1.7 * 1.7 / bottom) ** 0.095  # what a line of text takes of a logarithmic axis
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


def _errors(axes: Axes, comparison: Comparison) -> None:
    """Words wrong against the delay: each bidirectional model's curve over its look-aheads, which ends where it waits
    for the whole utterance."""
    rows = comparison.error_by_delay
    longest = max([row.delay_ms for row in rows if row.delay_ms is not None], default=0.0) or 100.0
    whole = 1.12 * longest
    shown = {(run.name, run.wait): COLOURS[index % len(COLOURS)] for index, run in enumerate(comparison.models)}
    for name, group in groupby(rows, key=lambda row: row.name):
        points = [(whole if row.delay_ms is None else row.delay_ms, 100 * row.error_rate, row) for row in group]
        curve = [(x, y) for x, y, row in points if row.wait is not None]
        if curve:
            axes.plot(*zip(*curve, strict=True), "-", color=SOFT, linewidth=1.2, zorder=2)
            (end, last, _) = points[-1]
            axes.plot([curve[-1][0], end], [curve[-1][1], last], ":", color=SOFT, linewidth=1.2, zorder=2)
        for x, y, row in points:
            colour = shown.get((name, row.wait))
            axes.plot(x, y, "o", color=colour or SOFT, markersize=7 if colour else 3.5, zorder=3, clip_on=False)
            if colour:
                _label(axes, x, y, row, colour)
    axes.set(
        xlim=(-0.02 * longest, 1.2 * longest), ylim=(0, 1.15 * max(20.0, *(100 * row.error_rate for row in rows)))
    )
    axes.axvline((longest + whole) / 2, color=FAINT, linewidth=0.8, linestyle=(0, (3, 3)))
    ticks = [tick for tick in axes.get_xticks() if 0 <= tick <= longest]
    axes.set_xticks([*ticks, whole], [*(f"{tick:g}" for tick in ticks), "whole\nutterance"])
    axes.grid(axis="y", color=FAINT, linewidth=0.6)
    axes.set_axisbelow(True)
    words, recordings = rows[0].symbols, rows[0].recordings
    axes.set_title("What waiting buys: words wrong against delay", loc="left", size=10, weight="bold")
    axes.set_title(
        f"{words} words in {recordings} recording{'s' if recordings > 1 else ''}; each small dot another look-ahead",
        loc="right", size=8.5, color=SOFT,
    )  # fmt: skip
    axes.set_xlabel("delay, ms", size=8.5, labelpad=-6)
    axes.set_ylabel("words wrong, %", size=8.5, labelpad=2)


def _label(axes: Axes, x: float, y: float, row: DelayRow, colour: str) -> None:
    text = f"{row.name} in blocks" if row.wait else row.name
    right = row.delay_ms is None
    axes.annotate(
        f"{text}\n{y:.1f} %", (x, y), xytext=(-6 if right else 7, 7), textcoords="offset points", color=colour,
        size=8.5, weight="bold", ha="right" if right else "left", va="bottom",
    )  # fmt: skip


def _called(run: ModelRun) -> str:
    return f"{run.name} in blocks" if run.wait else run.name


def plain_log(axis: Any) -> None:
    """Plain numbers (10, 100, 1000) on a logarithmic axis."""
    from matplotlib.ticker import FuncFormatter, NullFormatter

    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_formatter(NullFormatter())


def _end_of_speech(axes: Axes, seconds: float) -> None:
    axes.axvline(seconds, color=INK, linewidth=0.9, linestyle=(0, (4, 3)))


def _groups(shown: tuple[Shown, ...]) -> list[list[Shown]]:
    """Results in the order shown, those that came at about the same time together."""
    ordered = sorted(shown, key=lambda one: one.shown_ms)
    number, previous = 0, float("-inf")
    numbered: list[tuple[int, Shown]] = []
    for one in ordered:
        number += one.shown_ms - previous > TOGETHER_MS
        previous = one.shown_ms
        numbered.append((number, one))
    return [[one for _, one in group] for _, group in groupby(numbered, key=lambda pair: pair[0])]


def _wrapped(words: list[str]) -> str:
    """Words in lines of about equal length, at most four lines."""
    per_line = max(3, -(-len(words) // 4)) if max(map(len, words)) > 1 else 10
    return "\n".join(" ".join(words[at : at + per_line]) for at in range(0, len(words), per_line))


def _duration(ms: float) -> str:
    """For people: 4.2 ms, 85 ms, 1.3 s."""
    return f"{ms / 1e3:.1f} s" if ms >= 1000 else f"{ms:.0f} ms" if ms >= 10 else f"{ms:.1f} ms"
