"""What `ostinato train speech-cs` measured, as tables and a picture: its models' results.json.

python -m ostinato_bench.speech docs/measurements/speech-cs-*.json docs/speech.png
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from ostinato_bench.style import COLOURS, INK, SOFT
from ostinato_bench.tables import markdown

Row = dict[str, Any]
GREEDY = "greedy"
NAMES = {"uni": "unidirectional", "bi": "bidirectional", "linear": "linear"}


def errors(*results: Row) -> str:
    """A line for each way that a model can be asked, with and without language model."""
    lines = []
    for result in results:
        for beam, greedy in _pairs(result):
            lines.append([
                _kind(result), "at once" if beam["name"] == "at once" else _asked(beam), _rate(greedy["characters"]),
                _rate(beam["characters"]), _rate(greedy["words"]), _rate(beam["words"]), _wait(greedy), _wait(beam),
            ])  # fmt: skip
    headings = [
        "model",
        "answers",
        "characters, best path",
        "characters, search",
        "words, best path",
        "words, search",
    ]
    return markdown([*headings, "told after, best path", "told after, search"], lines)


def made(*results: Row) -> str:
    """What each model is, and how it came about."""
    lines = []
    for result in results:
        language = result["language_model"]
        lines.append([
            _kind(result), f"{result['weights']:,}", f"{result['steps']:,}",
            f"{result['validation']['best_path']:.1%}", f"{result['validation']['beam']:.1%}",
            f"{language['weight']:g}", f"{language['bonus']:g}",
        ])  # fmt: skip
    headings = [
        "model",
        "weights",
        "steps",
        "validation, best path",
        "validation, search",
        "language weight",
        "bonus",
    ]
    return markdown(headings, lines)


def sessions(*results: Row) -> str:
    """Ends of speech that streams found themselves."""
    lines = []
    for result in results:
        found = result["sessions"]
        lines.append([
            _kind(result), f"{found['in_pauses']} of {found['clips']}", f"{found['ends']}", _rate(found["characters"])
        ])  # fmt: skip
    return markdown(["model", "pauses in which an end was told", "ends told", "characters, search"], lines)


def hotwords(*results: Row) -> str:
    """Words that no training clip has, expected and not."""
    lines = []
    for result in results:
        found = result["hotwords"]
        for name in ("without", "with"):
            one = found[name]
            right, words = f"{one['right']} of {one['said']}", _rate(found["errors"][name])
            lines.append([_kind(result), name, right, f"{one['wrongly']}", words])
    return markdown(
        ["model", "hotwords", "of these heard right", "heard where they were not said", "words wrong"], lines
    )


def draw(results: list[Row], path: Path) -> None:
    """Write the picture: characters wrong against how long after its own frame a character is told."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    style: dict[Any, Any] = {
        "font.size": 9, "text.color": INK, "axes.edgecolor": SOFT, "axes.labelcolor": SOFT, "xtick.color": SOFT,
        "ytick.color": SOFT, "axes.spines.top": False, "axes.spines.right": False,
    }  # fmt: skip
    with plt.rc_context(style):
        figure, axes = plt.subplots(figsize=(10, 5), dpi=160)
        highest = 0.0
        for colour, result in zip(COLOURS, results, strict=False):
            for which, fill in ((0, colour), (1, "white")):
                ways = [pair[which] for pair in _pairs(result)]
                places = [max(20.0, way["wait_ms"][0]) for way in ways]
                rates = [100 * way["characters"]["rate"] for way in ways]
                bounds = [
                    [100 * abs(way["characters"][end] - way["characters"]["rate"]) for way in ways]
                    for end in ("low", "high")
                ]
                highest = max(highest, *rates)
                label = f"{_kind(result)}, {'language model' if which == 0 else 'best path'}"
                axes.errorbar(
                    places, rates, bounds, marker="o", markersize=6, color=colour, markerfacecolor=fill, label=label,
                    linewidth=1.2 if which == 0 else 0.7, elinewidth=0.7, linestyle="-" if which == 0 else "--",
                )  # fmt: skip
                if which == 0:
                    for n, (place, way) in enumerate(zip(places, ways, strict=True)):
                        end, offset = ("high", 4) if n % 2 else ("low", -10)
                        axes.annotate(
                            way["name"],
                            (place, 100 * way["characters"][end]),
                            textcoords="offset points",
                            xytext=(0, offset),
                            ha="center",
                            size=7.5,
                            color=SOFT,
                        )
        axes.set_xscale("log")
        ticks = [20, 50, 100, 200, 500, 1000, 2000]
        axes.set_xticks(ticks, [f"{t} ms" for t in ticks], minor=False)
        axes.set_xticks([], minor=True)
        axes.set_xlim(18, 3500)
        axes.set_ylim(0, highest * 1.1)
        axes.set_xlabel("from a character's own frame to when it is told, median")
        axes.set_ylabel("characters wrong, %")
        axes.legend(frameon=False, fontsize=8)
        figure.suptitle("Czech speech: how right, how late?", x=0.065, ha="left", size=15, weight="bold")
        first = results[0]
        figure.text(
            0.065, 0.9, f"{first['clips']['test']} held-out clips; look-ahead of blocks of 300 ms, and whole; "
            "bars are 95 % intervals", size=8.5, color=SOFT,
        )  # fmt: skip
        figure.subplots_adjust(left=0.065, right=0.985, top=0.87, bottom=0.1)
        figure.savefig(path)
        plt.close(figure)


def _kind(result: Row) -> str:
    return NAMES[result["model"].removesuffix("-quick").rpartition("-")[2]]


def _pairs(result: Row) -> list[tuple[Row, Row]]:
    ways = result["ways"]
    greedy = {way["name"]: way for way in ways if way["head"] == GREEDY}
    return [(way, greedy[way["name"]]) for way in ways if way["head"] != GREEDY]


def _asked(way: Row) -> str:
    return "after the utterance" if way["block_ms"] is None else f"look-ahead {way['lookahead_ms']:.0f} ms"


def _rate(rate: Row) -> str:
    return f"{rate['rate']:.1%} ({rate['low']:.1%} to {rate['high']:.1%})"


def _wait(way: Row) -> str:
    return " / ".join("–" if ms is None else f"{ms:.0f} ms" for ms in way["wait_ms"])


def main() -> None:
    """Draw."""
    *files, picture = map(Path, sys.argv[1:])
    draw([json.loads(file.read_text(encoding="utf-8")) for file in files], picture)


if __name__ == "__main__":
    main()
