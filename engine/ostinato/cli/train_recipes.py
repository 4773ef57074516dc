"""A command for each recipe, with the recipe's options."""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Iterator
from functools import cache
from inspect import Parameter, Signature
from pathlib import Path
from types import GenericAlias
from typing import Annotated, Any

import typer.main

from ostinato.cli.train import recipe as carry_out
from ostinato.cli.usage import App
from ostinato.training.recipes import RECIPES, Options, Recipe


@cache
def commands() -> dict[str, Any]:
    """The commands by name."""
    return {name: _command(recipe) for name, recipe in RECIPES.items()}


def _command(recipe: Recipe) -> Any:
    """A function of the recipe's options made a command, as typer does it by a function's signature."""

    def run(**given: Any) -> None:
        carry_out(
            recipe, {name: tuple(v) if isinstance(v, list) else v for name, v in given.items() if v is not None}
        )

    parameters = list(_parameters(recipe.options))
    run.__signature__ = Signature(parameters)  # type: ignore[attr-defined]  # typer reads both
    run.__annotations__ = {each.name: each.annotation for each in parameters}
    run.__doc__ = recipe.about
    app = App(add_completion=False)
    app.command(recipe.name)(run)
    return typer.main.get_command(app)


def _parameters(options: type[Options]) -> Iterator[Parameter]:
    defaults = {each.name: each.default for each in dataclasses.fields(options)}
    for name, hint in typing.get_type_hints(options, include_extras=True).items():
        kind, *said = typing.get_args(hint) if typing.get_origin(hint) is Annotated else (hint,)
        if not said:
            continue
        (option,), default = said, defaults[name]
        settings: dict[str, Any] = {"help": option.about, "metavar": option.metavar}
        if option.shown is not None:
            settings["show_default"] = option.shown
        if option.least is not None:
            settings |= {"min": option.least, "max": option.most}
        if Path in (kind, *typing.get_args(kind)):
            settings |= {"file_okay": False, "exists": option.there}
        if typing.get_origin(kind) is tuple:  # it may be repeated
            kind, default = GenericAlias(list, typing.get_args(kind)[0]) | None, None
        flag = [f"--{name}"] if kind is bool else []
        told: Any = Annotated  # mypy knows no annotation that is made at runtime
        hint = told[kind, typer.Option(*flag, **settings)]
        yield Parameter(name, Parameter.KEYWORD_ONLY, default=default, annotation=hint)
