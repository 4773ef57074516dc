"""``ostinato train``: its commands and their options. What a command does is in the module that it imports."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ostinato.cli.usage import App

train = App(help="Train the bundled models anew.")


@train.command()
def digits(
    output: Annotated[Path, typer.Option(metavar="DIR", help="Where the models go.", file_okay=False)] = Path(
        "models"
    ),
    data: Annotated[
        Path, typer.Option(metavar="DIR", help="Where the training set is kept.", file_okay=False)
    ] = Path("data/digits"),
    quick: Annotated[
        bool, typer.Option("--quick", help="A trial of a minute: few voices, little data, few steps.")
    ] = False,
    steps: Annotated[
        int | None,
        typer.Option(
            metavar="N", min=1, max=10_000_000, help="Batches to learn from.", show_default="9000, quick: 150"
        ),
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on from the last checkpoint.")] = False,
    real: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="DIR",
            help="Unpacked packages of recordings to test on.",
            exists=True,
            file_okay=False,
        ),
    ] = None,
    fsdd: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="A clone of the Free Spoken Digit Dataset.", exists=True, file_okay=False),
    ] = None,
) -> None:
    """Train digits-uni and digits-bi on synthetic voices, and test them on real ones. Takes hours, --quick a minute.

    Ctrl-C while a model learns ends that: what it has learnt so far is tested and written. What was spoken and made
    before stays in the data folder, and the next run goes on with it; --resume goes on from the last checkpoint too.
    """
    from ostinato.cli.train import digits

    digits(output, data, quick, steps, resume, real or [], fsdd)
