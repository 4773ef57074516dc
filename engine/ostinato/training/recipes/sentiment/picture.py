"""What waiting buys, as a picture: how right the score is that is shown while a sentence is read, and the scores of a
few sentences after each of their words."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ostinato.model import file as model_file
from ostinato.streaming import Model
from ostinato.training.recipes.sentiment.testing import Way, running

SENTENCES = (
    "The plot is thin and the jokes are old , but I laughed until I cried .",
    "I wanted to love this phone , and it is the worst one that I ever had .",
    "Not bad at all , in fact one of the best films of the year !",
)
"""Written for this picture; of no data set."""
BLUE, ORANGE, GREY = "#1f6fb4", "#d9722e", "#777777"


def draw(results: Sequence[Path], models: Sequence[Path], path: Path) -> None:
    """Of what the tests of the unidirectional and the bidirectional model gave, and of both models' files. Nothing
    without matplotlib, or while there is one model alone."""
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError:
        return
    if not all(each.exists() for each in (*results, *models)):
        return
    figure = Figure(figsize=(11, 7.5), layout="constrained")
    FigureCanvasAgg(figure)
    left, right = figure.subfigures(1, 2, width_ratios=(1, 1.25), squeeze=False)[0]
    _curves(left.subplots(), *(json.loads(each.read_text(encoding="utf-8")) for each in results))
    uni, bi = (Model(model_file.read(file)) for file in models)
    for number, (axes, sentence) in enumerate(zip(right.subplots(len(SENTENCES), 1), SENTENCES, strict=True)):
        _sentence(axes, sentence, uni, bi, legend=number == 0)
    figure.savefig(path, dpi=110)


def _curves(axes: Any, uni: Mapping[str, Any], bi: Mapping[str, Any]) -> None:
    shares = uni["running"]["share"]

    def mean(result: Mapping[str, Any], way: str) -> list[float]:
        curves = list(result["running"][way].values())
        return [sum(values) / len(curves) for values in zip(*curves, strict=True)]

    axes.plot(shares, mean(uni, ""), color=BLUE, marker="o", markersize=4, label="unidirectional: at once")
    for shade, way in enumerate(way for way in bi["running"] if way not in ("", "share")):
        pieces = f"bidirectional, {way}"
        axes.plot(shares, mean(bi, way), color=ORANGE, alpha=0.35 + 0.15 * shade, linewidth=1.2, label=pieces)
    axes.plot(shares[-1:], mean(bi, "")[-1:], "s", color=ORANGE, markersize=8, label="bidirectional: at the end")
    axes.set(xlabel="per cent of the sentence's words read", ylabel="correlation of the score shown with people's")
    axes.set_title("held-out sentences: mean of film, product, news, tweet", fontsize=10)
    axes.grid(alpha=0.3)
    axes.legend(frameon=False, fontsize=8)


def _sentence(axes: Any, sentence: str, uni: Model, bi: Model, *, legend: bool) -> None:
    words = sentence.split()
    scores = [score or 0.0 for score in running(uni, Way(), sentence)]
    final = running(bi, Way(), sentence)[-1] or 0.0
    places = range(len(words))
    axes.axhline(0, color=GREY, linewidth=0.8)
    way = "unidirectional, after each word"
    axes.step(places, scores, where="post", color=BLUE, marker="o", markersize=4, label=way)
    axes.plot([len(words) - 1], [final], "s", color=ORANGE, markersize=8, label="bidirectional, at the end")
    axes.set_xticks(list(places), words, rotation=50, ha="right", fontsize=8)
    axes.set(ylim=(-3.5, 3.5), ylabel="score")
    if legend:
        axes.legend(frameon=False, fontsize=8, loc="upper right")
