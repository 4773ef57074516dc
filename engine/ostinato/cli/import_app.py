"""``ostinato import`` and ``ostinato verify``: their options. What they do is in the module that they import."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ostinato.cli.options import Json, ModelArgument, ModelsFolder

_Settings = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help="A TOML file: what the model's own file does not say (name, front end, labels, …; docs/import.md).",
        exists=True,
        dir_okay=False,
    ),
]
_Fixed = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="NAME=VALUE",
        help="What an input of a graph always is (sr=16000), or the sizes of one that leaves them open (x=1x576).",
    ),
]


_Expect = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help="Compare with these recorded numbers: an .npz with inputs and outputs.",
        exists=True,
        dir_okay=False,
    ),
]


def import_(
    file: Annotated[
        str,
        typer.Argument(
            metavar="FILE", help="A trained model: what it is is found by its content. Or a well-known one's name."
        ),
    ],
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="MODEL", help="Where to write it.", show_default="NAME.safetensors"),
    ] = None,
    settings: _Settings = None,
    name: Annotated[str | None, typer.Option(metavar="NAME", help="What to call the model.")] = None,
    set_: _Fixed = None,
    expect: _Expect = None,
    draft: Annotated[
        bool,
        typer.Option("--draft", help="Import nothing; print settings to begin with, made of the arrays' names."),
    ] = False,
    json: Json = None,
) -> None:
    """Make a model of a file from elsewhere, and compare its outputs with those that it had there."""
    from ostinato.cli.importing import import_file, print_draft

    if draft:
        return print_draft(file)
    import_file(file, output, settings, name, set_ or [], expect, json)


def verify(
    model: ModelArgument,
    against: Annotated[
        str | None, typer.Option(metavar="FILE", help="The file, or well-known model, that it was imported from.")
    ] = None,
    folder: ModelsFolder = None,
    settings: _Settings = None,
    set_: _Fixed = None,
    expect: _Expect = None,
) -> None:
    """Compare an imported model with the file that it came from, or with recorded numbers, once more."""
    from ostinato.cli.importing import verify

    verify(model, against, folder, settings, set_ or [], expect)
