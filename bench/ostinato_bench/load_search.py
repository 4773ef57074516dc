"""The most streams that a server holds, by a bounded search; and latency against streams as a picture."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ostinato.errors import ConnectionLostError

BOUND_MS = 50.0
"""The p99 from chunk to result that "holds" means."""
SEARCH_S = 6.0
"""How long each try of the search speaks."""
MAX_TRIES = 12
"""Numbers of streams, each tried once or twice."""
GROWTH, CLOSE = 1.5, 1.06
"""The factor between tries until one holds and one does not, and how near the two must come."""


def find(measure: Callable[[int], dict[str, Any]], first: int, seconds: float = SEARCH_S) -> dict[str, Any]:
    """Try numbers of streams, from ``first`` on, until the most that holds is known to a few per cent.

    ``measure`` gives the figures of a load of ``seconds``. A number holds if nothing was lost and both p99, from
    chunk to result and of the client behind its plan, are below BOUND_MS; one that does not is tried once more, since
    other work on the machine may have been the reason. The search ends, too, at a number that cannot be measured
    though fewer were (a server takes only so many streams). Returns {"most" (0: none that was tried), "bound_ms",
    "seconds", "stopped", "rows"} and what `conclude` says.
    """
    rows: list[dict[str, Any]] = []
    most, least_failed, stopped = 0, 0, ""
    count = max(1, first)
    for _ in range(MAX_TRIES):
        try:
            row = _try(measure, count)
            if not row["holds"]:
                row = min(row, _try(measure, count), key=_how_bad)
        except ConnectionLostError as error:
            if not most:
                raise
            stopped = f"with {count:,} {error}"
            break
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
    search = {"most": most, "bound_ms": BOUND_MS, "seconds": seconds, "stopped": stopped, "rows": rows}
    return search | conclude(search)


def conclude(search: dict[str, Any]) -> dict[str, Any]:
    """What the tries of a search allow to say: "at_least" (the most may be more), and "ended", why no more were
    tried."""
    most = search["most"]
    beyond = [row for row in search["rows"] if not row["holds"] and row["streams"] > most]
    row = min(beyond, key=lambda row: int(row["streams"]), default=None)
    near = row is not None and row["streams"] <= most * CLOSE + 1
    failed = "" if row is None else f"{row['streams']:,} did not: {_why(row)}"
    if most and near:
        ended = failed
    elif most:
        ended = search.get("stopped") or f"the search has no more than {MAX_TRIES} tries"
        ended += f", and {failed}" if failed else ", and none that was tried did not"
    else:
        ended = failed
    return {"at_least": bool(most) and not near, "ended": ended}


def _why(row: dict[str, Any]) -> str:
    """Why a try does not hold; a client that is late cannot tell what the server would have done."""
    p99 = row["latency_ms"]["p99"]
    if row["lost"]:
        return f"{row['lost']:,} chunks lost"
    if p99 is None:
        return "nothing was answered"
    return f"p99 {p99:.0f} ms" if p99 >= BOUND_MS else "the client itself was late"


def verdict(search: dict[str, Any]) -> str:
    """The result of a search in words: so many hold, or at least so many, and why the search ended."""
    if not search["most"]:
        return f"none hold; {search['ended']}"
    return f"{'at least ' * search['at_least']}{search['most']:,} streams hold; {search['ended']}"


def confirm(measure: Callable[[int], dict[str, Any]], search: dict[str, Any]) -> tuple[int, dict[str, Any]]:
    """Try the number that `find` found for as long as was asked, and fewer, step by step, until one holds.

    A short try may hold by luck. Returns the streams and figures of the last try; ``search`` gets these tries in the
    place of the short ones, the most that held (0: none), and a new conclusion.
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
    search |= conclude(search)
    return streams, found


def _how_bad(row: dict[str, Any]) -> tuple[bool, float]:
    p99 = row["latency_ms"]["p99"]
    return not row["holds"], math.inf if p99 is None else float(p99)


def _try(measure: Callable[[int], dict[str, Any]], streams: int) -> dict[str, Any]:
    return _row(streams, measure(streams))


def _row(streams: int, found: dict[str, Any]) -> dict[str, Any]:
    latency, late = found["latency_ms"], found["late_ms"]
    measured = latency["p99"] is not None and late["p99"] is not None
    holds = measured and found["lost"] == 0 and latency["p99"] < BOUND_MS and late["p99"] < BOUND_MS
    return {"streams": streams, "holds": holds, "lost": found["lost"], "latency_ms": latency, "late_ms": late}


NOTE = (
    "Each try stands for itself: {short:g} s, one after the other, on a machine that may do other work meanwhile. "
    "Where the cores are nearly full, a little of that makes a queue grow, so it is chance by how much: more "
    "streams may fare better than fewer. What did not hold was tried once more, and the better try is shown; the "
    "number told held for {long:g} s."
)
"""Why latency does not rise with every stream more."""


def draw(result: dict[str, Any], path: Path) -> None:
    """Each try of `load.run` with a search, from p50 to p99 against the number of streams, as a PNG at ``path``."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt
    from matplotlib.lines import Line2D

    from ostinato_bench.style import COLOURS, INK, SOFT, plain_log

    search = result["search"]
    search = search | conclude(search)
    bound = search["bound_ms"]
    rows = [row for row in search["rows"] if row["latency_ms"]["p99"] is not None]
    style: dict[Any, Any] = {"font.size": 9, "text.color": INK, "axes.edgecolor": SOFT, "axes.labelcolor": SOFT}
    with plt.rc_context(style | {"xtick.color": SOFT, "ytick.color": SOFT}):
        figure, axes = plt.subplots(figsize=(10, 5.2), dpi=160)
        figure.subplots_adjust(left=0.075, right=0.98, top=0.84, bottom=0.2)
        for row in rows:
            colour = COLOURS[0] if row["holds"] else COLOURS[1]
            low, high = row["latency_ms"]["p50"], row["latency_ms"]["p99"]
            axes.plot([row["streams"]] * 2, [low, high], color=colour, linewidth=1.5)
            axes.plot(row["streams"], high, "o", color=colour, markersize=6)
            axes.plot(row["streams"], low, "_", color=colour, markersize=10, markeredgewidth=2)
            if not row["holds"] and high < bound:
                axes.annotate(
                    _why(row), (row["streams"], (low * high) ** 0.5), textcoords="offset points", xytext=(-5, 0),
                    ha="right", va="center", size=8, color=colour,
                    bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.5},
                )  # fmt: skip
        axes.axhline(bound, color=SOFT, linestyle="--", linewidth=1)
        if search["most"]:
            axes.axvline(search["most"], color=SOFT, linestyle=":", linewidth=1)
        axes.set_yscale("log")
        plain_log(axes.yaxis)
        axes.margins(x=0.04, y=0.08)
        axes.annotate(
            f"p99 of {bound:g} ms", (0.002, bound), xycoords=("axes fraction", "data"),
            textcoords="offset points", xytext=(2, 4), color=SOFT,
        )  # fmt: skip
        axes.set_xlabel("streams that were tried")
        axes.set_ylabel("from the sending of a chunk to its result, ms")
        axes.spines[["top", "right"]].set_visible(False)
        marks: dict[str, dict[str, Any]] = {
            "holds": {"color": COLOURS[0]},
            "does not": {"color": COLOURS[1]},
            "p99": {"color": SOFT, "marker": "o", "linewidth": 0},
            "p50": {"color": SOFT, "marker": "_", "markersize": 10, "markeredgewidth": 2, "linewidth": 0},
        }
        handles = [Line2D([], [], label=label, **mark) for label, mark in marks.items()]
        axes.legend(handles=handles, frameon=False, ncols=4, loc="lower right", bbox_to_anchor=(1, 1), borderpad=0)
        workers = "1 worker" if result["workers"] == 1 else f"{result['workers']} workers"
        figure.text(0.01, 0.975, _capital(verdict(search)), va="top", size=12, weight="bold", wrap=True)
        what = f"{result['model']}, chunks of {result['chunk_ms']:g} ms, {workers}"
        if machine := result.get("machine"):
            what += f"; {machine['processor']}, {machine['cores']} cores, the clients on them too"
        figure.text(0.01, 0.905, what, va="top", color=SOFT)
        note = textwrap.fill(NOTE.format(short=search["seconds"], long=result["seconds"]), 172)
        figure.text(0.01, 0.015, note, va="bottom", size=8, color=SOFT, linespacing=1.35)
        figure.savefig(path)
        plt.close(figure)


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
