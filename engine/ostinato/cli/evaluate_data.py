"""``ostinato evaluate`` on a user's own data: how right the answers of models of frames or tokens are."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.markup import escape

from ostinato.cli.console import delay as delay_of
from ostinato.cli.console import err, out
from ostinato.cli.output_files import write_json
from ostinato.cli.own_data import LeavingOut, data_files
from ostinato.pipeline import confidence
from ostinato_bench.answers import Answered, judged
from ostinato_bench.conclusions import best_of
from ostinato_bench.recognition import Way
from ostinato_bench.scores import LabelScore, NumberScore, Score
from ostinato_bench.terminal import Table

CONFUSIONS = 10
LABELS = 20
"""So many are shown, those that are right most often, unless all are asked for."""


def evaluate_data(ways: Sequence[Way], data: Path, json: Path | None, everything: bool) -> None:
    """Show how right each way's answers to the data are. ``everything``: all labels are shown, and all confusions.
    Ends with 1 if files were left out."""
    paths = data_files(ways[0].model, data)
    left_out = LeavingOut(data)
    with err.status("…") as status:
        found = judged(ways, paths, left_out, lambda doing: status.update(f"[dim]{escape(doing)}[/]"))
    write_json(json, _figures(found) | {"left_out": left_out.as_dict()})
    if found:
        _show(found, everything)
        out.print(f"\n{escape(closing(found))}")
    left_out.finish(len(paths))


def closing(found: Sequence[Answered]) -> str:
    """What it comes to, in plain words."""
    return best_of([(str(each.way), each.score) for each in found])


def _figures(found: Sequence[Answered]) -> dict[str, Any]:
    """The JSON."""
    if not found:
        return {"models": []}
    return {
        "models": [each.way.as_dict() | each.score.as_dict() | _by_label(each) for each in found],
        "differences": [
            {"models": [str(one.way), str(other.way)], "p": one.score.chance(other.score)}
            for i, one in enumerate(found) for other in found[:i]
        ],
        "utterances": list(found[0].names),
        "interval_95_method": _method(found[0].score),
        "closing": closing(found),
    }  # fmt: skip


def _method(score: Score) -> str:
    """How the 95 % intervals come about."""
    return confidence.METHOD.format(unit=score.unit) if isinstance(score, LabelScore) else confidence.MEAN_METHOD


def _by_label(each: Answered) -> dict[str, Any]:
    if not isinstance(each.score, LabelScore):
        return {}
    names = each.score.labels
    return {
        "labels": [each.score.of_label(index) for index in range(len(names))],
        "confusions": [
            {"right": names[right], "given": names[given], "times": times}
            for right, given, times in each.score.confusions()
        ],
        "wrong_by_utterance": [errors.total for errors in each.score.errors],
    }


# --- tables ---------------------------------------------------------------------------------------------------------


def _show(found: Sequence[Answered], everything: bool) -> None:
    labelled = [(str(each.way), each.score) for each in found if isinstance(each.score, LabelScore)]
    if labelled:
        _show_confusions(labelled, None if everything else CONFUSIONS)
        _show_labels(labelled, None if everything else LABELS)
        _show_accuracy(found)
    else:
        _show_outputs([(str(each.way), each.score) for each in found if isinstance(each.score, NumberScore)])
        _show_errors(found)


def _show_confusions(found: Sequence[tuple[str, LabelScore]], most: int | None) -> None:
    """What was taken for something else more than once."""
    counts: list[Counter[tuple[str, str]]] = []
    for _, score in found:
        counts.append(Counter({(score.labels[a], score.labels[b]): times for a, b, times in score.confusions()}))
    total = sum(counts, Counter[tuple[str, str]]())
    pairs = [pair for pair in sorted(total, key=lambda pair: (-total[pair], pair)) if total[pair] > 1]
    if not pairs:
        return
    columns = [name for name, _ in found] if len(found) > 1 else ["times"]
    listing = Table("right", "given instead", *columns, right=columns)
    for right, given in pairs[:most]:
        listing.add_row(escape(right), escape(given), *(f"{count[right, given]:,}" for count in counts))
    out.print(listing)
    if len(pairs) > (most or len(pairs)):
        out.print(f"[dim]and {len(pairs) - (most or 0)} more pairs: --all shows them[/]")
    out.print()


def _show_labels(found: Sequence[tuple[str, LabelScore]], most: int | None) -> None:
    """Each label: how often it is right, found, and given wrongly."""
    unit = f"{found[0][1].unit}s"
    columns = (unit, "recall", "precision", "F1")
    listing = Table("label", "model", *columns, right=columns)
    rows = [[score.of_label(index) for index in range(len(score.labels))] for _, score in found]
    names = dict.fromkeys(name for _, score in found for name in score.labels)
    by_name = [{row["label"]: row for row in each} for each in rows]
    occurring = [n for n in names if any(n in each and each[n]["right"] + each[n]["given"] for each in by_name)]
    if most is not None and len(occurring) > most:
        occurring.sort(key=lambda n: -max(each[n]["right"] for each in by_name if n in each))
    for name in occurring[:most]:
        for (model, _), each in zip(found, by_name, strict=True):
            if (row := each.get(name)) is not None:
                shares = (_percent(row["recall"]), _percent(row["precision"]), _percent(row["f1"]))
                listing.add_row(escape(name), escape(model), f"{row['right']:,}", *shares)
    out.print(listing)
    out.print(
        f"[dim]recall: of the {unit} that have the label, how many were given it; precision: of those that were "
        "given it, how many have it; F1: their harmonic mean[/]"
    )
    if len(occurring) > (most or len(occurring)):
        out.print(f"[dim]the {most} most frequent of {len(occurring)} labels: --all shows all[/]")
    out.print()


def _show_accuracy(found: Sequence[Answered]) -> None:
    right = ("delay", "utterances", f"{found[0].score.unit}s", "wrong", "accuracy", "95 %")
    listing = Table("model", *right, right=right)
    for each in found:
        score = each.score
        assert isinstance(score, LabelScore)
        bounds = score.right_interval
        listing.add_row(
            escape(str(each.way)),
            delay_of(each.way.delay_ms, each.way.tokens),
            f"{score.utterances:,}",
            f"{score.count:,}",
            f"{score.wrong:,}",
            f"{100 * (1 - score.error):.1f} %",
            "–" if bounds is None else "{:.1f} to {:.1f} %".format(*(100 * bound for bound in bounds)),
        )
    out.print(listing)
    out.print(f"[dim]95 %: {_method(found[0].score)}; none of a single utterance[/]")


def _show_outputs(found: Sequence[tuple[str, NumberScore]]) -> None:
    """Each output by itself, if there are several."""
    if len(found[0][1].outputs) == 1:
        return
    columns = ("mean squared error", "mean absolute error", "correlation")
    listing = Table("output", "model", *columns, right=columns)
    for index in range(max(len(score.outputs) for _, score in found)):
        for name, score in found:
            listing.add_row(str(index), escape(name), *_numbers(score.outputs[index]))
    out.print(listing)
    out.print()


def _show_errors(found: Sequence[Answered]) -> None:
    columns = ("delay", "utterances", f"{found[0].score.unit}s", "mean squared error", "95 %", "mean absolute error")
    listing = Table("model", *columns, "correlation", right=(*columns, "correlation"))
    for each in found:
        score = each.score
        assert isinstance(score, NumberScore)
        listing.add_row(
            escape(str(each.way)),
            delay_of(each.way.delay_ms, each.way.tokens),
            f"{score.utterances:,}",
            f"{score.count:,}",
            f"{score.error:.4g}",
            score.bounds_told,
            f"{score.absolute:.4g}",
            "–" if score.correlation is None else f"{score.correlation:.4f}",
        )
    out.print(listing)
    out.print(
        f"[dim]95 %: {_method(found[0].score)}; none of a single utterance. Correlation: mean of the outputs'[/]"
    )


def _numbers(output: dict[str, float | None]) -> tuple[str, str, str]:
    correlation = output["correlation"]
    return f"{output['mse']:.4g}", f"{output['mae']:.4g}", "–" if correlation is None else f"{correlation:.4f}"


def _percent(share: float | None) -> str:
    return "–" if share is None else f"{100 * share:.1f} %"
