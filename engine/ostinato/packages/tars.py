"""Tar archives from elsewhere, read from the beginning to the end, within bounds. Links and devices are never made:
members are read, and only regular files have contents."""

from __future__ import annotations

import lzma
import tarfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Any

from ostinato.errors import PackageError

MAX_BYTES = 1 << 30
"""That come out of what the archive is packed in."""
MAX_NAME_BYTES = 1 << 16
"""Of a member that is about the next one, such as a long name: tarfile reads those whole."""


@contextmanager
def opened(plain: Any) -> Iterator[tarfile.TarFile]:
    """The archive in a file that is unpacked as it is read. Raises PackageError if it is none, is damaged or too
    long; also for damage that shows while it is read."""
    try:
        with _Tar.open(fileobj=_Bounded(plain), mode="r|") as archive:  # type: ignore[call-overload] # only read is called
            yield archive
    except (tarfile.TarError, zlib.error, lzma.LZMAError, EOFError, OSError, ValueError) as error:
        raise PackageError(f"the archive is damaged ({error}): copy or download it again") from error


def contents(archive: tarfile.TarFile, info: tarfile.TarInfo) -> IO[bytes]:
    """The bytes of a regular file."""
    found = archive.extractfile(info)
    assert found is not None, "only regular files are read"
    return found


class _Bounded:
    """A file of which no more than `MAX_BYTES` are read."""

    def __init__(self, file: Any) -> None:
        self._file, self._left = file, MAX_BYTES

    def read(self, size: int) -> bytes:
        data: bytes = self._file.read(size) or b""
        self._left -= len(data)
        if self._left < 0:
            raise PackageError(f"the archive unpacks to over {MAX_BYTES:,} bytes: it is no such package")
        return data


class _Info(tarfile.TarInfo):
    """A header, refused where what it is about would be read whole and is too long."""

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> _Info:
        """As TarInfo's. Raises PackageError."""
        info = super().frombuf(buf, encoding, errors)
        if not info.isreg() and info.size > MAX_NAME_BYTES:
            raise PackageError(f"the archive has a name of {info.size} bytes: it is no such package")
        return info


class _Tar(tarfile.TarFile):
    """An archive with such headers."""

    tarinfo = _Info
