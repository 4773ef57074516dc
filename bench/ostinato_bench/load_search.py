"""The most streams that a server holds, by a bounded search; and latency against streams as a picture."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

BOUND_MS = 50.0
"""The p99 from chunk to result that "holds" means."""
SEARCH_S = 6.0
"""How long each try of the search speaks."""
MAX_TRIES = 12
"""Numbers of streams, each tried once or twice."""
GROWTH, CLOSE = 1.5, 1.06
"""The factor between tries until one holds and one does not, and how near the two must come."""


def find(measure: Callable[[int], dict[str, Any]], first: int) -> dict[str, Any]:
    """Try numbers of streams, from ``first`` on, until the most that holds is known to a few per cent.

    ``measure`` gives the figures of a load. A number holds if nothing was lost and both p99, from chunk to result and
    of the client behind its plan, are below BOUND_MS; one that does not is tried once more, since other work on the
    machine may have been the reason. Returns {"most" (0: none that was tried), "bound_ms", "seconds", "rows"}.
    """
    rows: list[dict[str, Any]] = []
    most, least_failed = 0, 0
    count = max(1, first)
    for _ in range(MAX_TRIES):
        row = _try(measure, count)
        if not row["holds"]:
            row = min(row, _try(measure, count), key=lambda row: (not row["holds"], float(row["latency_ms"]["p99"])))
        rows.append(row)
        if row["holds"]:
            most = max(most, count)
        else:
            least_failed = min(least_failed or count, count)
        if not least_failed:
            count = round(most * GROWTH) + 1
        elif not most:
            if count == 1:
                break
            count = max(1, int(least_failed / GROWTH))
        elif least_failed / most <= CLOSE or least_failed - most <= 1:
            break
        else:
            count = (most + least_failed) // 2
    rows.sort(key=lambda row: int(row["streams"]))
    return {"most": most, "bound_ms": BOUND_MS, "seconds": SEARCH_S, "rows": rows}


def confirm(measure: Callable[[int], dict[str, Any]], search: dict[str, Any]) -> tuple[int, dict[str, Any]]:
    """Try the number that `find` found for as long as was asked, and fewer, step by step, until one holds.

    A short try may hold by luck. Returns the streams and figures of the last try; ``search`` gets these tries in the
    place of the short ones, and the most that held (0: none).
    """
    streams = max(1, search["most"])
    for attempt in range(MAX_TRIES):
        if attempt:
            streams = max(1, int(streams / CLOSE))
        found = measure(streams)
        row = _row(streams, found)
        others = [other for other in search["rows"] if other["streams"] != streams]
        search["rows"] = sorted([*others, row], key=lambda row: int(row["streams"]))
        if row["holds"] or streams == 1:
            break
    search["most"] = streams if row["holds"] else 0
    return streams, found


def _try(measure: Callable[[int], dict[str, Any]], streams: int) -> dict[str, Any]:
    return _row(streams, measure(streams))


def _row(streams: int, found: dict[str, Any]) -> dict[str, Any]:
    latency, late = found["latency_ms"], found["late_ms"]
    holds = found["lost"] == 0 and latency["p99"] < BOUND_MS and late["p99"] < BOUND_MS
    return {"streams": streams, "holds": holds, "lost": found["lost"], "latency_ms": latency, "late_ms": late}


def draw(result: dict[str, Any], path: Path) -> None:
    """Latency against the number of streams, from the figures of `load.run` with a search, as a PNG at ``path``."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    from ostinato_bench.picture import COLOURS, INK, SOFT, plain_log

    search = result["search"]
    rows, bound = search["rows"], search["bound_ms"]
    streams = [row["streams"] for row in rows]
    style: dict[Any, Any] = {"font.size": 9, "text.color": INK, "axes.edgecolor": SOFT, "axes.labelcolor": SOFT}
    with plt.rc_context(style | {"xtick.color": SOFT, "ytick.color": SOFT}):
        figure, axes = plt.subplots(figsize=(10, 5), dpi=160, layout="constrained")
        for name, colour in (("p99", COLOURS[1]), ("p50", COLOURS[0])):
            values = [row["latency_ms"][name] for row in rows]
            axes.plot(streams, values, "o-", color=colour, label=name)
        axes.axhline(bound, color=SOFT, linestyle="--", linewidth=1)
        axes.annotate(f"{bound:g} ms", (streams[0], bound), textcoords="offset points", xytext=(0, 4), color=SOFT)
        if search["most"]:
            axes.axvline(search["most"], color=SOFT, linestyle=":", linewidth=1)
        axes.set_yscale("log")
        plain_log(axes.yaxis)
        axes.set_xlabel("streams")
        axes.set_ylabel("from the sending of a chunk to its result, ms")
        axes.spines[["top", "right"]].set_visible(False)
        axes.legend(frameon=False)
        workers = "1 worker" if result["workers"] == 1 else f"{result['workers']} workers"
        axes.set_title(
            f"{result['model']}, chunks of {result['chunk_ms']:g} ms, {workers}: {search['most']} streams hold",
            loc="left", color=INK,
        )  # fmt: skip
        figure.savefig(path)
        plt.close(figure)
