"""``ostinato import`` and ``ostinato verify``: models from elsewhere."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import typer
from rich.markup import escape

from ostinato.cli.console import count, err, note, out
from ostinato.cli.output_files import check_writable, write_json
from ostinato.importing import Imported, Settings, draft_settings, import_model
from ostinato.importing import verify as verify_model
from ostinato.model import read, resolve, write
from ostinato.model.file import SUFFIX
from ostinato_bench.terminal import Table


def import_file(
    what: str,
    output: Path | None,
    settings: Path | None,
    name: str | None,
    fixed: Sequence[str],
    expect: Path | None,
    json: Path | None,
) -> None:
    """Write the model of a foreign file, and show what was decided and how equal it is."""
    if output is not None:
        check_writable(output, (SUFFIX,))
    check_writable(json)
    wanted = _settings(settings, name, fixed)
    with err.status("[dim]reading, and comparing with the source[/]"):
        imported = import_model(what, wanted, expect=expect)
    target = output or Path(f"{imported.network.specification.name}{SUFFIX}")
    if output is None:
        check_writable(target, (SUFFIX,))
    write(target, imported.network)
    figures = _figures(imported, target)
    write_json(json, figures)
    out.print(_report(imported))
    note(f"written: {target}. Try: ostinato inspect {target}")


def print_draft(path: str) -> None:
    """Print settings to begin with, for a file of arrays."""
    print(draft_settings(path), end="", flush=True)


def verify(
    model: str, against: str | None, folder: Path | None, settings: Path | None, fixed: Sequence[str],
    expect: Path | None,
) -> None:  # fmt: skip
    """Compare a model with the file that it was imported from, or with what was recorded."""
    if against is None and expect is None:
        raise typer.BadParameter("say what to compare with: --against FILE, or --expect FILE", param_hint="--against")
    network = read(resolve(model, [] if folder is None else [folder]))
    with err.status("[dim]comparing with the source[/]"):
        parity = verify_model(network, against, _settings(settings, None, fixed), expect=expect)
    out.print(f"{network.specification.name}: {parity}")


def _settings(path: Path | None, name: str | None, fixed: Sequence[str]) -> Settings:
    """Those of the file, and what the command line says on top of it."""
    made = Settings() if path is None else Settings.of(path)
    values, shapes = dict(made.fixed), dict(made.more.get("shapes", {}))
    for each in fixed:
        key, sign, value = each.partition("=")
        if re.fullmatch(r"\d+(x\d+)+", value):
            shapes[key] = [int(size) for size in value.split("x")]
            continue
        try:
            values[key] = float(value) if "." in value or "e" in value.lower() else int(value)
        except ValueError:
            sign = ""
        if not sign:
            raise typer.BadParameter(
                f"{each!r} is no NAME=NUMBER, such as sr=16000, or NAME=SIZES, such as x=1x576", param_hint="--set"
            )
    more = dict(made.more) | ({"shapes": shapes} if shapes else {})
    return dataclasses.replace(made, name=name or made.name, fixed=values, more=more)


def _figures(imported: Imported, target: Path) -> dict[str, Any]:
    return {
        "model": imported.network.specification.name,
        "file": str(target),
        "origin": imported.origin,
        "decisions": [decision._asdict() for decision in imported.decisions],
        "parity": dataclasses.asdict(imported.parity),
    }


def _report(imported: Imported) -> Table:
    """What a person should check."""
    network = imported.network
    title = f"{network.specification.name}, imported from {imported.origin}"
    table = Table("fact", "value", title=title, prose=("value",), headings=False)
    for decision in imported.decisions:
        table.add_row(escape(decision.subject), escape(decision.text))
    table.add_row("weights", count(network.size))
    table.add_row("parity", escape(str(imported.parity)))
    return table
