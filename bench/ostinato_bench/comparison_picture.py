"""The picture of a comparison: the waveform, when each model showed each word, and below it panels with what length
costs and what waiting buys (`comparison_panels`)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from itertools import groupby
from pathlib import Path
from textwrap import wrap
from typing import TYPE_CHECKING, Any

import numpy as np

from ostinato_bench import comparison_panels as panels
from ostinato_bench.comparison import Comparison, ModelRun, Shown
from ostinato_bench.comparison_panels import called, in_words
from ostinato_bench.style import COLOURS, INK, SOFT, short

if TYPE_CHECKING:
    from matplotlib.axes import Axes

CHARACTER = 0.0088
"""Width of a bold character, as a share of the width of the axes."""
TOGETHER_MS = 60.0
"""Results that came within this time of each other are drawn as one group of words."""
ROWS = 4
"""Lines of words below a lane."""
LONGEST_NAME, LINE = 60, 145
"""Characters of a recording's name, and of a line of text as wide as the picture."""
WRONG = "✗"


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
        "text.parse_math": False,
    }
    with plt.rc_context(style):
        lanes = [1.3] + [1.55] * len(runs)
        side_by_side = [panel for panel in (panels.latencies, panels.by_length) if panels.worth(panel, comparison)]
        waiting = panels.worth(panels.errors, comparison)
        closing = [line for said in comparison.conclusions for line in wrap(said, LINE)]
        about = _about(comparison)
        head, middle, last = 0.7 + 0.15 * len(about), 2.5 if side_by_side else 0.0, 2.8 + 0.16 * len(closing)
        foot = 0.5 + (last if waiting else 0.0)
        height = head + sum(lanes) + middle + foot
        figure = plt.figure(figsize=(10, height), dpi=160)
        across = {"left": 0.075, "right": 0.985}
        grid = figure.add_gridspec(
            len(lanes), 1, height_ratios=lanes, top=1 - head / height, bottom=(middle + foot) / height, hspace=0.3,
            **across,
        )  # fmt: skip
        figure.suptitle("When was each word shown?", x=0.075, y=1 - 0.1 / height, ha="left", size=15, weight="bold")
        figure.text(0.075, 1 - 0.42 / height, "\n".join(about), va="top", size=8.5, color=SOFT)
        wave = figure.add_subplot(grid[0])
        _wave(wave, comparison)
        for index, run in enumerate(runs):
            _lane(figure.add_subplot(grid[index + 1], sharex=wave), run, comparison, COLOURS[index % len(COLOURS)])
        if side_by_side:
            below = figure.add_gridspec(
                1, len(side_by_side), wspace=0.3, top=(middle + foot - 0.8) / height, bottom=foot / height, **across
            )
            for index, panel in enumerate(side_by_side):
                panel(figure.add_subplot(below[index]), comparison)
        if waiting:
            top = (last - 0.3) / height
            bottom = (0.65 + 0.16 * len(closing)) / height
            panels.errors(
                figure.add_subplot(figure.add_gridspec(1, 1, top=top, bottom=bottom, **across)[0]), comparison
            )
            figure.text(0.075, 0.1 / height, "\n".join(closing), size=8.5, color=INK, va="bottom")
        figure.savefig(path)
        plt.close(figure)


def _about(comparison: Comparison) -> list[str]:
    """What was played, where and when; and from where it counts. Lines."""
    recording, machine = comparison.recording, comparison.machine
    date = datetime.fromisoformat(comparison.date)
    cores = machine.get("cores")
    where = f"{machine.get('processor', 'unknown processor')}{f', {cores} cores' if cores else ''}"
    counted = (
        f"Counted from the end of each word in the recording ({comparison.words_from})."
        if comparison.words
        else f"Where the words end in the recording is {comparison.words_from}."
    )
    played = f"{_shortened(recording.name)}, {recording.seconds:.1f} s; {where}; {date.day} {date:%B %Y}"
    return [*wrap(played, LINE), *wrap(counted, LINE)]


def _shortened(text: str) -> str:
    text = text.encode("utf-8", "replace").decode()  # a file's name may hold what is no text
    half = LONGEST_NAME // 2
    return text if len(text) <= LONGEST_NAME else f"{text[:half]}…{text[-half:]}"


def _wave(axes: Axes, comparison: Comparison) -> None:
    recording = comparison.recording
    samples, rate, seconds = recording.samples, recording.sample_rate, recording.seconds
    peak = float(np.abs(samples).max(initial=1e-6))
    step = max(len(samples) // 1400, 1)
    blocks = samples[: len(samples) // step * step].reshape(-1, step) / peak
    times = (np.arange(len(blocks)) + 0.5) * step / rate
    axes.fill_between(times, blocks.min(1), blocks.max(1), color="#8a8a8a", linewidth=0)
    last = max([seconds * 1e3, *(shown.shown_at_ms for run in comparison.models for shown in run.shown)]) / 1e3
    axes.set(xlim=(0, last + 0.19 * seconds), ylim=(-1.05, 1.75), yticks=[])
    taken = -1.0
    for word in comparison.words:
        start, end = word.start_ms / 1e3, word.end_ms / 1e3
        axes.plot([start, end], [1.13, 1.13], color=INK, linewidth=1.4, solid_capstyle="butt")
        width = 0.95 * CHARACTER * axes.get_xlim()[1] * len(word.text)
        if (left := (start + end - width) / 2) > taken:  # of many words those that there is room for
            axes.text((start + end) / 2, 1.24, word.text, ha="center", va="bottom", size=9)
            taken = left + width + 0.4 * CHARACTER * axes.get_xlim()[1]
    axes.spines["left"].set_visible(False)
    _end_of_speech(axes, seconds)
    axes.text(seconds, 1.75, " end of the recording", size=8, color=SOFT, va="top")
    axes.set_title("What was said", loc="left", size=10, weight="bold", pad=4)
    wrong = any(shown.end_at_ms is None for run in comparison.models for shown in run.shown)
    if comparison.words:
        signs = ["●  a word ends", "○  a model decides on it", "▼  it is shown", *[f"{WRONG}  wrong"] * wrong]
        axes.set_title("      ".join(signs), loc="right", size=8.5, color=SOFT, pad=4)
    axes.tick_params(axis="x", labelbottom=False, length=0)


def _lane(axes: Axes, run: ModelRun, comparison: Comparison, colour: str) -> None:
    """Each word's way from its end in the recording (top) to when it was shown (bottom)."""
    axes.set(ylim=(-0.85, 1.12), yticks=[])
    axes.spines["left"].set_visible(False)
    _end_of_speech(axes, comparison.recording.seconds)
    heard = {shown.end_at_ms for shown in run.shown}
    missed = [word.end_ms / 1e3 for word in comparison.words if word.end_ms not in heard]
    axes.plot(missed, [1.0] * len(missed), "o", color=SOFT, markersize=3.4, markeredgewidth=0)
    for shown in run.shown:
        _way(axes, shown, colour, bool(comparison.words))
    _words(axes, run.shown, colour, bool(comparison.words))
    if not run.shown:
        axes.text(
            comparison.recording.seconds / 2, 0.4, "nothing was recognised", ha="center", color=SOFT, style="italic"
        )
    delay = "waits for the end of the utterance" if run.delay_ms is None else f"delay {run.delay_ms:.0f} ms"
    if run.wait is not None:
        delay = f"{run.wait.block_ms:g} ms at a time, {run.wait.lookahead_ms:g} ms ahead: {delay}"
    errors = "" if run.error_rate is None else f", {100 * run.error_rate:.0f} % of the words wrong"
    facts = f"{delay}; final {in_words(run.final_ms)} after the end{errors}"
    if run.wait is None:
        facts = f"{run.direction}, {facts}"
    axes.set_title(facts, loc="right", size=8.5, color=SOFT, pad=4)
    name = short(called(run), int(0.7 * (LINE - len(facts))) - (len(" in blocks") if run.wait else 0))
    axes.set_title(name, loc="left", size=10, weight="bold", color=colour, pad=4)
    above = "word ends" if comparison.words else "decided"
    axes.text(-0.012, 0.94, above, transform=axes.transAxes, ha="right", va="center", size=8, color=SOFT)
    axes.text(-0.012, 0.53, "shown", transform=axes.transAxes, ha="right", va="center", size=8, color=SOFT)
    if run is comparison.models[-1]:
        axes.tick_params(axis="x", labelsize=8)
        axes.set_xlabel("seconds since the first sample was spoken", size=8.5, labelpad=2)
    else:
        axes.tick_params(axis="x", labelbottom=False, length=0)


def _way(axes: Axes, shown: Shown, colour: str, known: bool) -> None:
    """From the word's end, and from where it was decided, to where it was shown. ``known``: whether ends are."""
    decided, at = shown.decided_at_ms / 1e3, shown.shown_at_ms / 1e3
    hollow: dict[str, Any] = {"markersize": 3.2, "markerfacecolor": "white", "markeredgewidth": 0.8, "zorder": 3}
    if shown.end_at_ms is None:
        soft = SOFT if known else colour
        axes.plot([decided, at], [1.0, 0.18], color=soft, linewidth=0.9, alpha=0.75, linestyle=(0, (2, 2)))
        axes.plot(decided, 1.0, "o", color=soft, **hollow)
        return
    end = shown.end_at_ms / 1e3
    axes.plot([end, at], [1.0, 0.18], color=colour, linewidth=0.9, alpha=0.75)
    axes.plot([decided, end], [1.0, 1.0], color=colour, linewidth=0.8, alpha=0.6, linestyle=(0, (1, 1.5)))
    axes.plot(end, 1.0, "o", color=colour, markersize=3.4, markeredgewidth=0, zorder=3)
    axes.plot(decided, 1.0, "o", color=colour, **hollow)


def _words(axes: Axes, shown: Sequence[Shown], colour: str, known: bool) -> None:
    """The words below the places where they were shown, as far as there is room for them."""
    width_s = axes.get_xlim()[1]
    character = CHARACTER * width_s
    taken = [-1.0] * ROWS  # how far to the right each row is taken
    for group in _groups(shown):
        at, alone = group[0].shown_at_ms / 1e3, len(group) == 1
        right = [one.end_at_ms is not None or not known for one in group]
        axes.plot(at, 0.18, "v", color=colour if any(right) else SOFT, markersize=4, markeredgewidth=0)
        texts = [one.text if good else WRONG + one.text for one, good in zip(group, right, strict=True)]
        first = next((row for row, until in enumerate(taken) if until < at - character * len(texts[0]) / 2), None)
        if first is None:
            continue
        beside = max(3, int((width_s - at) / character) - 1)
        lines = texts if alone else _wrapped(texts, beside, int(0.97 / CHARACTER), ROWS)
        width = character * max(map(len, lines))
        left = max(0.0, at - width / 2) if alone else at + character / 2
        if left + width > width_s:  # to the left of where they came, if they are too many for the right
            left, first = max(0.0, width_s - width), 0
        for row, line in enumerate(lines[: ROWS - first], first):
            taken[row] = left + character * (len(line) + 0.5)
            axes.text(
                left, 0.02 - 0.21 * row, line, va="top", size=9, weight="bold",
                color=colour if any(right) else SOFT,
            )  # fmt: skip


def _end_of_speech(axes: Axes, seconds: float) -> None:
    axes.axvline(seconds, color=INK, linewidth=0.9, linestyle=(0, (4, 3)))


def _groups(shown: Sequence[Shown]) -> list[list[Shown]]:
    """Results in the order shown, those that came at about the same time together."""
    ordered = sorted(shown, key=lambda one: one.shown_at_ms)
    number, previous = 0, float("-inf")
    numbered: list[tuple[int, Shown]] = []
    for one in ordered:
        number += one.shown_at_ms - previous > TOGETHER_MS
        previous = one.shown_at_ms
        numbered.append((number, one))
    return [[one for _, one in group] for _, group in groupby(numbered, key=lambda pair: pair[0])]


def _wrapped(words: Sequence[str], narrow: int, wide: int, rows: int) -> list[str]:
    """Words in at most so many lines: of at most ``narrow`` characters if they fit into them, else of ``wide`` ones,
    and if they do not fit either, the first ones and how many there are."""
    for most in (narrow, wide):
        lines: list[str] = [""]
        for word in words:
            if lines[-1] and len(lines[-1]) + 1 + len(word) > most:
                lines.append("")
            lines[-1] = f"{lines[-1]} {word}".lstrip()
        if len(lines) <= rows and max(map(len, lines)) <= most:
            return lines
    count = f" … {len(words)} words in all"
    return [*lines[: rows - 1], lines[min(rows, len(lines)) - 1][: wide - len(count)] + count]
