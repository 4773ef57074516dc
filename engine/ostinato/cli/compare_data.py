"""``ostinato compare`` on a user's own data: what waiting buys for models of frames or tokens, and what it costs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rich.markup import escape

from ostinato.cli.console import duration, err, out, plural, size
from ostinato.cli.output_files import write_json, write_picture
from ostinato.cli.own_data import LeavingOut, data_files
from ostinato.streaming import Model
from ostinato_bench.conclusions import delay_told
from ostinato_bench.data_comparison import DataComparison, WayRow, compare, ways_of
from ostinato_bench.data_picture import draw
from ostinato_bench.scores import LabelScore, NumberScore
from ostinato_bench.terminal import Table


def compare_data(
    models: Sequence[Model],
    data: Path,
    head: str | None,
    block_ms: float | None,
    lookaheads_ms: Sequence[float] | None,
    json: Path | None,
    plot: Path | None,
) -> None:
    """Measure the models on the data; print tables, and write what was asked for. Ends with 1 if files were left
    out."""
    paths = data_files(models[0], data)
    left_out = LeavingOut(data)
    with err.status("…") as status:
        found = compare(
            ways_of(models, head, block_ms, lookaheads_ms), data.name, paths, left_out,
            lambda doing: status.update(f"[dim]{escape(doing)}[/]"),
        )  # fmt: skip
    if found is not None:
        write_json(json, found.as_dict() | {"left_out": left_out.as_dict()})
        write_picture(plot, lambda path: draw(found, path))
        show(found)
    left_out.finish(len(paths))


def show(found: DataComparison) -> None:
    """The table, and what it says in words."""
    score = found.score
    pace = "" if found.frame_ms is None else f", one every {found.frame_ms:g} ms"
    much = f"{plural(score.count, score.unit)}{pace}, in {plural(score.utterances, 'utterance')}"
    out.print(f"[bold]{escape(found.name)}[/], {much}")
    right = ("block", "look-ahead", "delay", *_headings(score), "a frame", "an answer, p99", "of real time")
    listing = Table("model", *right, "state", right=(*right, "state"))
    for row in found.rows:
        waits = [_span(ms, row.tokens) for ms in (row.wait.block_ms, row.wait.lookahead_ms)] if row.wait else ["", ""]
        listing.add_row(
            escape(row.name),
            *waits,
            delay_told(row),
            *_right(row),
            f"{row.timing.frame_us:.3g} µs",
            _brief(row.timing.answer_ms["p99"]),
            "–" if row.real_time_factor is None else f"{row.real_time_factor:.2g}",
            size(row.way.model.state_bytes),
        )
    out.print(listing)
    unit = "token" if found.frame_ms is None else "frame"
    out.print(
        f"[dim]a frame: computing for each {unit}, fed one at a time on one core; an answer: computing from the "
        f"{unit}, or the end, that completes it; one waits for the delay besides[/]"
    )
    for sentence in found.conclusions:
        out.print(f"\n{escape(sentence)}")


def _headings(score: object) -> tuple[str, ...]:
    if isinstance(score, LabelScore):
        return "wrong", "accuracy", "95 %"
    return "mean squared error", "95 %", "mean absolute error"


def _right(row: WayRow) -> tuple[str, ...]:
    score = row.score
    if isinstance(score, LabelScore):
        bounds = score.right_interval
        shown = "–" if bounds is None else "{:.1f} to {:.1f} %".format(*(100 * bound for bound in bounds))
        return f"{score.wrong:,}", f"{100 * (1 - score.error):.1f} %", shown
    assert isinstance(score, NumberScore)
    return f"{score.error:.4g}", score.bounds_told, f"{score.absolute:.4g}"


def _brief(ms: float | None) -> str:
    """A short time, for people."""
    return duration(ms) if ms is None or ms >= 1 else f"{1e3 * ms:.3g} µs"


def _span(ms: float, tokens: bool) -> str:
    return plural(round(ms), "token") if tokens else f"{ms:g} ms"
