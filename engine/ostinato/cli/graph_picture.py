"""A picture of a model's graph: a box for each node, in rows by how far it is from the front end."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ostinato.cli.console import count, plural
from ostinato.cli.graph import Vertex, delay, every, vertices
from ostinato.errors import InputError
from ostinato_bench.style import COLOURS, FAINT, INK, SOFT

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from ostinato.model.specification import Specification

MOST = 300
"""Nodes of a picture: more nobody could read."""

WIDTH, HEIGHT = 2.25, 0.62  # of a box, in inches
_BESIDE, _BELOW = 0.3, 0.34  # between boxes
_PASSING = 0.35  # between lines that pass by
_WEAK = 0.02  # how much lines that pass by move boxes: chains of boxes stay straight
_FAMILIES = {
    "recurrent": (COLOURS[0], "goes on from frame to frame"),
    "backward": (COLOURS[1], "waits for the utterance's end"),
    "weights": (COLOURS[2], "has weights"),
    "": (SOFT, "has no weights"),
}
_Slot = tuple[int, int]
"""A vertex's number, or that of an edge's reader; and a row."""


def draw(specification: Specification, path: Path) -> None:
    """Write the picture of a model's graph to ``path``. Raises InputError if it has more than 300 nodes."""
    found = vertices(specification)
    if (nodes := sum(vertex.size is not None and bool(vertex.reads) for vertex in found)) > MOST:
        raise InputError(
            f"a picture of {nodes} nodes could not be read: at most {MOST} are drawn; without --plot all are listed"
        )
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    layout = Layout(found)
    at = layout.coordinates()
    left, right = min(x for x, _ in at.values()), max(x for x, _ in at.values())
    wide, high = max(right - left + WIDTH, 3.6) + 0.4, -min(y for _, y in at.values()) + HEIGHT + 1.5
    figure = plt.figure(figsize=(wide, high), dpi=130)
    axes = figure.add_axes((0, 0, 1, 1))
    middle = (left + right) / 2
    axes.set(xlim=(middle - wide / 2, middle + wide / 2), ylim=(0.95 - high, 0.95), aspect="equal")
    axes.set_axis_off()
    title = textwrap.shorten(specification.name, int(9 * wide), placeholder=" …")
    axes.text(middle, 0.68, title, ha="center", va="center", size=11, weight="bold", color=INK, parse_math=False)
    for edge in layout.edges:
        _line(axes, [at[slot] for slot in edge])
    for number, vertex in enumerate(found):
        _box(axes, vertex, *at[number, layout.rows[number]])
    _legend(axes, found, middle - wide / 2 + 0.2, 1.15 - high)
    figure.savefig(path, facecolor="white")
    plt.close(figure)


class Layout:
    """Where everything is (after Sugiyama, Tagawa and Toda 1981): rows by distance from the front end; lines that
    pass a row take a slot in it; slots are ordered by their neighbours', then moved as near to them as there is room.
    """

    def __init__(self, found: Sequence[Vertex]) -> None:
        numbers = {vertex.name: number for number, vertex in enumerate(found)}
        self.rows: list[int] = []
        self.edges: list[list[_Slot]] = []
        passing = len(found)
        for number, vertex in enumerate(found):
            sources = list(dict.fromkeys(numbers[name] for name in vertex.reads))
            self.rows.append(1 + max((self.rows[source] for source in sources), default=-1))
            for source in sources:
                between = [(passing, row) for row in range(self.rows[source] + 1, self.rows[number])]
                passing += 1
                self.edges.append([(source, self.rows[source]), *between, (number, self.rows[number])])
        self.vertices = len(found)
        self.neighbours: dict[_Slot, list[tuple[_Slot, float]]] = {
            (number, row): [] for number, row in enumerate(self.rows)
        }
        for edge in self.edges:
            for above, below in pairwise(edge):
                weight = 1.0 if (above[0] < len(found)) == (below[0] < len(found)) else _WEAK
                self.neighbours.setdefault(above, []).append((below, weight))
                self.neighbours.setdefault(below, []).append((above, weight))
        self.grid: list[list[_Slot]] = [[] for _ in range(max(self.rows) + 1)]
        for slot in self.neighbours:
            self.grid[slot[1]].append(slot)

    def coordinates(self) -> dict[_Slot, tuple[float, float]]:
        """The middle of each slot, in inches, downwards from 0."""
        from scipy.optimize import isotonic_regression

        rank = {slot: float(position) for row in self.grid for position, slot in enumerate(row)}
        for turn in range(12):
            step = 1 if turn % 2 == 0 else -1
            for row in self.grid[::step]:
                row.sort(key=lambda slot: self._wish(slot, rank, slot[1] - step))
                rank |= {slot: float(position) for position, slot in enumerate(row)}
        spans = [np.cumsum([0.0, *map(self._distance, row, row[1:])]) for row in self.grid]
        x = {
            slot: float(position - span.mean())
            for row, span in zip(self.grid, spans, strict=True)
            for slot, position in zip(row, span, strict=True)
        }
        for turn in range(13):
            step = 1 if turn % 2 == 0 else -1
            for row, span in list(zip(self.grid, spans, strict=True))[::step]:
                wishes = np.array([self._wish(slot, x, slot[1] - step) for slot in row])
                weights = np.array([1.0 if slot[0] < self.vertices else _WEAK for slot in row])
                found = isotonic_regression(wishes - span, weights=weights).x + span
                x |= dict(zip(row, found.tolist(), strict=True))
        return {slot: (x[slot], -slot[1] * (HEIGHT + _BELOW)) for slot in x}

    def _wish(self, slot: _Slot, at: dict[_Slot, float], row: int) -> float:
        """The mean of its neighbours' places in that row; where it is, if it has none there."""
        near = [(at[other], weight) for other, weight in self.neighbours[slot] if other[1] == row]
        total = sum(weight for _, weight in near)
        return sum(position * weight for position, weight in near) / total if near else at[slot]

    def _distance(self, one: _Slot, other: _Slot) -> float:
        boxes = (one[0] < self.vertices) + (other[0] < self.vertices)
        return (_PASSING, WIDTH / 2 + _PASSING, WIDTH + _BESIDE)[boxes]


def _line(axes: Axes, points: Sequence[tuple[float, float]]) -> None:
    """From below the first box to the top of the last, in curves from row to row."""
    from matplotlib.patches import PathPatch
    from matplotlib.path import Path as Curve

    vertices: list[tuple[float, float]] = [(points[0][0], points[0][1] - HEIGHT / 2)]
    codes: list[Any] = [Curve.MOVETO]
    for (x, y), (next_x, next_y) in pairwise(points):
        start, end = y - HEIGHT / 2, next_y + HEIGHT / 2
        middle = (start + end) / 2
        vertices += [(x, start), (x, middle), (next_x, middle), (next_x, end)]
        codes += [Curve.LINETO, Curve.CURVE4, Curve.CURVE4, Curve.CURVE4]
    axes.add_patch(PathPatch(Curve(vertices, codes), fill=False, edgecolor=SOFT, linewidth=1.1))
    x, y = vertices[-1]
    axes.fill([x - 0.045, x + 0.045, x], [y + 0.08, y + 0.08, y], color=SOFT)


def _box(axes: Axes, vertex: Vertex, x: float, y: float) -> None:
    from matplotlib.patches import FancyBboxPatch

    end = vertex.size is None or not vertex.reads
    colour = INK if end else _FAMILIES[vertex.family][0]
    shape = "round,pad=0,rounding_size=0.08"
    corner = (x - WIDTH / 2, y - HEIGHT / 2)
    axes.add_patch(FancyBboxPatch(corner, WIDTH, HEIGHT, boxstyle=shape, facecolor="white", edgecolor="none"))
    face = FAINT if end else f"{colour}1c"
    axes.add_patch(FancyBboxPatch(corner, WIDTH, HEIGHT, boxstyle=shape, facecolor=face, edgecolor=colour))
    about = ", ".join(filter(None, (vertex.kind if vertex.size is None else "", vertex.about)))
    lines = [(textwrap.shorten(vertex.name, 26, placeholder="…"), 8.0, "bold", INK)]
    lines += [(textwrap.shorten(text, 38, placeholder=" …"), 7.0, "normal", INK) for text in [about] if text]
    lines += [(text, 6.0, "normal", SOFT) for text in _costs(vertex)]
    for row, (text, size, weight, ink) in enumerate(lines):
        height = y + min(0.16, 0.52 / len(lines)) * ((len(lines) - 1) / 2 - row)
        axes.text(x, height, text, size=size, weight=weight, color=ink, ha="center", va="center", parse_math=False)


def _costs(vertex: Vertex) -> Iterator[str]:
    if vertex.size is not None:
        parts = [f"1 of {vertex.size}" if vertex.token else plural(vertex.size, "value")]
        parts += [f"{count(vertex.weights)} weights"] if vertex.weights else []
        parts += [f"{count(vertex.per_second)} mul-add/s"] if vertex.per_second else []
        yield " · ".join(parts)
        times = [f"every {every(vertex)}"] if vertex.rate != 1 else []
        times += [f"{delay(vertex)} ahead"] if vertex.ahead else []
        if times:
            yield " · ".join(times)


def _legend(axes: Axes, found: Sequence[Vertex], x: float, y: float) -> None:
    """What the colours mean that there are."""
    there = {vertex.family for vertex in found if vertex.size is not None and vertex.reads}
    shown = [each for family, each in _FAMILIES.items() if family in there]
    for number, (colour, meaning) in enumerate(shown if len(shown) > 1 else ()):
        height = y + 0.14 * (len(shown) - 1 - number)
        axes.fill(
            [x, x + 0.12, x + 0.12, x], [height - 0.04, height - 0.04, height + 0.04, height + 0.04],
            facecolor=f"{colour}1c", edgecolor=colour, linewidth=0.8,
        )  # fmt: skip
        axes.text(x + 0.18, height, meaning, size=6.2, color=SOFT, va="center")
