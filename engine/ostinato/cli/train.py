"""``ostinato train``: configurations and recipes, with progress."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import typer

from ostinato.cli.console import err, note
from ostinato.cli.files import read_audio
from ostinato.cli.output_files import check_folder
from ostinato.cli.prose import laid_out
from ostinato.cli.recordings import LeftOut
from ostinato.cli.steps import Steps
from ostinato.model import file as model_file
from ostinato.training.own.config import Config
from ostinato.training.own.run import run
from ostinato.training.recipes import Recipe, Telling


def recipe(recipe: Recipe, given: Mapping[str, Any]) -> None:
    """Carry out a recipe, with those of its options that were given, and write its models, with their cards."""
    options = recipe.options.of(**given)
    for folder in (options.output, options.runs, options.data):
        if folder is not None:
            check_folder(folder)
    left_out = LeftOut()
    with Steps() as report:
        trained = recipe.train(options, Telling(report, note, left_out.add))
    for path in trained.paths:
        _written(path, model_file.read(path).specification.card)
    if trained.interrupted:
        note("interrupted: the last of these has what it had learnt so far, as its card says")
        raise typer.Exit(130)
    left_out.finish()


def own(config: Path, folder: Path | None, resume: bool) -> None:
    """Learn as ``config`` says, and write the model into its run's folder."""
    folder = folder or Path("runs") / Config.of(config).name
    if folder.exists() or not resume:  # else there is nothing to resume, and nothing is to be made
        check_folder(folder)
    made = run(config, folder, resume, err, read_audio)
    _written(made.path, made.card)
    if made.history.interrupted:
        note("interrupted: --resume goes on from here, to the same numbers as without the pause")
        raise typer.Exit(130)


def _written(path: Path, card: Mapping[str, str]) -> None:
    note(f"written: {path}")
    err.print(laid_out(card["accuracy"], "dim"))
