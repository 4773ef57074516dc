"""The tables of ``ostinato compare``: what each model said and when, what length costs, and what waiting buys."""

from __future__ import annotations

from collections.abc import Sequence

from rich.markup import escape

from ostinato.cli.console import delay, duration, out, size
from ostinato_bench.comparison import Comparison, DelayRow, ModelRun
from ostinato_bench.terminal import Table


def show(found: Comparison) -> None:
    """All of them, and what they say in words."""
    recording = found.recording
    out.print(
        f"[bold]{escape(recording.name)}[/], {recording.seconds:.1f} s, spoken in real time, "
        f"{found.chunk_ms:g} ms a chunk"
    )
    _show_texts(found)
    _show_figures(found)
    _show_lengths(found)
    _show_errors(found.error_by_delay)
    for sentence in found.conclusions:
        out.print(f"\n{escape(sentence)}")


def _called(run: ModelRun) -> str:
    return run.name if run.wait is None else f"{run.name}, {run.wait}"


def _show_texts(found: Comparison) -> None:
    texts = [(_called(run), run.text) for run in found.models]
    width = max(map(len, ("spoken", *(called for called, _ in texts))))
    if found.recording.transcript is not None:
        out.print(f"[dim]{'spoken':{width}}[/]  {escape(found.recording.transcript)}")
    for called, text in texts:
        out.print(f"[bold]{escape(f'{called:{width}}')}[/]  {escape(text) or '(nothing)'}")
    out.print()


def _show_figures(found: Comparison) -> None:
    runs = found.models
    headings = tuple(run.name if run.wait is None else f"{run.name}\n{run.wait}" for run in runs)
    figures = Table("", *headings, right=headings)
    latency = {
        "from a word's end to shown, median": "p50",
        "from a word's end to shown, 9 of 10 within": "p90",
        "from a word's end to shown, the slowest": "max",
    }
    rows: list[tuple[str, list[str]]] = [
        ("direction", [run.direction.removesuffix("directional") for run in runs]),
        ("delay", [delay(run.delay_ms) for run in runs]),
        ("first result, after the first sample", [duration(run.first_result_ms) for run in runs]),
        *((heading, [duration(run.latency_ms[key]) for run in runs]) for heading, key in latency.items()),
        ("from a word's end to deciding on it, median", [duration(run.decided_ms["p50"]) for run in runs]),
        (
            "over the right ones of the words shown",
            [f"{run.counted} of {len(run.shown)}" if found.words else "–" for run in runs],
        ),
        ("final result, after the last sample", [duration(run.final_ms) for run in runs]),
        ("computing per second of audio", [duration(1e3 * run.real_time_factor) for run in runs]),
        ("state per stream", [size(run.state_bytes) for run in runs]),
        ("words wrong", ["–" if run.error_rate is None else f"{100 * run.error_rate:.1f} %" for run in runs]),
    ]
    for heading, values in rows:
        figures.add_row(f"[dim]{heading}[/]", *values)
    out.print(figures)
    if not found.words:
        out.print(f"[dim]Where words end in the recording is {escape(found.words_from)}.[/]")
        return
    early = any((run.latency_ms["p50"] or 0) < 0 or (run.decided_ms["p50"] or 0) < 0 for run in runs)
    out.print(
        f"[dim]Words end where they do in the recording, for every model the same: {escape(found.words_from)}."
        + (" Negative: before the word had ended." if early else "")
        + "[/]"
    )


def _show_lengths(found: Comparison) -> None:
    lengths = sorted({row.seconds for row in found.by_length})
    if not lengths:
        return
    out.print("\n[bold]From the last chunk to the final result[/], by the utterance's length")
    headings = tuple(f"{length:g} s" for length in lengths)
    listing = Table("", *headings, right=headings)
    for run in found.models:
        final = {row.seconds: row.final_ms for row in found.by_length if (row.name, row.wait) == (run.name, run.wait)}
        listing.add_row(escape(_called(run)), *(duration(final.get(length)) for length in lengths))
    out.print(listing)


def _show_errors(rows: Sequence[DelayRow]) -> None:
    if not rows:
        return
    words, recordings = rows[0].errors.symbols, len(rows[0].by_recording)
    out.print(
        f"\n[bold]Words wrong against delay[/], {words} words in {recordings} "
        f"recording{'s' if recordings > 1 else ''}"
    )
    columns = ("block", "look-ahead", "delay", "wrong", "rate", "95 % interval")
    listing = Table("model", *columns, right=columns)
    for row in rows:
        block, ahead = (f"{ms:g} ms" for ms in (row.wait.block_ms, row.wait.lookahead_ms)) if row.wait else "––"
        bounds = (
            "–" if row.interval is None else "{:.1f} to {:.1f} %".format(*(100 * bound for bound in row.interval))
        )
        wrong, rate = str(row.errors.total), f"{100 * row.errors.rate:.1f} %"
        listing.add_row(escape(row.name), block, ahead, delay(row.delay_ms), wrong, rate, bounds)
    out.print(listing)
