"""Files of an archive, placed into a folder: whole or not at all, and within bounds."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import IO

from ostinato.errors import PackageError

MAX_BYTES = 256 << 20
"""Of what is unpacked of a package."""
MAX_FILES = 20_000
_PIECE = 1 << 20
_PART = "part-"
_FORGOTTEN_S = 24 * 3600

Take = Callable[[str, int, IO[bytes]], None]
"""Called with the path of a member, its size and its contents."""


@contextmanager
def reserved(folder: Path) -> Iterator[Path]:
    """A new folder within ``folder``, gone afterwards; those that processes left, which were killed, go too. Raises
    PackageError if nothing can be written there."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for left in folder.glob(f"{_PART}*"):
            if time.time() - left.stat().st_mtime > _FORGOTTEN_S:
                shutil.rmtree(left, ignore_errors=True)
        part = Path(tempfile.mkdtemp(prefix=_PART, dir=folder))
    except OSError as error:
        raise _unwritten(folder, error) from error
    try:
        yield part
    finally:
        shutil.rmtree(part, ignore_errors=True)


class Placing:
    """Writes members into a folder, as long as they say they are. ``placed``: where they are, by their paths."""

    def __init__(self, folder: Path) -> None:
        self.placed: dict[str, Path] = {}
        self._folder = folder
        self._left = MAX_BYTES

    def take(self, path: str, size: int, contents: IO[bytes]) -> None:
        """Write a member. Raises PackageError if it leaves the folder, is too large or cut off, or cannot be
        written."""
        parts = PurePosixPath(path).parts
        if not parts or ".." in parts or parts[0] == "/":
            raise PackageError(f"{path!r} in the archive leads out of it: it is no such package")
        if size > self._left or len(self.placed) >= MAX_FILES:
            raise PackageError(f"it unpacks to over {MAX_BYTES} bytes or {MAX_FILES} files: it is another package")
        self._left -= size
        target = self._folder.joinpath(*parts)
        with _written(target) as file:
            left = size
            while left and (piece := contents.read(min(left, _PIECE))):
                left -= len(piece)
                file(piece)
        if left:
            raise PackageError(f"{path!r} in the archive is cut off, {left} of {size} bytes are missing: get it anew")
        self.placed[path] = target


def whole(place: Path, target: Path) -> Path:
    """``target``, once it is what was at ``place``, on the same disk. Raises PackageError."""
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        return place.replace(target)
    except OSError as error:
        raise _unwritten(target, error) from error


@contextmanager
def _written(target: Path) -> Iterator[Callable[[bytes], None]]:
    """A function that writes into a new file; what goes wrong as it does is told apart from what is read."""
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        file = target.open("wb")
    except OSError as error:
        raise _unwritten(target, error) from error

    def write(piece: bytes) -> None:
        try:
            file.write(piece)
            file.flush()
        except OSError as error:
            raise _unwritten(target, error) from error

    try:
        yield write
    finally:
        file.close()


def _unwritten(path: Path, error: OSError) -> PackageError:
    return PackageError(
        f"{path} cannot be written: {error.strerror or error}. Make room, or set XDG_CACHE_HOME to another folder"
    )
