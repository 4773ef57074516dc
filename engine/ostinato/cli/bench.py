"""``ostinato bench``: the measurements of `ostinato_bench`, with progress, as a table and as JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.progress import Progress, TaskID

from ostinato.cli.console import err, note, out
from ostinato.cli.output_files import check_picture, check_writable, write_json, write_picture
from ostinato.errors import InputError
from ostinato.model.front_ends import Tokens
from ostinato.streaming import load as load_model

if TYPE_CHECKING:
    from ostinato_bench.cells import Cell
    from ostinato_bench.convolutions import Causal
    from ostinato_bench.generation import Task as Generating
    from ostinato_bench.positions import Along
    from ostinato_bench.training import Task


def kernels(
    cells: Sequence[Cell],
    causal: Sequence[Causal],
    along: Sequence[Along],
    seconds: float,
    peers: Sequence[str],
    json: Path | None,
    plot: Path | None,
) -> None:
    """Recurrent networks, causal convolutions and layers within frames beside other engines, for ``seconds`` each."""
    from ostinato_bench.kernels import run
    from ostinato_bench.kernels_picture import draw
    from ostinato_bench.tables import legend, terminal

    check_writable(json)
    check_picture(plot)
    found = run(cells, seconds, wanted=peers, progress=_Steps(), causal=causal, along=along)
    write_json(json, found)
    write_picture(plot, lambda path: draw(found, path))
    for table in terminal(found):
        out.print(table)
    note(legend(found))
    _tell_missing(found)


class _Steps:
    """Tells how far a measurement is: a bar on a terminal, a line now and then elsewhere."""

    _LINES = 10

    def __init__(self) -> None:
        self._bar = Progress(*Progress.get_default_columns(), console=err, transient=True)
        self._task: TaskID | None = None

    def __call__(self, done: int, count: int, what: str) -> None:
        if not err.is_terminal:
            if done % max(count // self._LINES, 1) == 0:
                note(f"{done} of {count}: {what}")
            return
        if self._task is None:
            self._bar.start()
            self._task = self._bar.add_task("", total=count)
        self._bar.update(self._task, completed=done, total=count, description=what)
        if done == count:
            self._bar.stop()
            self._bar.remove_task(self._task)
            self._task = None  # what is measured next begins anew


def _tell_missing(found: Mapping[str, Any]) -> None:
    """Which engines were not measured, and why."""
    for peer, why in found["missing"].items():
        note(f"{peer} was not measured: {why}")


def music(minutes: float, beside: bool, json: Path | None, plot: Path | None) -> None:
    """Onsets and beats in ``minutes`` of music, with madmom's programs ``beside``."""
    from ostinato_bench.music.measuring import run
    from ostinato_bench.music.picture import draw
    from ostinato_bench.music.tables import conclusions, legend, terminal

    check_writable(json)
    check_picture(plot)
    found = run(minutes, beside, 2.0, _Steps())
    write_json(json, found)
    write_picture(plot, lambda path: draw(found, path))
    for table in terminal(found):
        out.print(table)
    note(legend(found))
    for sentence in conclusions(found):
        out.print(sentence)
    _tell_missing(found)


def training(tasks: Sequence[Task], seconds: float, beside: bool, json: Path | None) -> None:
    """What networks learn from in a second, for ``seconds`` each, ``beside`` PyTorch."""
    from ostinato_bench.training import run
    from ostinato_bench.training_tables import LEGEND, terminal

    check_writable(json)
    found = run(tasks, seconds, _Steps(), beside)
    write_json(json, found)
    out.print(terminal(found))
    note(LEGEND)
    _tell_missing(found)


def tunes(model: str, count: int, seed: int, folder: Path | None, json: Path | None) -> None:
    """What a model of tunes makes, ``count`` of them in each way of drawing."""
    from ostinato.notation.reader import is_abc
    from ostinato_bench.tunes import lengths_by_music21, run, table

    check_writable(json)
    loaded = load_model(model, folders=[] if folder is None else [folder])
    front_end = loaded.network.specification.front_end
    if not (isinstance(front_end, Tokens) and is_abc(front_end.vocabulary)):
        raise InputError(f"{model!r} makes no tunes: name a language model whose tokens are ABC")
    found = run(loaded, count, seed, lengths_by_music21(), _Steps())
    write_json(json, found)
    out.print(table(found))
    note(
        "In brackets 95 % intervals. Bars are counted as one hears them: repeats played out, an anacrusis completed."
    )
    if unlike := sum(row["unlike"] for row in found["rows"]):
        note(f"in {unlike} of the tunes with right bars music21 finds other lengths of bars than we do")


def generation(tasks: Sequence[Generating], seconds: float, beside: bool, json: Path | None) -> None:
    """Tokens a second of a language model, for ``seconds`` each, ``beside`` other engines."""
    from ostinato_bench.generation import run
    from ostinato_bench.generation_tables import LEGEND, terminal

    check_writable(json)
    found = run(tasks, seconds, _Steps(), beside)
    write_json(json, found)
    out.print(terminal(found))
    note(LEGEND)
    _tell_missing(found)


def load(
    streams: int,
    seconds: float,
    model: str,
    data: Path | None,
    chunk_ms: float | None,
    workers: int | None,
    endings: int,
    search: bool,
    json: Path | None,
    plot: Path | None,
) -> None:
    """A server of ``model`` under ``streams`` streams for ``seconds`` seconds."""
    from ostinato_bench.load import run, table
    from ostinato_bench.load_search import draw

    check_writable(json)
    check_picture(plot)
    with err.status("[dim]starting a server and its clients[/]") as status:
        found = run(
            streams,
            seconds,
            model=model,
            data=data,
            chunk_ms=chunk_ms,
            workers=workers,
            endings=endings,
            search=search,
            progress=lambda share: status.update(f"[dim]{share:.0%} of the load[/]"),
        )
    write_json(json, found)
    write_picture(plot, lambda path: draw(found, path))
    out.print(table(found))


def chunk(
    streams: int, seconds: float, model: str, data: Path | None, chunk_ms: float | None, json: Path | None
) -> None:
    """What a chunk costs a server of ``model`` by part, with ``streams`` streams."""
    from ostinato_bench.chunk import run
    from ostinato_bench.chunk_tables import legend, terminal

    check_writable(json)
    found = run(streams, seconds, model=model, data=data, chunk_ms=chunk_ms, progress=_Steps())
    write_json(json, found)
    out.print(terminal(found))
    note(legend(found))


def published(
    models: Sequence[str] | None, seconds: float, streams: int, json: Path | None, plot: Path | None
) -> None:
    """Published files beside ONNX Runtime, over so many seconds of speech."""
    from ostinato_bench.published.measurement import run
    from ostinato_bench.published.picture import draw, write_recordings
    from ostinato_bench.published.tables import LEGEND, terminal

    check_writable(json)
    check_picture(plot)
    found, example = run(models or (), seconds, streams, progress=_Steps())
    write_json(json, found)
    recordings = []
    if plot is not None and example is not None:
        write_picture(plot, lambda path: draw(example, path))
        recordings = write_recordings(example, plot)
    for table in terminal(found):
        out.print(table)
    if found["files"]:
        note(LEGEND)
    if plot is not None and example is None:
        note(f"{plot} was not drawn: nothing was denoised")
    if recordings:
        note(f"to hear: {', '.join(map(str, recordings))}")
    for name, why in found["missing"].items():
        note(f"{name} was not measured: {why}")
