"""``ostinato evaluate``: a model's errors on transcribed recordings."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import typer
from rich.markup import escape

from ostinato.cli.console import err, out, table
from ostinato.cli.files import check_writable, read_audio, transcript_beside, write_json
from ostinato.errors import InputError
from ostinato.model.specification import Ctc, LogMel
from ostinato.pipeline.score import edit_distance
from ostinato.streaming import load

if TYPE_CHECKING:
    from ostinato.streaming import Model

AUDIO = {".wav", ".flac", ".ogg", ".mp3"}


def evaluate(name: str, data: Path, folder: Path | None, json: Path | None) -> None:
    """Count substitutions, insertions and deletions of symbols, by the recordings' folders and in all."""
    check_writable(json)
    model = load(name, folders=[] if folder is None else [folder])
    specification = model.network.specification
    if not isinstance(specification.front_end, LogMel) or not isinstance(specification.decoder, Ctc):
        raise InputError(
            f"{model.name} does not transcribe audio: evaluate compares what was said with what is heard"
        )
    paths = [path for path in sorted(data.rglob("*")) if path.suffix.lower() in AUDIO]
    spoken = {path: text for path in paths if (text := transcript_beside(path)) is not None}
    if not spoken:
        raise typer.BadParameter(
            f"{data} has no recording with a .txt of the same name beside it", param_hint="--data"
        )
    counts: dict[str, list[int]] = defaultdict(lambda: [0, 0, 0])
    with err.status("…") as status:
        for done, (path, text) in enumerate(spoken.items(), 1):
            status.update(f"[dim]{done} of {len(spoken)} recordings[/]")
            count = counts[path.parent.relative_to(data).as_posix()]
            count[0] += 1
            count[1] += len(text.split())
            count[2] += edit_distance(text.split(), heard(model, path))
    everything = [sum(column) for column in zip(*counts.values(), strict=True)]
    listing = table(
        "folder", "recordings", "symbols", "errors", "rate", right=("recordings", "symbols", "errors", "rate")
    )
    rows = {folder: _figures(count) for folder, count in sorted(counts.items())}
    for heading, figures in (*rows.items(), ("all", _figures(everything))):
        recordings, symbols, errors, rate = figures.values()
        listing.add_row(escape(heading), str(recordings), str(symbols), str(errors), f"{rate:.1%}")
    out.print(listing)
    if missing := len(paths) - len(spoken):
        err.print(f"[dim]{missing} recordings without a .txt beside them were left out[/]")
    write_json(json, {"model": model.name, "all": _figures(everything), "by_folder": rows})


def heard(model: Model, path: Path) -> list[str]:
    """The symbols that the model hears in a recording."""
    samples, rate = read_audio(path)
    with model.stream(sample_rate=rate, max_utterance_s=max(60.0, np.ceil(len(samples) / rate) + 1)) as stream:
        events = [*stream.push(samples), *stream.flush()]
    return [event.text for event in events if event.kind == "symbol"]


def _figures(count: list[int]) -> dict[str, float]:
    recordings, symbols, errors = count
    return {
        "recordings": recordings,
        "symbols": symbols,
        "errors": errors,
        "error_rate": round(errors / max(1, symbols), 4),
    }
