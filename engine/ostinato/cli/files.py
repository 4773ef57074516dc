"""The recordings that commands read."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ostinato.errors import InputError

RECORDINGS = Path(str(files("ostinato"))) / "recordings"


def bundled_recording() -> Path:
    """The recording that ships with Ostinato."""
    return RECORDINGS / "phone-number.wav"


def read_audio(path: Path) -> tuple[npt.NDArray[np.float32], int]:
    """A recording as mono samples [n] in [-1, 1], its channels averaged, and its rate in Hz.

    Raises InputError for a file that is no audio or empty.
    """
    from ostinato_client import FileSource

    with FileSource(path) as source:
        samples = source.read()
        if not len(samples):
            raise InputError(f"{str(path)!r} is empty: record something into it, or name another file")
        return samples, source.sample_rate
