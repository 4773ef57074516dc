"""``ostinato compare``: measured, then shown as a table, as JSON and as a picture."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import typer
from rich.markup import escape

from ostinato.cli.console import delay, duration, err, note, out, size, table
from ostinato.cli.files import bundled_recording, check_writable, read_audio, transcript_beside, write_json
from ostinato.cli.serving import serving
from ostinato_bench.comparison import Comparison

DEFAULT_MODELS = ("digits-uni", "digits-bi")


def compare(
    models: list[str] | None,
    file: Path | None,
    transcript: str | None,
    json: Path | None,
    plot: Path | None,
    connect: str | None,
    folder: Path | None,
) -> None:
    """Measure the models on the recording; print a table, and write what was asked for."""
    from ostinato_bench.compare import measure

    check_writable(json)
    check_writable(plot)
    if plot is not None and find_spec("matplotlib") is None:
        raise typer.BadParameter("a picture needs matplotlib: pip install 'ostinato[plot]'")
    if file is None:
        file = bundled_recording()
    if transcript is None:
        transcript = transcript_beside(file)
    samples, rate = read_audio(file)
    with serving(models or DEFAULT_MODELS, connect, folder) as (endpoint, names), err.status("…") as status:
        found = measure(
            endpoint, names, samples, rate, transcript, lambda doing: status.update(f"[dim]{escape(doing)}[/]")
        )
    show(found, file.name)
    write_json(json, found.as_dict())
    if plot is not None:
        from ostinato_bench.picture import draw

        draw(found, plot)
        note(f"picture: {plot}")


def show(found: Comparison, name: str) -> None:
    """The tables: what each model said and when, and what length costs."""
    out.print(f"[bold]{escape(name)}[/], {found.seconds:.1f} s, spoken in real time, {found.chunk_ms:g} ms a chunk")
    width = max(len("spoken"), *(len(run.name) for run in found.models))
    if found.transcript is not None:
        out.print(f"[dim]{'spoken':{width}}[/]  {escape(found.transcript)}", soft_wrap=True)
    for run in found.models:
        out.print(f"[bold]{escape(f'{run.name:{width}}')}[/]  {escape(run.text) or '(nothing)'}", soft_wrap=True)
    out.print()

    figures = table("", *(run.name for run in found.models), right=tuple(run.name for run in found.models))
    rows: list[tuple[str, list[str]]] = [
        ("direction", [run.direction for run in found.models]),
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
    if not lengths:
        return
    out.print("\n[bold]From the last chunk to the final result[/], by the utterance's length")
    by_length = table(
        "", *(f"{length:g} s" for length in lengths), right=tuple(f"{length:g} s" for length in lengths)
    )
    for run in found.models:
        final = {row.seconds: row.final_ms for row in found.by_length if row.name == run.name}
        by_length.add_row(escape(run.name), *(duration(final.get(length)) for length in lengths))
    out.print(by_length)
