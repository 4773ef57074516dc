"""``ostinato compare``: measured, then shown as a table, as JSON and as a picture."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.markup import escape

from ostinato.cli.console import delay, duration, err, out, size
from ostinato.cli.files import RECORDINGS, bundled_recording, read_audio, transcribed, transcript_beside
from ostinato.cli.outputs import check_picture, check_writable, write_json, write_picture
from ostinato.cli.serving import serving
from ostinato_bench.comparison import Comparison, DelayRow, Wait
from ostinato_bench.terminal import Table

DEFAULT_MODELS = ("digits-uni", "digits-bi")


@dataclass(frozen=True)
class Wanted:
    """What to compare: ``file`` None is the bundled recording, ``transcript`` None what the .txt beside it says.

    ``wait`` is the bounded wait that bidirectional models are shown with; ``data`` a folder of transcribed recordings
    for errors against delay, by look-aheads of ``sweep_ms``.
    """

    models: Sequence[str]
    file: Path | None
    transcript: str | None
    wait: Wait
    data: Path | None
    sweep_ms: Sequence[float] | None


def compare(wanted: Wanted, json: Path | None, plot: Path | None, connect: str | None, folder: Path | None) -> None:
    """Measure the models on the recording; print tables, and write what was asked for."""
    from ostinato_bench.compare import measure
    from ostinato_bench.picture import draw

    check_writable(json)
    check_picture(plot)
    file = wanted.file or bundled_recording()
    transcript = transcript_beside(file) if wanted.transcript is None else wanted.transcript
    samples, rate = read_audio(file)
    models = wanted.models or DEFAULT_MODELS
    with err.status("…") as status:

        def report(doing: str) -> None:
            status.update(f"[dim]{escape(doing)}[/]")

        by_delay = () if connect else _errors_by_delay(wanted, models, folder, file, transcript, report)
        status.stop()
        with serving(models, connect, folder) as (endpoint, names):
            status.start()
            found = measure(
                endpoint, names, samples, rate, transcript, report, wait=wanted.wait, error_by_delay=by_delay
            )
    write_json(json, found.as_dict())
    write_picture(plot, lambda path: draw(found, path))
    show(found, file.name)


def _errors_by_delay(
    wanted: Wanted,
    models: Sequence[str],
    folder: Path | None,
    file: Path,
    transcript: str | None,
    report: Callable[[str], None],
) -> tuple[DelayRow, ...]:
    """Errors against delay, over the recordings in ``data``, or else those that are there."""
    from ostinato.streaming import load
    from ostinato_bench.tradeoff import LOOKAHEADS_MS, Spoken, errors_by_delay

    if wanted.data is not None:
        spoken, _ = transcribed(wanted.data)
    elif wanted.file is None and wanted.transcript is None:
        spoken, _ = transcribed(RECORDINGS)
    else:
        spoken = {file: transcript} if transcript else {}
    recordings = [Spoken(path, text, read_audio) for path, text in spoken.items()]
    loaded = [load(name, folders=[] if folder is None else [folder]) for name in models]
    lookaheads = {*(wanted.sweep_ms or LOOKAHEADS_MS), wanted.wait.lookahead_ms}
    if not recordings:
        return ()
    return errors_by_delay(
        [(model.name, model) for model in loaded], recordings, wanted.wait.block_ms, sorted(lookaheads), report
    )


def show(found: Comparison, name: str) -> None:
    """The tables: what each model said and when, what length costs, and what waiting buys."""
    out.print(f"[bold]{escape(name)}[/], {found.seconds:.1f} s, spoken in real time, {found.chunk_ms:g} ms a chunk")
    called = [run.name if run.wait is None else f"{run.name}, {run.wait}" for run in found.models]
    width = max(map(len, ("spoken", *called)))
    if found.transcript is not None:
        out.print(f"[dim]{'spoken':{width}}[/]  {escape(found.transcript)}", soft_wrap=True)
    for name, run in zip(called, found.models, strict=True):
        out.print(f"[bold]{escape(f'{name:{width}}')}[/]  {escape(run.text) or '(nothing)'}", soft_wrap=True)
    out.print()

    headings = tuple(run.name if run.wait is None else f"{run.name}\n{run.wait}" for run in found.models)
    figures = Table("", *headings, right=headings)
    rows: list[tuple[str, list[str]]] = [
        ("direction", [run.direction.removesuffix("directional") for run in found.models]),
        ("delay", [delay(run.delay_ms) for run in found.models]),
        ("first result, after the first sample", [duration(run.first_result_ms) for run in found.models]),
        *(
            (f"from spoken to shown, {key}", [duration(run.latency_ms[key]) for run in found.models])
            for key in ("p50", "p90", "p99")
        ),
        ("final result, after the last sample", [duration(run.final_ms) for run in found.models]),
        ("computing per second of audio", [duration(1e3 * run.real_time_factor) for run in found.models]),
        ("state per stream", [size(run.state_bytes) for run in found.models]),
        (
            "words wrong",
            ["–" if run.error_rate is None else f"{100 * run.error_rate:.1f} %" for run in found.models],
        ),
    ]
    for heading, values in rows:
        figures.add_row(f"[dim]{heading}[/]", *values)
    out.print(figures)

    lengths = sorted({row.seconds for row in found.by_length})
    if lengths:
        out.print("\n[bold]From the last chunk to the final result[/], by the utterance's length")
        by_length = Table(
            "", *(f"{length:g} s" for length in lengths), right=tuple(f"{length:g} s" for length in lengths)
        )
        for name, run in zip(called, found.models, strict=True):
            final = {
                row.seconds: row.final_ms for row in found.by_length if (row.name, row.wait) == (run.name, run.wait)
            }
            by_length.add_row(escape(name), *(duration(final.get(length)) for length in lengths))
        out.print(by_length)
    if found.error_by_delay:
        _show_errors(found.error_by_delay)


def _show_errors(rows: Sequence[DelayRow]) -> None:
    recordings = rows[0].recordings
    out.print(
        f"\n[bold]Words wrong against delay[/], {rows[0].symbols} words in {recordings} "
        f"recording{'s' if recordings > 1 else ''}"
    )
    columns = ("block", "look-ahead", "delay", "words wrong")
    listing = Table("model", *columns, right=columns)
    for row in rows:
        block, ahead = (f"{ms:g} ms" for ms in (row.wait.block_ms, row.wait.lookahead_ms)) if row.wait else "––"
        listing.add_row(escape(row.name), block, ahead, delay(row.delay_ms), f"{100 * row.error_rate:.1f} %")
    out.print(listing)
