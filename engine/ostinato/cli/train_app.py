"""``ostinato train``: its commands and their options. What a command does is in the module that it imports."""

from __future__ import annotations

from collections.abc import MutableMapping
from pathlib import Path
from typing import Annotated, Any

import typer

from ostinato.cli.usage import App, Group


class _Trainings(Group):
    """A group in which the path of a configuration stands for the command that reads it, with a command for each
    recipe. Recipes are loaded once their names are asked for: with all that learns they take most of a second."""

    own: MutableMapping[str, Any]

    @property
    def commands(self) -> MutableMapping[str, Any]:
        """By name; those that are not recipes first."""
        from ostinato.cli.train_recipes import commands

        return {**self.own, **commands()}

    @commands.setter
    def commands(self, own: MutableMapping[str, Any]) -> None:
        self.own = own

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """The command, and its arguments."""
        if args and args[0].endswith(".toml"):
            args = [CONFIG, *args]
        return super().resolve_command(ctx, args)


CONFIG = "CONFIG.toml"

train = App(help="Train a model: your own, as a configuration says, or a recipe's.", cls=_Trainings)


@train.command(CONFIG)
def own(
    config: Annotated[Path, typer.Argument(metavar="CONFIG", help="What to learn.", exists=True, dir_okay=False)],
    run: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="The run's folder.", file_okay=False, show_default="runs/NAME"),
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on from the run's checkpoint.")] = False,
) -> None:
    """Train your own model on your own frames, texts or recordings (docs/own-model.md).

    Frames have labels or numbers, texts have labels, other texts or nothing, recordings (WAV) have transcripts.

    The run's folder gets the model with its card, log.jsonl, curves.png and a checkpoint. Ctrl-C ends learning after
    the step that runs, and the model has what was learnt so far; --resume goes on as if there had been no pause.
    """
    from ostinato.cli.train import own

    own(config, run, resume)
