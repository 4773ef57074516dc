"""Zip archives from elsewhere, within bounds: how many members there are, and how much they unpack to, is looked at
before anything is unpacked."""

from __future__ import annotations

import io
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ostinato.errors import PackageError

MAX_DIRECTORY_BYTES = 4 << 20
"""Of the list of members, whose entries become objects of ten times their size."""
HARMLESS, MOST_TIMES = 64 << 20, 100
"""Bytes that any archive may unpack to, and to how many times its size a larger one may: weights and texts shrink to
a tenth at best, what is made to fill a memory to a thousandth."""


@contextmanager
def opened(path: Path, most_bytes: int) -> Iterator[zipfile.ZipFile]:
    """The archive. Raises PackageError if it is none, is damaged, or would unpack to more than ``most_bytes``, or to
    far more than it is long; also for damage that shows while it is read."""
    try:
        with _Bounded(io.FileIO(path)) as file, zipfile.ZipFile(file) as archive:
            file.opening = False
            if (total := sum(info.file_size for info in archive.infolist())) > most_bytes:
                raise PackageError(
                    f"the archive says that it unpacks to {total} bytes, over the limit of {most_bytes}"
                )
            if total > max(HARMLESS, MOST_TIMES * path.stat().st_size):
                raise PackageError(f"the archive unpacks to {total} bytes, over {MOST_TIMES} times its size")
            yield archive
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, OSError, RuntimeError) as error:
        raise PackageError(f"the archive is damaged ({error}): copy or download it again") from error


def read(archive: zipfile.ZipFile, name: str, most_bytes: int | None = None) -> bytes:
    """A member, as long as the archive says. Raises PackageError if it is not there, or shorter, or longer than
    ``most_bytes``."""
    try:
        info = archive.getinfo(name)
    except KeyError as error:
        raise PackageError(f"the archive has no {name!r}: it is not whole") from error
    if most_bytes is not None and info.file_size > most_bytes:
        raise PackageError(f"{name!r} in the archive has {info.file_size} bytes, over the limit of {most_bytes}")
    data = archive.read(info)
    if len(data) != info.file_size:
        raise PackageError(f"{name!r} in the archive has {len(data)} bytes, not {info.file_size}: it is cut off")
    return data


class _Bounded(io.BufferedReader):
    """A file whose archive's list of members, which is read and decoded at once, is not too long."""

    opening = True

    def read(self, size: int | None = -1, /) -> bytes:
        """As any file; while the archive is opened, no more than its list may have."""
        if self.opening and (size or 0) > MAX_DIRECTORY_BYTES:
            raise PackageError(f"the archive's list of members has {size} bytes: at most {MAX_DIRECTORY_BYTES}")
        return super().read(size)
