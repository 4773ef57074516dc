"""Draws what the bench of the kernels found: against ONNX Runtime and the limits, int8, the end of an utterance."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ostinato.errors import InputError
from ostinato_bench.style import COLOURS, FAINT, INK, SOFT
from ostinato_bench.tables import Row, network_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_STYLE: dict[Any, Any] = {
    "font.size": 9, "text.color": INK, "axes.edgecolor": SOFT, "axes.labelcolor": SOFT, "xtick.color": SOFT,
    "ytick.color": SOFT, "axes.spines.top": False, "axes.spines.right": False, "axes.titlelocation": "left",
    "axes.titleweight": "bold", "axes.titlesize": 10, "axes.grid": True, "grid.color": FAINT, "grid.linewidth": 0.6,
    "axes.axisbelow": True,
}  # fmt: skip

_HEIGHT = 2.35


def draw(result: dict[str, Any], path: Path) -> None:
    """Write the picture of a result of `kernels.run` to ``path`` as a PNG, with a panel for all that it has. Raises
    InputError if there is nothing to draw: a single network."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    rows = [row for row in result["rows"] if not row.get("near_silence")]  # for the tables: the same bars again
    steps = [row for row in rows if row["direction"] == "forward" and row["frames"] == 1]
    panels: list[tuple[Callable[[Axes], None], float]] = []  # and how high they are, in inches
    for kind in ("gru", "lstm", "rnn"):
        if swept := _sweep(steps, kind):
            panels += [(partial(panel, rows=swept, kind=kind), _HEIGHT) for panel in (_faster, _share)]
    if small := [row for row in steps if "float32_us" in row]:
        panels.append((partial(_int8, rows=small), _bars_height(len({network_of(row) for row in small}), 2)))
    if whole := [row for row in rows if row["direction"] == "bidirectional"]:
        panels.append((partial(_utterances, rows=whole), _bars_height(len(whole), 3)))
    if swept := _sweep(steps, "gru"):
        panels.append((partial(_roofline, rows=swept, limits=result["limits"]), _HEIGHT))
    if not panels:
        raise InputError("there is nothing to draw: measure several hidden sizes, int8 or bidirectional networks")
    lines = [max(high for _, high in panels[first : first + 2]) for first in range(0, len(panels), 2)]
    between = 0.95
    height = 1.55 + sum(lines) + between * (len(lines) - 1)
    with plt.rc_context(_STYLE):
        figure = plt.figure(figsize=(10, height), dpi=160)
        grid = figure.add_gridspec(
            len(lines), 2, height_ratios=lines, left=0.07, right=0.975, top=1 - 0.95 / height, bottom=0.6 / height,
            hspace=between * len(lines) / sum(lines), wspace=0.2,
        )  # fmt: skip
        for index, (panel, _) in enumerate(panels):
            panel(figure.add_subplot(grid[index // 2, index % 2]))
        figure.suptitle(
            "Recurrent networks on one core", x=0.07, y=1 - 0.1 / height, ha="left", size=15, weight="bold"
        )
        machine = f"{result['machine']['processor']}, {result['date'][:10]}"
        figure.text(0.975, 1 - 0.16 / height, machine, ha="right", va="top", size=9, color=SOFT)
        figure.savefig(path)
        plt.close(figure)


def _sweep(steps: list[Row], kind: str) -> list[Row]:
    """The one-layer float32 steps of a kind with the commonest input size, if there are at least two hidden sizes."""
    one = [row for row in steps if (row["cell"], row["layers"], row["precision"]) == (kind, 1, "float32")]
    sizes = [row["input"] for row in one]
    swept = [row for row in one if row["input"] == max(sizes, key=sizes.count)]
    return swept if len({row["hidden"] for row in swept}) > 1 else []


def _faster(axes: Axes, rows: list[Row], kind: str) -> None:
    """How many times faster than ONNX Runtime, against the hidden size, a line for each batch."""
    _lines(
        axes,
        rows,
        lambda row: row["peers"]["onnxruntime"] / row["ours_us"] if "onnxruntime" in row["peers"] else None,
    )
    axes.axhline(1, color=INK, linewidth=0.9, linestyle=(0, (4, 3)))
    axes.set_yscale("log")
    bottom, top = axes.get_ylim()
    bottom, top = min(bottom, 0.9), max(top * 1.1, 2)
    axes.set_ylim(bottom, top)
    axes.set_yticks([tick for tick in (0.5, 1, 2, 5, 10, 20, 50) if bottom <= tick <= top])
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:g} ×")
    axes.minorticks_off()
    axes.set_title(f"{kind.upper()} step: times as fast as ONNX Runtime")


def _share(axes: Axes, rows: list[Row], kind: str) -> None:
    """The share of what the processor allows, against the hidden size, a line for each batch."""
    _lines(axes, rows, lambda row: 100 * row["share_of_limit"])
    axes.axhline(100, color=INK, linewidth=0.9, linestyle=(0, (4, 3)))
    axes.set_ylim(0, 112)
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:.0f} %")
    axes.set_title(f"{kind.upper()} step: share of the processor's limit")


def _lines(axes: Axes, rows: list[Row], value: Callable[[Row], float | None]) -> None:
    hidden = sorted({row["hidden"] for row in rows})
    batches = sorted({row["batch"] for row in rows})
    batches = [batch for batch in batches if sum(row["batch"] == batch for row in rows) > 1]
    for index, batch in enumerate(batches):
        found = sorted((row["hidden"], value(row)) for row in rows if row["batch"] == batch)
        points = [(x, y) for x, y in found if y is not None]
        axes.plot(*zip(*points, strict=True), **_line(index), label=f"{batch}")
    _sizes(axes, hidden, "hidden units")
    _legend(axes, "streams at once:")


def _roofline(axes: Axes, rows: list[Row], limits: dict[str, float]) -> None:
    """GMAC/s against the batch, a line for each hidden size, under what arithmetic and bandwidth allow (Williams,
    Waterman and Patterson 2009): a stream more uses each weight that was read once more."""
    batches = sorted({row["batch"] for row in rows})
    roof = [batches[0] * (batches[-1] / batches[0]) ** (step / 100) for step in range(101)]
    for level, align in (("l1", "center"), ("l2", "bottom"), ("l3", "top")):
        heights = [min(limits["fma_gmacs"], batch * limits[f"{level}_gbs"] / 4) for batch in roof]
        axes.plot(roof, heights, color=INK, linewidth=0.9, linestyle=(0, (4, 3)))
        axes.text(roof[0], heights[0], f"{level.upper()} ", ha="right", va=align, size=8, color=INK)
    for index, hidden in enumerate(sorted({row["hidden"] for row in rows})):
        points = sorted((row["batch"], row["gmacs"]) for row in rows if row["hidden"] == hidden)
        axes.plot(*zip(*points, strict=True), **_line(index), label=f"{hidden}")
    axes.set_yscale("log", base=2)
    axes.set_ylim(axes.get_ylim()[0], 1.3 * limits["fma_gmacs"])
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
    _sizes(axes, batches, "streams at once")
    axes.set_xlim(batches[0] / 1.4, batches[-1] * 1.1)
    _legend(axes, "hidden units:", line=1)
    axes.set_title("GRU step: GMAC/s under the limits (dashed)")


def _line(index: int) -> dict[str, Any]:
    return {"color": COLOURS[index % len(COLOURS)], "marker": "os^Dvp"[index % 6], "markersize": 4.5}


def _sizes(axes: Axes, sizes: list[int], label: str) -> None:
    """A logarithmic axis with the sizes that there are."""
    axes.set_xscale("log", base=2)
    axes.set_xticks(sizes, [str(size) for size in sizes])
    axes.minorticks_off()
    axes.set_xlabel(label, size=8.5, labelpad=1, loc="left")


def _legend(axes: Axes, title: str, line: int = 0) -> None:
    """Below the axis, where it hides no value: beside the axis's name, or ``line`` lines lower."""
    from matplotlib.lines import Line2D

    handles, labels = axes.get_legend_handles_labels()
    axes.legend(
        [Line2D([], [], linewidth=0), *handles], [title, *labels], ncols=len(labels) + 1, frameon=False, fontsize=8,
        loc="upper right", bbox_to_anchor=(1.0, -0.105 - 0.07 * line), borderaxespad=0, borderpad=0,
        columnspacing=1, handlelength=1.6, handletextpad=0.4,
    )  # fmt: skip


def _int8(axes: Axes, rows: list[Row]) -> None:
    """How many times faster int8 is than our float32, for each network with the fewest and with the most streams."""
    batches = sorted({min(row["batch"] for row in rows), max(row["batch"] for row in rows)})
    found = {(network_of(row), row["batch"]): row["float32_us"] / row["ours_us"] for row in rows}
    names = list(dict.fromkeys(network_of(row) for row in rows))
    groups = [[found.get((name, batch)) for name in names] for batch in batches]
    _bars(axes, names, groups, [f"B = {batch}" for batch in batches], "{:.1f} ×")
    axes.axvline(1, color=INK, linewidth=0.9, linestyle=(0, (4, 3)))
    axes.set_title("int8: times as fast as our float32")


def _utterances(axes: Axes, rows: list[Row]) -> None:
    """Milliseconds from the last of an utterance's frames to its result, ours and ONNX Runtime's."""
    names = [
        network_of(row).removesuffix(", bidirectional") + ", int8" * (row["precision"] == "int8") for row in rows
    ]
    labels = {"onnxruntime": "ONNX Runtime", "onnxruntime-2-threads": "ONNX Runtime, two threads"}
    there = [peer for peer in labels if any(peer in row["peers"] for row in rows)]
    groups = [[row["ours_us"] / 1e3 for row in rows]]
    groups += [[row["peers"][peer] / 1e3 if peer in row["peers"] else None for row in rows] for peer in there]
    _bars(axes, names, groups, ["Ostinato", *(labels[peer] for peer in there)], "{:.1f} ms")
    axes.set_title(f"Bidirectional: after the last of {rows[0]['frames']} frames, ms")


def _bars_height(names: int, groups: int) -> float:
    """Inches that so many bars, and the names above them, need to be read."""
    return max(_HEIGHT, 0.155 * names * (groups + 1))


def _bars(axes: Axes, names: list[str], groups: list[list[float | None]], labels: list[str], text: str) -> None:
    """Horizontal bars: a place for each name, which stands above it, and in it a bar for each group."""
    thick = 0.7 / len(groups)
    for index, (values, label) in enumerate(zip(groups, labels, strict=True)):
        colour = COLOURS[index % len(COLOURS)]
        places = [place + (index + 0.5) * thick for place in range(len(names))]
        axes.barh(places, [value or 0 for value in values], 0.92 * thick, color=colour, label=label)
        for place, value in zip(places, values, strict=True):
            if value is not None:
                axes.text(value, place, f" {text.format(value)}", va="center", size=7, color=colour)
    for place, name in enumerate(names):
        blank = {"facecolor": "white", "edgecolor": "none", "pad": 0.4}  # no grid runs through a name
        axes.text(0, place - 0.02, f" {name} ", va="bottom", size=7.5, bbox=blank, zorder=2.4)
    axes.set_yticks([])
    axes.set_ylim(len(names) - 0.2, -0.3)
    axes.set_xlim(0, 1.12 * axes.get_xlim()[1])
    axes.legend(
        frameon=False, fontsize=8, loc="upper center", bbox_to_anchor=(0.5, -0.04), ncols=len(groups), columnspacing=1
    )
