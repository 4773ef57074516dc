"""How learning went, as a picture."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from ostinato.training.replacing import replacing

RARELY = 20
"""Between two drawings of a run as many times as long passes as a drawing takes."""


class Curves:
    """The picture of a run that goes on: drawn again as long as that takes little of the time, and at the end."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._waiting: Sequence[Mapping[str, float]] = ()
        self._drawn, self._took = -math.inf, 0.0

    def follow(self, evaluations: Sequence[Mapping[str, float]]) -> None:
        """There is one more."""
        self._waiting = evaluations
        if time.monotonic() - self._drawn >= RARELY * self._took:
            self.finish()

    def finish(self) -> None:
        """Draw what is not drawn yet."""
        if self._waiting:
            begin = time.monotonic()
            draw(self._waiting, self.path)
            self._waiting, self._drawn = (), time.monotonic()
            self._took = self._drawn - begin


def draw(evaluations: Sequence[Mapping[str, float]], path: Path) -> None:
    """Losses by step, and below them the other numbers. Nothing without matplotlib."""
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError:
        return
    names = [name for name in evaluations[-1] if name != "step"]
    groups = [[n for n in names if "loss" in n], [n for n in names if "loss" not in n]]
    groups = [group for group in groups if group]
    figure = Figure(figsize=(7, 3 * len(groups)), layout="constrained")
    FigureCanvasAgg(figure)
    for axes, group in zip(figure.subplots(len(groups), 1, sharex=True, squeeze=False)[:, 0], groups, strict=True):
        for name in group:
            points = [(e["step"], e[name]) for e in evaluations if math.isfinite(e.get(name, math.nan))]
            label = "training loss" if name == "loss" else name
            axes.plot(*zip(*points, strict=True) if points else ([], []), label=label, marker=".", markersize=4)
        axes.legend(frameon=False)
        axes.grid(alpha=0.3)
        if "accuracy" not in group and all(e[n] > 0 for e in evaluations for n in group):
            axes.set_yscale("log")
    axes.set_xlabel("batches learnt from")
    with replacing(path) as part:
        figure.savefig(part, dpi=110)
