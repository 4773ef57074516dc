"""Files of a run of learning, each whole or not at all: a crash, or a full disk, leaves none by half."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from safetensors import SafetensorError

from ostinato.errors import TrainingError


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A path to write to, of the same suffix, that takes the place of ``path`` at the end; not after an error.

    Raises TrainingError for what the disk refuses: what was at ``path`` before is still there.
    """
    part = path.with_name(f".{path.stem}.{os.getpid()}.part{path.suffix}")
    try:
        yield part
        with part.open("rb") as file:
            os.fsync(file.fileno())
        part.replace(path)
    except (OSError, SafetensorError) as error:
        why = getattr(error, "strerror", None) or str(error).rpartition("I/O error: ")[2].partition(" (os error")[0]
        kept = "; what it held before is kept" if path.exists() else ""
        raise TrainingError(
            f"{path} cannot be written: {why}{kept}. Make room, or see to its folder's permissions, then resume"
        ) from error
    finally:
        part.unlink(missing_ok=True)
