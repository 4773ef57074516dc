"""HDF5 files from strangers, read by a process of their own (`extract`)."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError, safe_open

from ostinato.errors import ForeignModelError

Array = npt.NDArray[np.float32]

PROGRAM = Path(__file__).with_name("extract.py")
LONGEST_S = 60.0
"""A gigabyte takes some seconds; a damaged file may take forever."""
REFUSED = 3


class Contents(NamedTuple):
    """A file's ``arrays`` by their paths; the paths of ``others``, which are no numbers; its ``texts``; and the lists
    of names that groups have, by their paths."""

    arrays: dict[str, Array]
    others: list[str]
    texts: dict[str, str]
    lists: dict[str, list[str]]


def read(path: Path) -> Contents:
    """What lies in the file. Raises ForeignModelError for what is damaged, leads out of the file or is too large."""
    with tempfile.TemporaryDirectory(prefix="ostinato-") as folder:
        result = Path(folder) / "contents.safetensors"
        command = [sys.executable, "-I", str(PROGRAM), str(path), str(result)]
        try:
            done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=LONGEST_S)
        except subprocess.TimeoutExpired as error:
            raise ForeignModelError(f"reading it takes over {LONGEST_S:g} s: it is damaged") from error
        said = done.stderr.decode(errors="replace").strip()
        if done.returncode == REFUSED:
            raise ForeignModelError(said)
        if "No module named 'h5py'" in said:
            raise ForeignModelError("h5py is needed to read it: pip install h5py")
        if done.returncode:
            raise ForeignModelError(f"HDF5's library failed at it (exit code {done.returncode}): it is damaged")
        return _contents(result)


def _contents(result: Path) -> Contents:
    try:
        with safe_open(result, "numpy") as file:
            about: dict[str, Any] = {key: json.loads(value) for key, value in file.metadata().items()}
            return Contents({key: file.get_tensor(key) for key in file.keys()}, **about)  # noqa: SIM118  no mapping
    except (SafetensorError, OSError, ValueError) as error:
        raise ForeignModelError(f"HDF5's library gave something else ({error}): it is damaged") from error
