"""How models are called."""

from __future__ import annotations

import os
from pathlib import Path

from ostinato.model.file import SUFFIX


def served_name(name_or_path: str | os.PathLike[str]) -> str:
    """Under which name a server has a model: a file's is its own, without folder and suffix."""
    return Path(name_or_path).name.removesuffix(SUFFIX)
