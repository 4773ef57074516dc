"""``ostinato evaluate``: models' errors on transcribed recordings (on other data: `evaluate_data`)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import typer
from rich.markup import escape

from ostinato.cli.console import err, out, percent, plural
from ostinato.cli.evaluate_data import evaluate_data
from ostinato.cli.files import read_audio
from ostinato.cli.output_files import check_writable, write_json
from ostinato.cli.own_data import all_take_data
from ostinato.cli.recordings import LeftOut, tell_unknown, transcribed
from ostinato.pipeline import confidence
from ostinato.pipeline.score import Errors
from ostinato.streaming import load
from ostinato_bench.comparison import Wait, errors_as_dict
from ostinato_bench.conclusions import best_of
from ostinato_bench.recognition import (
    Recognised,
    Spoken,
    Way,
    recognise,
    vocabulary,
)
from ostinato_bench.scores import WordScore
from ostinato_bench.side_by_side import side_by_side
from ostinato_bench.terminal import Table

SHOWN = 20
"""So many recordings are shown with what was heard in them, unless all are asked for."""
CONFUSIONS = 10
EVERYTHING = "all"


def evaluate(
    names: Sequence[str],
    data: Path,
    folder: Path | None,
    json: Path | None,
    wait: Wait | None,
    head: str | None,
    everything: bool,
) -> None:
    """Show what each model's ``head`` answers wrongly: of speech what it heard wrongly, counted by the recordings'
    folders and in all; of frames and tokens as `evaluate_data` has it.

    ``wait``: bidirectional models are evaluated with that bounded wait, too. ``everything``: all recordings with
    errors are shown, not only the worst. Ends with 1 if recordings were left out.
    """
    check_writable(json)
    ways = _ways(names, [] if folder is None else [folder], wait, head)
    if all_take_data(ways):
        evaluate_data(ways, data, json, everything)
        return
    left_out = LeftOut(data)
    transcripts = transcribed(data, left_out)
    spoken = [Spoken(path, text, read_audio) for path, text in transcripts.items()]
    unknown = tell_unknown({way.name: vocabulary(way.model, head) for way in ways}, transcripts, left_out)
    with err.status("…") as status:
        found = recognise(ways, spoken, left_out.add, lambda doing: status.update(f"[dim]{escape(doing)}[/]"))
    used = len(found[0])
    folders = {one.path: one.path.parent.relative_to(data).as_posix() for one in found[0]}
    write_json(
        json,
        {
            **(_figures(ways, found, folders, left_out) if used else {"models": []}),
            "interval_95_method": confidence.METHOD.format(unit="word"),
            "unknown_words": unknown,
            "left_out": left_out.as_dict(),
        },
    )
    if used:
        _show_recordings(ways, found, left_out, None if everything else SHOWN)
        _show_confusions(ways, found)
        _show_rates(ways, found, folders)
        out.print(f"\n{escape(_closing(ways, found))}")
    left_out.finish(used + len(left_out.reasons))


def _ways(names: Sequence[str], folders: Sequence[Path], wait: Wait | None, head: str | None) -> list[Way]:
    """Each model once; bidirectional ones with the bounded wait first, if there is one."""
    ways = []
    for name in dict.fromkeys(names):
        model = load(name, folders=folders)
        if wait is not None and model.delay_of(head).ms is None:
            ways.append(Way(model.name, model, wait.in_frames(model.front_end.frame_ms), head))
        ways.append(Way(model.name, model, None, head))
    if wait is not None and all(way.wait is None for way in ways):
        raise typer.BadParameter(
            "bounded wait is for bidirectional models, and none is named", param_hint="--block-ms"
        )
    return ways


def _show_recordings(
    ways: Sequence[Way], found: Sequence[Sequence[Recognised]], left_out: LeftOut, most: int | None
) -> None:
    """Those with errors, the worst first: what was said, and what each heard, word under word."""
    wrong = [results for results in zip(*found, strict=True) if any(one.errors.total for one in results)]
    wrong.sort(key=lambda results: -sum(one.errors.total for one in results))
    for results in wrong[:most]:
        alone = f"  [dim]{plural(results[0].errors.total, 'error')}[/]" if len(ways) == 1 else ""
        out.print(f"[bold]{escape(left_out.name(results[0].path))}[/]{alone}", soft_wrap=True)
        for line in side_by_side([str(way) for way in ways], [one.pairs for one in results], out.width - 2):
            out.print(f"  {line}", soft_wrap=True)
        out.print()
    if most is not None and len(wrong) > most:
        out.print(f"[dim]{len(wrong) - most} more recordings have errors: --all shows them[/]\n", soft_wrap=True)


def _show_confusions(ways: Sequence[Way], found: Sequence[Sequence[Recognised]]) -> None:
    """What was wrong more than once."""
    counts = [_confusions(results) for results in found]
    total = sum(counts, Counter[tuple[str | None, str | None]]())
    often = [pair for pair, _ in _ordered(total) if max(count[pair] for count in counts) > 1]
    if not often:
        return
    columns = [str(way) for way in ways] if len(ways) > 1 else ["times"]
    listing = Table("said", "heard", *columns, right=columns)
    for said, heard in often[:CONFUSIONS]:
        times = (str(count[said, heard]) for count in counts)
        listing.add_row(escape(said or "(nothing)"), escape(heard or "(nothing)"), *times)
    out.print(listing)
    out.print()


def _show_rates(ways: Sequence[Way], found: Sequence[Sequence[Recognised]], folders: dict[Path, str]) -> None:
    right = ("recordings", "words", "wrong", "extra", "missed", "errors", "95 %")
    listing = Table("folder", "model", *right, right=right)
    for name in (*sorted(set(folders.values())), EVERYTHING):
        if name != EVERYTHING and len(set(folders.values())) == 1:
            continue
        for way, results in zip(ways, found, strict=True):
            errors = [one.errors for one in results if name in (EVERYTHING, folders[one.path])]
            total = sum(errors, Errors())
            kinds = (total.substitutions, total.insertions, total.deletions)
            listing.add_row(
                escape(name),
                escape(str(way)),
                str(len(errors)),
                str(total.symbols),
                *map(str, kinds),
                f"{100 * total.rate:.1f} %",
                percent(confidence.interval(errors)),
            )
    out.print(listing)
    out.print(f"[dim]95 %: {confidence.METHOD.format(unit='word')}; none of a single recording[/]")


def _closing(ways: Sequence[Way], found: Sequence[Sequence[Recognised]]) -> str:
    """What it comes to, in plain words."""
    scores = [WordScore(tuple(one.errors for one in results)) for results in found]
    return best_of([(str(way), score) for way, score in zip(ways, scores, strict=True)])


def _figures(
    ways: Sequence[Way],
    found: Sequence[Sequence[Recognised]],
    folders: dict[Path, str],
    left_out: LeftOut,
) -> dict[str, Any]:
    """The JSON."""
    models = []
    for way, results in zip(ways, found, strict=True):
        by_folder = {
            name: errors_as_dict([one.errors for one in results if folders[one.path] == name])
            for name in sorted(set(folders.values()))
        }
        confusions = [
            {"said": said, "heard": heard, "times": times} for (said, heard), times in _ordered(_confusions(results))
        ]
        recordings = [
            {
                "recording": left_out.name(one.path),
                "said": list(one.said),
                "heard": list(one.heard),
                "aligned": [list(pair) for pair in one.pairs],
                **errors_as_dict([one.errors]),
            }
            for one in results
        ]
        everything = errors_as_dict([one.errors for one in results])
        models.append(
            way.as_dict()
            | {"all": everything, "by_folder": by_folder, "confusions": confusions, "recordings": recordings}
        )
    differences = [
        {"models": [str(ways[i]), str(ways[j])], "p": confidence.chance(
            [one.errors for one in found[i]], [one.errors for one in found[j]])}
        for i in range(len(ways)) for j in range(i)
    ]  # fmt: skip
    return {
        "models": models,
        "differences": differences,
        "closing": _closing(ways, found),
    }


def _confusions(results: Iterable[Recognised]) -> Counter[tuple[str | None, str | None]]:
    return Counter((said, heard) for one in results for said, heard in one.pairs if said != heard)


def _ordered(
    confusions: Counter[tuple[str | None, str | None]],
) -> list[tuple[tuple[str | None, str | None], int]]:
    """The most frequent first, then by the alphabet."""
    return sorted(confusions.items(), key=lambda each: (-each[1], each[0][0] or "", each[0][1] or ""))
