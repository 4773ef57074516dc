"""What waiting buys where a text is written of another: tables and the picture of what the recipes `phonemes` and
`translation` have left in their runs' folders.

    python -m ostinato_bench.waiting runs/phonemes-* --json docs/measurements/phonemes.json --plot docs/phonemes.png
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from ostinato_bench import tables

WHOLE = "whole"
MEASURES: Mapping[str, Sequence[tuple[str, str]]] = {
    "phonemes": (("words_wrong", "words wrong"), ("phonemes_wrong", "phonemes wrong")),
    "translation": (("chrF", "chrF"), ("BLEU", "BLEU")),
}
"""By recipe: figures by name, and what they are called; they are drawn side by side."""
UNITS = {"phonemes": "letters", "translation": "pieces of words"}
"""In which a text lags behind its source."""


def gathered(folders: Sequence[Path], load: float) -> dict[str, Any]:
    """The results of runs, as they stand in documents. ``load``: of the machine, as they were learnt."""
    results = [json.loads((folder / "results.json").read_text(encoding="utf-8")) for folder in folders]
    recipe = str(results[0]["model"]).partition("-")[0]
    return {"recipe": recipe, "load": load, "cores": os.cpu_count(), "models": results}


def table(result: dict[str, Any]) -> str:
    """A line for each model and wait, and one for each baseline."""
    measures = MEASURES[result["recipe"]]
    lines = []
    for model in result["models"]:
        for wait, score in model["scores"].items():
            behind = "until the end" if wait == WHOLE else f"{wait} behind"
            lines.append([f"`{model['model']}`, {behind}", *_figures(score, measures)])
    for name, score in result["models"][0]["baselines"].items():
        lines.append([name, *_figures(score, measures)])
    return tables.markdown(["", *(name for _, name in measures), "average lagging"], lines)


def source(result: dict[str, Any]) -> str:
    """How much was tested, and how busy the machine was as it was learnt."""
    first = next(iter(result["models"][0]["scores"].values()))
    count = first.get("words") or first["texts"]
    steps = ", ".join(f"`{model['model']}` {model['steps']:,} steps" for model in result["models"])
    return (
        f"{count:,} held out, 95 % intervals beside the figures; {steps}, one thread each, on {result['cores']} "
        f"cores with others at work (load {result['load']:g})."
    )


def _figures(score: Mapping[str, Any], measures: Sequence[tuple[str, str]]) -> Iterator[str]:
    for name, _ in measures:
        low, high = score[f"{name}_interval"] or (score[name], score[name])
        share = name.endswith("wrong")
        scale, unit = (100, " %") if share else (1, "")
        yield f"{scale * score[name]:.1f}{unit} ({scale * low:.1f} to {scale * high:.1f})"
    yield "–" if score["average_lagging"] is None else f"{score['average_lagging']:.1f}"


def draw(result: dict[str, Any], path: Path) -> None:
    """The figures against average lagging, a line for each model; those of baselines, which do not wait, dotted."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    measures = MEASURES[result["recipe"]]
    figure = Figure(figsize=(5.5 * len(measures), 4), layout="constrained")
    FigureCanvasAgg(figure)
    for axes, (name, label) in zip(figure.subplots(1, len(measures)), measures, strict=True):
        scale = 100 if name.endswith("wrong") else 1
        for model in result["models"]:
            scores = sorted(model["scores"].items(), key=lambda each: each[1]["average_lagging"])
            x = [score["average_lagging"] for _, score in scores]
            y = [scale * score[name] for _, score in scores]
            bounds = [score[f"{name}_interval"] or (score[name], score[name]) for _, score in scores]
            errors = [[v - scale * b[0] for v, b in zip(y, bounds, strict=True)],
                      [scale * b[1] - v for v, b in zip(y, bounds, strict=True)]]  # fmt: skip
            axes.errorbar(x, y, errors, marker="o", capsize=3, label=model["model"])
            for (wait, _), at, value in zip(scores, x, y, strict=True):
                text = "the end" if wait == WHOLE else f"k = {wait}"
                axes.annotate(text, (at, value), (6, 6), textcoords="offset points", fontsize=8)
        for number, (simple, score) in enumerate(result["models"][0]["baselines"].items()):
            style = {"color": "gray", "linestyle": ("dotted", "dashed")[number % 2]}
            axes.axhline(scale * score[name], label=simple, **style)
        axes.set_xlabel(f"average lagging behind the source, {UNITS[result['recipe']]}")
        axes.set_ylabel(f"{label}, %" if scale == 100 else label)
        axes.margins(x=0.2, y=0.1)
        axes.set_ylim(bottom=0)
        axes.grid(alpha=0.3)
    axes.legend(frameon=False)
    figure.savefig(path, dpi=120)


def main() -> None:
    """See the module."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("runs", type=Path, nargs="+", help="folders of runs with results.json")
    parser.add_argument("--json", type=Path, required=True)
    parser.add_argument("--plot", type=Path)
    parser.add_argument("--load", type=float, default=os.getloadavg()[2], help="of the machine as they were learnt")
    given = parser.parse_args()
    result = gathered(given.runs, given.load)
    given.json.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    if given.plot:
        draw(result, given.plot)
    print(table(result))


if __name__ == "__main__":
    main()
