"""``ostinato train``: its commands and their options. What a command does is in the module that it imports."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from ostinato.cli.usage import App, Group


class _Configurations(Group):
    """A group in which the path of a configuration stands for the command that reads it."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """The command, and its arguments."""
        if args and args[0] not in self.commands and args[0].endswith(".toml"):
            args = [CONFIG, *args]
        return super().resolve_command(ctx, args)


CONFIG = "CONFIG.toml"

train = App(help="Train a model: your own, as a configuration says, or the bundled ones anew.", cls=_Configurations)


@train.command(CONFIG)
def own(
    config: Annotated[Path, typer.Argument(metavar="CONFIG", help="What to learn.", exists=True, dir_okay=False)],
    run: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="The run's folder.", file_okay=False, show_default="runs/NAME"),
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on from the run's checkpoint.")] = False,
) -> None:
    """Train your own model on your own frames with labels or numbers (docs/own-model.md).

    The run's folder gets the model with its card, log.jsonl, curves.png and a checkpoint. Ctrl-C ends learning after
    the step that runs, and the model has what was learnt so far; --resume goes on as if there had been no pause.
    """
    from ostinato.cli.train import own

    own(config, run, resume)


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
