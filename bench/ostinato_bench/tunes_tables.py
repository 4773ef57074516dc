"""What the recipe of tunes found (its runs' results.json), as tables in Markdown and as a picture."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ostinato_bench.tables import markdown

Result = dict[str, Any]


def language(result: Result, *packaged: Result) -> str:
    """Bits a token of the language model's tests, beside the baseline; ``packaged``: of its int8 form."""
    ngram = f"n-grams of order {result['ngram_order']} that back off, in the same keys"
    lines = [[ngram, _bits(result["ngram_bits"]), "–", "–"]]
    for name, one in (("GRU, float32", result), *(("GRU, int8, in the package", each) for each in packaged)):
        right = [_share(drawn["right"]) for drawn in one["drawn"].values()]
        lines.append([name, _bits(one["bits"]), *right])
    headings = [f"bars all right, {name}" for name in result["drawn"]]
    return markdown(["", f"bits a token of {result['test_tunes']} tunes", *headings], lines)


def gaps(whole: Result, uni: Result, bi: Result) -> str:
    """Accuracy in gaps, of the language model, and of the models of one side and both."""
    return markdown(["", "tokens told", "waits for"], _gaps(whole, uni, bi))


def _gaps(whole: Result, uni: Result, bi: Result) -> Iterator[list[str]]:
    yield ["n-grams that go on", _share(bi["ngram"]), "nothing"]
    yield ["the language model that goes on, greedily", _share(whole["gaps_gone_on"]), "nothing"]
    yield ["unidirectional", _share(uni["accuracy"]["whole"]), "nothing"]
    for lookahead, found in bi["accuracy"].items():
        if lookahead != "whole":
            yield ["bidirectional, bounded wait", _share(found), f"{lookahead} tokens"]
    yield ["bidirectional", _share(bi["accuracy"]["whole"]), "the whole tune"]


def draw(whole: Result, uni: Result, bi: Result, path: Path) -> None:
    """Accuracy in gaps against how much is waited for."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.subplots()
    waits = [name for name in bi["accuracy"] if name != "whole"]
    found = [bi["accuracy"][name] for name in (*waits, "whole")]
    values = [100 * each["value"] for each in found]
    margins = [[100 * abs(each["value"] - each[end]) for each in found] for end in ("low", "high")]
    axes.errorbar(range(len(found)), values, margins, marker="o", capsize=3, label="bidirectional")
    for name, one, style in (
        ("unidirectional", uni["accuracy"]["whole"], "--"),
        ("the language model goes on", whole["gaps_gone_on"], "-."),
        ("n-grams go on", bi["ngram"], ":"),
    ):
        axes.axhline(100 * one["value"], linestyle=style, color="0.35", label=name)
    axes.set_xticks(range(len(found)), [*waits, "all"])
    axes.set_xlabel("tokens behind it that are waited for")
    axes.set_ylabel("hidden tokens told, %")
    axes.set_ylim(bottom=0)
    axes.set_title(f"A bar hidden in each of {bi['tunes']} held-out tunes")
    axes.legend(frameon=False)
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=150)


def _bits(of: dict[str, float]) -> str:
    return f"{of['value']:.2f} ({of['low']:.2f} to {of['high']:.2f})"


def _share(of: dict[str, float]) -> str:
    return f"{100 * of['value']:.1f} % ({100 * of['low']:.1f} to {100 * of['high']:.1f})"


def main(*paths: str) -> None:
    """Draw the results of the language model, of the model of one side and of that of both into the last path."""
    whole, uni, bi = (json.loads(Path(path).read_text(encoding="utf-8")) for path in paths[:3])
    draw(whole, uni, bi, Path(paths[3]))


if __name__ == "__main__":
    main(*sys.argv[1:])
