"""``ostinato compare --task``, and of models of text: what waiting buys for each task, in the same columns."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from importlib.resources import files
from pathlib import Path

from rich.markup import escape

from ostinato.cli.console import duration, err, note, out
from ostinato.cli.output_files import write_json, write_picture
from ostinato.errors import InputError
from ostinato.model import available
from ostinato.streaming import Model, load
from ostinato_bench import overview
from ostinato_bench.comparison import Recording, Wait
from ostinato_bench.following import Followed, scored, scoring, written
from ostinato_bench.machine import busy, describe
from ostinato_bench.overview import Row
from ostinato_bench.terminal import Table

TASKS: Mapping[str, tuple[str, ...]] = {
    "speech": ("digits-uni", "digits-bi"),
    "sentiment": ("sentiment-uni", "sentiment-bi"),
    "phonemes": ("phonemes-uni", "phonemes-bi"),
    "tunes": ("tunes",),
}
"""The models of each; those that come with Ostinato are compared."""
TEXTS = Path(str(files("ostinato"))) / "texts"
"""Sentences and words whose truth is known. TEXTS.md there says where they are from."""
NOTES: Mapping[str, str] = {
    "speech": "answers are words; each waits from its end, in the median",
    "sentiment": "answers are scores after each word; right is whose last one has the right sign",
    "phonemes": "answers are phonemes, which lag behind letters that are read; right are words, to the last phoneme",
    "tunes": "a model that writes has nothing to wait for, so there is no bidirectional one; right are tunes that "
    "can be read and whose bars all add up",
}
Report = Callable[[str], None]


def takes_texts(models: Sequence[Model]) -> bool:
    """Whether all of these models are followed through texts: they score each token, or write another text."""
    return all(each.writer is not None or scoring(each) is not None for each in models)


def compare_tasks(task: str, json: Path | None, plot: Path | None, play: Callable[[Report], list[Row]]) -> None:
    """Measure the bundled models of a task, or of "all", on what comes with Ostinato; print, and write what was asked
    for. ``play`` measures those of speech."""
    wanted = list(TASKS) if task == "all" else [task]
    for name in (name for each in wanted for name in TASKS[each] if name not in available()):
        recipe, _, which = name.partition("-")
        note(f"{name} does not come with Ostinato: ostinato train {recipe} --only {which} learns it")
    with err.status("…") as status:

        def report(doing: str) -> None:
            status.update(f"[dim]{escape(doing)}[/]")

        rows: list[Row] = []
        for each in wanted:
            names = [name for name in TASKS[each] if name in available()]
            rows += play(report) if each == "speech" else _measured(each, [load(name) for name in names], report)
    _finish(rows, json, plot)


def compare_texts(models: Sequence[Model], texts: Sequence[str], json: Path | None, plot: Path | None) -> None:
    """The same of models of one's own choice; with ``texts``, what each says of them, and when. Raises InputError for
    models of different tasks, and for a text that a model cannot read."""
    tasks = {"phonemes" if each.writer is not None else "sentiment" for each in models}
    if len(tasks) > 1:
        raise InputError("some of these models score texts, others write: compare those of one kind")
    (task,) = tasks
    if texts:
        if json or plot:
            note("--json and --plot are for texts whose truth is known: nothing is written")
        for text in texts:
            _show_text(_followed(task, models, text))
        return
    with err.status("…") as status:
        rows = _measured(task, models, lambda doing: status.update(f"[dim]{escape(doing)}[/]"))
    _finish(rows, json, plot)


def played(endpoint: str, names: Sequence[str], recording: Recording, wait: Wait, report: Report) -> list[Row]:
    """Of speech, at its pace."""
    from ostinato_bench.compare import measure

    return overview.of_speech(measure(endpoint, names, recording, report, lengths_s=(), wait=wait))


def _measured(task: str, models: Sequence[Model], report: Report) -> list[Row]:
    rows: list[Row] = []
    for model in models:
        if task == "sentiment":
            rows += overview.of_scores(model, overview.pairs(TEXTS / "sentences.tsv"), report)
        elif task == "phonemes":
            rows += overview.of_writing(model, overview.pairs(TEXTS / "words.tsv"), report)
        else:
            rows += overview.of_tunes(model, report)
    return rows


def _followed(task: str, models: Sequence[Model], text: str) -> dict[str, Followed]:
    found: dict[str, Followed] = {}
    for model in models:
        if task == "sentiment":
            ways = overview.ways_of_scores(model)
            found |= {f"{model.name}\n{how}": scored(way, text) for how, way in ways}
        else:
            behind = overview.ways_of_writing(model)
            found |= {f"{model.name}\n{how}": written(model, wait, text.strip()) for how, wait in behind}
    return found


def _show_text(followed: Mapping[str, Followed]) -> None:
    table = Table("read", *followed, right=tuple(followed), prose=())
    for piece, cells in overview.side_by_side(followed):
        table.add_row(escape(piece), *map(escape, cells))
    out.print(table)
    out.print()


def _finish(rows: Sequence[Row], json: Path | None, plot: Path | None) -> None:
    from ostinato_bench.overview_picture import draw

    machine, date = describe() | busy(), datetime.now(UTC).isoformat(timespec="seconds")
    write_json(json, {"rows": [row.as_dict() for row in rows], "machine": machine, "date": date})
    write_picture(plot, lambda path: draw(rows, path))
    for task in dict.fromkeys(row.task for row in rows):
        _show([row for row in rows if row.task == task])


def _show(rows: Sequence[Row]) -> None:
    first = rows[0]
    out.print(f"[bold]{first.task}[/], {first.count} {first.counted}: so few say little")
    headings = ("first answer after", "an answer waits", "before the end", "right")
    table = Table("model", "answers", *headings, right=headings)
    for row in rows:
        table.add_row(
            escape(row.model),
            escape(row.how),
            _much(row.first, row.unit),
            _much(row.waits, row.unit),
            "–" if row.early is None else f"{100 * row.early:.0f} %",
            "–" if row.right is None else f"{row.right} of {row.count}",
        )
    out.print(table)
    out.print(f"[dim]{NOTES[first.task]}[/]\n")


def _much(value: float | None, unit: str) -> str:
    if value is None or unit == "ms":
        return duration(value)
    return f"{value:.1f} {unit}"
