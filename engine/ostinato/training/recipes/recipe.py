"""What a recipe is: real data in, trained models out, by one command. A recipe is a package of its own here, and one
line in the table of them all."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, NamedTuple, Self, TypeAlias

from ostinato.errors import TrainingError
from ostinato.model.specification import Specification
from ostinato.training.corpora import corpus

Progress: TypeAlias = Callable[[str, int, int], None]
"""What is being done, how much of it is done, and of how much."""


def no_progress(what: str, done: int, total: int) -> None:
    """Say nothing."""


@dataclass(frozen=True)
class Option:
    """What makes a field of `Options` an option of the command, beside its type and default: what the help page says.

    ``least`` and ``most`` of a number; ``shown`` in place of the default; ``there``: a folder that must be there.
    """

    about: str
    metavar: str | None = None
    least: int | None = None
    most: int | None = None
    shown: str | None = None
    there: bool = False


MOST_STEPS = 10_000_000


@dataclass(frozen=True)
class Options:
    """What every recipe is asked. Recipes may add to it, and change defaults."""

    output: Annotated[Path, Option("Where the models go.", "DIR")] = Path("models")
    runs: Annotated[Path, Option("Where each model's run goes: log, curves, checkpoint.", "DIR")] = Path("runs")
    data: Annotated[Path | None, Option("Packages of corpora that you have; others are fetched.", "DIR")] = None
    only: Annotated[tuple[str, ...], Option("Only this one of its models: uni, bi, …", "NAME")] = ()
    quick: Annotated[bool, Option("A trial of minutes, little data, few steps: the models say so.")] = False
    steps: Annotated[
        int | None, Option("Batches that each model learns from.", "N", 1, MOST_STEPS, shown="the recipe's")
    ] = None
    resume: Annotated[bool, Option("Go on from the last checkpoint.")] = False
    seed: Annotated[int, Option("Of the first weights, order and dropout.", "N", 0, 2**31)] = 1
    workers: Annotated[
        int | None,
        Option("Threads that learn: numbers do not depend on it.", "N", 1, 1024, shown="one for each processor"),
    ] = None

    @classmethod
    def of(cls, *, quick: bool = False, **given: Any) -> Self:
        """Those of a command line. What ``quick`` means otherwise is a recipe's to say."""
        return cls(quick=quick, **given)

    def chosen(self, models: Sequence[str]) -> tuple[str, ...]:
        """Those of a recipe's models that are wanted. Raises TrainingError for one that it has not."""
        for name in self.only:
            if name not in models:
                raise TrainingError(f"there is no model {name!r} in this recipe: it has {', '.join(models)}")
        return tuple(name for name in models if not self.only or name in self.only)

    def corpus(self, name: str, progress: Progress) -> dict[str, Path]:
        """A corpus's files: where they are kept, else out of a package in the data folder, else downloaded. Raises
        PackageError."""
        found = corpus(name)
        archives = [] if self.data is None else sorted(path for path in self.data.iterdir() if path.is_file())
        return found.fetch(progress, [path for path in archives if found.is_of(path)])

    def named(self, model: Specification) -> Specification:
        """A model that a trial makes is called so."""
        return dataclasses.replace(model, name=f"{model.name}-quick") if self.quick else model


class Trained(NamedTuple):
    """The model files that were written, and whether learning was ended by KeyboardInterrupt in the last of them."""

    paths: list[Path]
    interrupted: bool


@dataclass(frozen=True)
class Telling:
    """How a recipe speaks: how far it is, what its user may want to know, and which files it could not use."""

    progress: Progress = no_progress
    note: Callable[[str], None] = lambda _: None
    left_out: Callable[[Path, Exception], None] | None = None


@dataclass(frozen=True)
class Recipe:
    """``about`` it: what the command's help page says, its first paragraph in short. ``train``: what it does with
    ``options``. ``corpora``: the names of the data sets that it learns from."""

    name: str
    about: str
    train: Callable[[Any, Telling], Trained]
    options: type[Options] = Options
    corpora: tuple[str, ...] = ()
