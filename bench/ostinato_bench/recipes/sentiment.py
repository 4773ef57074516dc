"""Tables of what `ostinato train sentiment` wrote into results.json: how right models are, beside what they should
be better than."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ostinato_bench import tables

Result = Mapping[str, Any]
Figures = Mapping[str, Any]
NAMES = {"mean-squared-error": "MSE", "mean-absolute-error": "MAE", "huber": "Huber"}


def right(*results: Result) -> str:
    """The share of sentences whose class, or sign of the score, is right: a line for each baseline and each way of
    each model, a column for each set."""
    first = results[0]
    lines = [[name, *_shares(by_set, first)] for name, by_set in first["baselines"].items()]
    for result in results:
        for way, by_set in result["ways"].items():
            against = result["chance"]["logistic regression"] if not way else {}
            lines.append([_way(result, way), *_shares(by_set, first, against)])
    return tables.markdown(["right, %", *_sets(first)], lines)


def beside(*results: Result) -> str:
    """By how many more in a hundred of the same sentences each model is right than logistic regression, and how
    likely chance alone makes such a difference."""
    lines = []
    for result in results:
        more, chance = (result[name]["logistic regression"] for name in ("more_right", "chance"))
        lines.append([_way(result, ""), *(_more(more[name], chance[name]) for name in result["ways"][""])])
    return tables.markdown(["more right, of 100", *results[0]["ways"][""]], lines)


def crossing(result: Result) -> str:
    """The same in cross-validation, with what each has right."""
    lines = []
    for name, each in result["sets"].items():
        shares = (f"{100 * each[whose]:.1f}" for whose in ("logistic regression", "right"))
        lines.append([f"{name} ({each['sentences']:,})", *shares, _more(each["more_right"], each["chance"])])
    return tables.markdown(["right, %", "logistic regression", f"`{result['model']}`", "more right"], lines)


def correlation(*results: Result) -> str:
    """How scores go with people's."""
    sets = [name for name, figures in results[0]["ways"][""].items() if "r" in figures]
    lines = [["VADER", *(_bounded(results[0]["baselines"]["VADER"][name]["r"]) for name in sets)]] * (
        "VADER" in results[0]["baselines"]
    )
    lines += [
        [_way(result, way), *(_bounded(by_set[name]["r"]) for name in sets)]
        for result in results
        for way, by_set in result["ways"].items()
    ]
    return tables.markdown(["correlation", *sets], lines)


def losses(*results: Result) -> str:
    """The same models, learnt by different losses of scores: mean absolute error and correlation, means of the sets
    with scores; and the share of signs that are right."""
    lines = []
    for result in results:
        scored = [figures for figures in result["ways"][""].values() if "mae" in figures]
        means = [sum(figures[name][0] for figures in scored) / len(scored) for name in ("mae", "r", "right")]
        name = NAMES[result["loss"]]
        lines.append([_way(result, ""), name, f"{means[0]:.3f}", f"{means[1]:.3f}", f"{100 * means[2]:.1f} %"])
    return tables.markdown(["model", "loss", "mean absolute error", "correlation", "sign right"], lines)


def reading(*results: Result) -> str:
    """The correlation of the score that is shown with people's while sentences are read, mean of the sets."""
    shares = results[0]["running"]["share"]
    chosen = [at for at, share in enumerate(shares) if share in (20, 40, 60, 80, 100)]
    lines = []
    for result in results:
        for way, curves in result["running"].items():
            if way != "share":
                means = [sum(curve[at] for curve in curves.values()) / len(curves) for at in chosen]
                lines.append([_way(result, way), *(f"{mean:.2f}" for mean in means)])
    return tables.markdown(["of the words read", *(f"{shares[at]} %" for at in chosen)], lines)


def _sets(result: Result) -> list[str]:
    counts = {name: figures["sentences"] for name, figures in result["ways"][""].items()}
    return [f"{name} ({count:,})" for name, count in counts.items()]


def _shares(
    by_set: Mapping[str, Figures], first: Result, against: Mapping[str, float] | None = None
) -> Sequence[str]:
    """In per cent, with intervals; * where chance alone makes such a difference in less than 5 of 100 cases."""
    cells = []
    for name in first["ways"][""]:
        if name not in by_set:
            cells.append("–")
            continue
        share, low, high = (100 * each for each in by_set[name]["right"])
        mark = "*" if against and against.get(name, 1.0) < 0.05 else ""
        cells.append(f"{share:.1f}{mark} ({low:.1f} to {high:.1f})")
    return cells


def _more(more: Sequence[float], chance: float) -> str:
    value, low, high = (100 * each for each in more)
    return f"{value:+.1f} ({low:+.1f} to {high:+.1f}), chance {'< 0.001' if chance < 0.001 else f'{chance:.3f}'}"


def _bounded(figures: Sequence[float]) -> str:
    return "{:.2f} ({:.2f} to {:.2f})".format(*figures)


def _way(result: Result, way: str) -> str:
    return f"`{result['model']}`" + (f", {way}" if way else "")
