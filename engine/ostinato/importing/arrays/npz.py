"""NumPy's .npz: a zip archive of .npy files."""

from __future__ import annotations

import io
import math
import zipfile
from pathlib import Path

import numpy as np

from ostinato.errors import ForeignModelError
from ostinato.importing import archives
from ostinato.importing.arrays.contents import Contents, Stored
from ostinato.importing.arrays.nodes import draft_of
from ostinato.importing.arrays.sketch import sketch
from ostinato.importing.draft import Draft
from ostinato.importing.settings import Settings
from ostinato.packages import zips

_HEADER = 10_000
"""Characters of a .npy header, at most: NumPy's own bound."""
_SUFFIX = ".npy"


def draft(path: Path, settings: Settings) -> Draft:
    """What becomes of the file."""
    return draft_of(read(path), settings, path)


def settings_for(path: Path) -> str:
    """Settings to begin with, as TOML."""
    return sketch(read(path), path)


def read(path: Path) -> Contents:
    """Its arrays. Raises ForeignModelError naming the first that is none."""
    with archives.opened(path) as archive:
        members = [info for info in archive.infolist() if info.filename.endswith(_SUFFIX)]
        return Contents({info.filename.removesuffix(_SUFFIX): _array(archive, info) for info in members})


def _array(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> Stored:
    """An array, whose header must say as many bytes as the archive has for it."""
    name = info.filename.removesuffix(_SUFFIX)
    data = zips.read(archive, info.filename)
    file = io.BytesIO(data)
    try:
        version = np.lib.format.read_magic(file)
        reader = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, fortran, dtype = reader(file, max_header_size=_HEADER)
    except (ValueError, EOFError) as error:
        why = str(error).splitlines()[0]  # what follows is NumPy's advice to trust the file
        raise ForeignModelError(f"array {name!r} is damaged: {why}") from error
    if dtype.hasobject:
        raise ForeignModelError(f"array {name!r} holds Python objects, which could run code: save numbers")
    if math.prod(shape) * dtype.itemsize != len(data) - file.tell():
        raise ForeignModelError(f"array {name!r} is cut off: it should be {list(shape)} of {dtype}")
    array = np.frombuffer(data, dtype, offset=file.tell()).reshape(shape, order="F" if fortran else "C")
    return Stored(dtype.name, array)
