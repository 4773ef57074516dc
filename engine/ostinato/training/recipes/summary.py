"""MODELS.md: what the cards of a folder's models say, for people."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from ostinato.errors import ModelError
from ostinato.model import file as model_file
from ostinato.model.specification import Specification

NAME = "MODELS.md"


def write(folder: Path, left_out: Callable[[Path, Exception], None] | None = None) -> None:
    """Write it anew, of all models in the folder; ``left_out`` is told of a file that is none."""
    parts = ["# Models\n\nMade by `ostinato train`. Each model file holds the same text (`ostinato inspect`).\n"]
    for path in sorted(folder.glob("*.safetensors")):
        try:
            parts += _section(model_file.read(path).specification)
        except (ModelError, OSError) as error:
            if left_out is not None:
                left_out(path, error)
    (folder / NAME).write_text("\n".join(parts), encoding="utf-8")


def _section(model: Specification) -> list[str]:
    first = f"## {model.name}\n\n{model.description}. Licence: {model.licence}.\n"
    return [first, *(f"**{heading.capitalize()}.** {text}\n" for heading, text in model.card.items())]
