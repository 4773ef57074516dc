"""``ostinato evaluate``: a model's errors on transcribed recordings."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

from rich.markup import escape

from ostinato.cli.console import err, out
from ostinato.cli.files import read_audio, transcribed
from ostinato.cli.outputs import check_writable, write_json
from ostinato.errors import InputError
from ostinato.pipeline.score import edit_distance
from ostinato.streaming import load
from ostinato_bench.comparison import Wait, wait_as_dict
from ostinato_bench.terminal import Table
from ostinato_bench.tradeoff import heard, transcribes


def evaluate(name: str, data: Path, folder: Path | None, json: Path | None, wait: Wait | None) -> None:
    """Count substitutions, insertions and deletions of symbols, by the recordings' folders and in all; with bounded
    ``wait``, if that is given."""
    check_writable(json)
    model = load(name, folders=[] if folder is None else [folder])
    if not transcribes(model):
        raise InputError(
            f"{model.name} does not transcribe audio: evaluate compares what was said with what is heard"
        )
    spoken, missing = transcribed(data)
    counts: dict[str, list[int]] = defaultdict(lambda: [0, 0, 0])
    with err.status("…") as status:
        for done, (path, text) in enumerate(spoken.items(), 1):
            status.update(f"[dim]{done} of {len(spoken)} recordings[/]")
            count = counts[path.parent.relative_to(data).as_posix()]
            count[0] += 1
            count[1] += len(text.split())
            count[2] += edit_distance(text.split(), heard(model, *read_audio(path), wait))
    everything = [sum(column) for column in zip(*counts.values(), strict=True)]
    listing = Table(
        "folder", "recordings", "symbols", "errors", "rate", right=("recordings", "symbols", "errors", "rate")
    )
    rows = {folder: _figures(count) for folder, count in sorted(counts.items())}
    write_json(json, {"model": model.name, **wait_as_dict(wait), "all": _figures(everything), "by_folder": rows})
    for heading, figures in (*rows.items(), ("all", _figures(everything))):
        recordings, symbols, errors, rate = figures.values()
        listing.add_row(escape(heading), str(recordings), str(symbols), str(errors), f"{rate:.1%}")
    out.print(listing)
    if missing:
        err.print(f"[dim]{missing} recordings without a .txt beside them were left out[/]")


def _figures(count: list[int]) -> dict[str, float]:
    recordings, symbols, errors = count
    return {
        "recordings": recordings,
        "symbols": symbols,
        "errors": errors,
        "error_rate": round(errors / max(1, symbols), 4),
    }
