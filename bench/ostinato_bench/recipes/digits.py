"""Tables of what `ostinato train digits` wrote into results.json, and of what its test says of other models
(`python -m ostinato.training.recipes.digits.conditions`)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ostinato_bench import tables

Result = Mapping[str, Any]
PEOPLE = "people"


def wrong(*results: Result) -> str:
    """The share of digits that are wrong: a line for each way of each model, a column for each condition."""
    conditions = [which for which in _first(results) if which != PEOPLE]
    lines = [
        [_name(result, way), *(_bounded(under[which]) for which in conditions)]
        for result in results
        for way, under in result["ways"].items()
    ]
    return tables.markdown(["digits wrong", *conditions], lines)


def people(*results: Result) -> str:
    """Digits that people spoke, and how many digits are heard where others, or synthetic voices, say none."""
    lines = [
        [
            _name(result, way),
            _bounded(under[PEOPLE]),
            *(_a_minute(under.get(which, {})) for which in (PEOPLE, "clean", "noise 10 dB")),
        ]
        for result in results
        for way, under in result["ways"].items()
    ]
    headings = ["people's digits wrong", "false digits a minute: people", "synthetic voices", "in noise 10 dB"]
    return tables.markdown(["", *headings], lines)


def _first(results: tuple[Result, ...]) -> Mapping[str, Any]:
    return next(iter(results[0]["ways"].values()))


def _name(result: Result, way: str) -> str:
    """``of``: which one it is, if it did not come of the run of which the results are."""
    of = result["of"] if "of" in result else f"of {result['steps']:,} batches"
    return f"`{result['model']}` {of}, {way}"


def _bounded(figures: Mapping[str, Any]) -> str:
    if figures["wrong"] is None:
        return "–"
    bounds = figures["interval"]
    between = f" ({100 * bounds[0]:.1f} to {100 * bounds[1]:.1f})" if bounds else ""
    return f"{100 * figures['wrong']:.1f} %{between}"


def _a_minute(figures: Mapping[str, Any]) -> str:
    found = figures.get("false_per_minute")
    return "–" if found is None else f"{found:.1f}"
