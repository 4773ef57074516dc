"""Packages of Debian, as apt-get gets them: an ar archive of small files and of data.tar, which is read and never
installed."""

from __future__ import annotations

import gzip
import io
import shutil
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from ostinato.errors import PackageError
from ostinato.packages import tars
from ostinato.packages.download import download
from ostinato.packages.package import Package, Progress
from ostinato.packages.placing import Take
from ostinato.packages.xz import Xz

_MAGIC = b"!<arch>\n"
_HEADER = 60
_MOST_MEMBERS = 16
_OPENERS: dict[str, Callable[[io.RawIOBase], Any]] = {
    "data.tar.xz": Xz,
    "data.tar.gz": lambda part: gzip.GzipFile(fileobj=part),
    "data.tar": io.BufferedReader,
}


@dataclass(frozen=True)
class Deb(Package):
    """Downloaded in the version that the system's sources have, which need not be ``version``: it is the files that
    must be the same."""

    @property
    def requirement(self) -> str:
        """The package, and the version that it was tried with."""
        return f"{self.name} {self.version} (Debian)"

    def download(self, folder: Path, progress: Progress) -> Path:
        """As `Package.download`."""
        cure = (
            f"get the .deb on a machine with Debian and network, by 'apt-get download {self.name}' after 'apt-get "
            "update', or from a Debian mirror, and name the file (--file)"
        )
        client = shutil.which("apt-get")
        if client is None:
            raise PackageError(f"{self.requirement}: there is no apt-get here: {cure}")
        download([client, "--quiet", "download", self.name], folder, self.requirement, self.size, cure, progress)
        packages = sorted(folder.glob("*.deb"))
        if not packages:
            raise PackageError(f"{self.requirement} came without a .deb: {cure}")
        return packages[0]

    def unpack(self, archive: Path, wanted: Callable[[str], bool], take: Take) -> None:
        """As `Package.unpack`."""
        with archive.open("rb") as file:
            name, part = _data(file, archive.name)
            opener = _OPENERS.get(name)
            if opener is None:
                raise PackageError(
                    f"{archive.name} has a {name}, which is not read: use Debian's own package, with a data.tar.xz"
                )
            with closing(opener(part)) as plain, tars.opened(plain) as opened:
                for info in opened:
                    path = info.name.removeprefix("./")
                    if info.isreg() and wanted(path):
                        take(path, info.size, tars.contents(opened, info))

    def installed(self, path: str) -> Mapping[str, Path]:
        """As `Package.installed`: where Debian installs to."""
        root = Path("/")
        return {each.relative_to(root).as_posix(): each for each in sorted(root.glob(path)) if each.is_file()}


def _data(file: IO[bytes], name: str) -> tuple[str, io.RawIOBase]:
    """The member of an ar archive that begins with data.tar: its name, and its bytes. Raises PackageError."""
    if file.read(len(_MAGIC)) != _MAGIC:
        raise PackageError(f"{name} is no package of Debian: those are ar archives")
    for _ in range(_MOST_MEMBERS):
        header = file.read(_HEADER)
        length = header[48:58].strip()
        if len(header) != _HEADER or header[58:] != b"`\n" or not length.isdigit():
            break
        member = header[:16].decode("ascii", "replace").rstrip(" /")
        if member.startswith("data.tar"):
            return member, _Part(file, int(length))
        file.seek(int(length) + int(length) % 2, io.SEEK_CUR)
    raise PackageError(f"{name} is damaged: it has no data.tar; get it again")


class _Part(io.RawIOBase):
    """So many bytes of a file, from where it stands."""

    def __init__(self, file: IO[bytes], length: int) -> None:
        self._file, self._left = file, length

    def readable(self) -> bool:
        """It is."""
        return True

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        """As any file."""
        data = self._file.read(min(len(buffer), self._left))
        self._left -= len(data)
        buffer[: len(data)] = data
        return len(data)
