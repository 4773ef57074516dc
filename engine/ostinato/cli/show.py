"""``ostinato models`` and ``ostinato inspect``: what models there are, and what one is."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.markup import escape

from ostinato.cli import graph, graph_picture
from ostinato.cli.console import delay, note, out, size
from ostinato.cli.output_files import check_picture, print_json, write_picture
from ostinato.cli.prose import laid_out
from ostinato.errors import BadModelFileError
from ostinato.model import bundled
from ostinato.model.decoders import AudioOutput
from ostinato.model.front_ends import Audio, FrontEnd, Tokens
from ostinato.model.specification import Head, Specification
from ostinato.streaming import load
from ostinato_bench.terminal import Table

if TYPE_CHECKING:
    from ostinato.streaming import Model


def folders(folder: Path | None) -> list[Path]:
    """The folders to look for models in, beside the package's."""
    return [] if folder is None else [folder]


def show_models(folder: Path | None, as_json: bool) -> None:
    """One line per model; a file that is no model says so in its line."""
    found = bundled.available(folders(folder), told=note)
    if as_json:
        print_json([_listed(name, path) for name, path in found.items()], indent=2)
        return
    if not found:
        out.print("There are no models here: train some with [bold]ostinato train digits[/].")
        return
    columns = ("model", "direction", "delay", "input", "heads", "weights", "state", "about")
    rows: list[tuple[str, ...]] = []
    several = False
    broken: list[str] = []
    for name, path in found.items():
        try:
            model = load(path)
        except BadModelFileError as error:
            rows.append((escape(name), "[red]unusable[/]"))
            broken.append(str(error))
            continue
        specification = model.network.specification
        several = several or len(specification.heads) > 1
        rows.append(
            (
                f"[bold]{escape(name)}[/]",
                specification.direction,
                delay(model.delay.ms),
                _input(specification),
                ", ".join(head.name for head in specification.heads),
                f"{model.network.size:,}" + " int8" * (specification.precision == "int8"),
                size(model.state_bytes),
                escape(specification.description),
            )
        )
    shown = [number for number, column in enumerate(columns) if several or column != "heads"]
    listing = Table(*(columns[number] for number in shown), right=("weights", "state"))
    for row in rows:
        listing.add_row(*(row[number] for number in shown if number < len(row)))
    out.print(listing)
    for why in broken:
        out.print(f"[red]{escape(why)}[/]")


def _listed(name: str, path: Path) -> dict[str, Any]:
    try:
        return {"name": name, **_described(path, load(path))}
    except BadModelFileError as error:
        return {"name": name, "file": str(path), "unusable": str(error)}


def _described(path: Path, model: Model) -> dict[str, Any]:
    """What a program may want to know of a model; ``delay_ms`` null: the utterance."""
    specification = model.network.specification
    front = specification.front_end
    return {
        "file": str(path),
        "description": specification.description,
        "licence": specification.licence,
        "digest": model.network.digest,
        "direction": model.direction,
        "delay_ms": model.delay.ms,
        "front_end": front.kind,
        "sample_rate": front.sample_rate if isinstance(front, Audio) else None,
        "frame": {"size": front.frame_size, "ms": front.frame_ms},
        "weights": model.network.size,
        "weight_bytes": model.network.nbytes,
        "precision": specification.precision,
        "state_bytes": model.state_bytes,
        "heads": [
            {
                "name": head.name,
                "node": head.node,
                "decoder": head.decoder.kind,
                "size": specification.wires[head.node].size,
                "delay_ms": model.delay_of(head.name).ms,
                "sample_rate": model.heads.all[head.name].decoder.sample_rate,
                "delay_cause": specification.delay_cause(head) or None,
                "symbols": _names(head),
            }
            for head in specification.heads
        ],
    }


def show_model(name: str, folder: Path | None, as_json: bool, plot: Path | None) -> None:
    """Everything about one model; ``plot``: a file for a picture of its graph."""
    check_picture(plot)
    path = bundled.resolve(name, folders(folder))
    model = load(path)
    write_picture(plot, lambda file: graph_picture.draw(model.network.specification, file))
    if as_json:
        specification = json.loads(model.network.specification.to_json())
        drawn = graph.described(model.network.specification)
        print_json({"name": model.name, **_described(path, model), **drawn, "specification": specification}, indent=2)
        return
    specification = model.network.specification
    out.print(f"[bold]{escape(specification.name)}[/]  {escape(specification.description)}".rstrip())
    out.print(_facts(path, model))
    out.print()
    out.print(graph.table(graph.vertices(specification)))
    for heading, text in specification.card.items():
        out.print(f"\n[bold]{escape(heading)}[/]")
        out.print(laid_out(text))


def _facts(path: Path, model: Model) -> Table:
    specification = model.network.specification
    facts = Table("fact", "value", prose=("value",), headings=False)
    for name, value in (
        ("file", f"{path} ({size(path.stat().st_size)})"),
        ("input", _input(specification)),
        (
            "front end",
            graph.settings(
                (specification.encoder or specification).front_end, ("size", "hop"), ("sample_rate", "vocabulary")
            ),
        ),
        ("frame", _frame(specification)),
        ("direction", specification.direction),
        ("delay", _delay(model)),
        ("state", f"{size(model.state_bytes)} per stream"),
        ("weights", f"{model.network.size:,}, {size(model.network.nbytes)}"),
        ("precision", specification.precision),
        *_heads(model),
        ("licence", specification.licence or "not stated"),
        ("digest", model.network.digest[:16]),
    ):
        facts.add_row(f"[dim]{name}[/]", escape(value))
    return facts


def _input(specification: Specification) -> str:
    """What is pushed; and what becomes of it, if that is another sequence."""
    if specification.encoder is not None:
        return f"{_taken(specification.encoder.front_end)}; {_taken(specification.front_end)} out"
    return _taken(specification.front_end)


def _taken(front: FrontEnd) -> str:
    if isinstance(front, Audio):
        return f"audio, {front.sample_rate / 1000:g} kHz"
    if isinstance(front, Tokens):
        return f"text, {len(front.vocabulary):,} {front.unit}s"
    return f"frames of {front.frame_size} values"


def _frame(specification: Specification) -> str:
    front = (specification.encoder or specification).front_end
    return f"{front.frame_size} value{'s' * (front.frame_size > 1)}, {graph.pace(front.frame_ms)}"


def _delay(model: Model) -> str:
    """The delay and the node that causes it; that of each head, if they differ."""
    specification = model.network.specification
    told = {}
    for head in specification.heads:
        cause = specification.delay_cause(head)
        told[head.name] = delay(model.delay_of(head.name).ms) + (f", because of {cause}" if cause else "")
    if len(set(told.values())) == 1:
        return next(iter(told.values()))
    return "; ".join(f"{name} {each}" for name, each in told.items())


def _heads(model: Model) -> list[tuple[str, str]]:
    """What each head says: the decoder of the only one, or of each by its name."""
    specification = model.network.specification
    if len(specification.heads) == 1:
        return [("decoder", _decoder(model, specification.heads[0]))]
    return [(f"head {head.name}", _decoder(model, head)) for head in specification.heads]


def _decoder(model: Model, head: Head) -> str:
    names, rate = _names(head), model.heads.all[head.name].decoder.sample_rate
    if names:
        return f"{head.decoder.kind}: {' '.join(names[:24])}{' …' if len(names) > 24 else ''}"
    told = graph.settings(head.decoder, never=("block",))
    if isinstance(head.decoder, AudioOutput) and rate is not None:
        told += f", {rate / 1000:g} kHz, {head.decoder.block_size} samples an event"
    return told


def _names(head: Head) -> list[str]:
    """Of what the head can recognise."""
    return [name for name in head.decoder.names if name]
