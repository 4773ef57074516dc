"""Files that Debian publishes beside its packages, as apt-get gets them: the descriptions of all packages of a
release, in English and as people have translated them."""

from __future__ import annotations

import bz2
import lzma
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from ostinato.errors import PackageError
from ostinato.packages.download import download
from ostinato.packages.package import Package, Progress
from ostinato.packages.placing import MAX_BYTES, Take
from ostinato.packages.xz import Xz

_PREFIX = "Translation-"
_PIECE = 1 << 20


@dataclass(frozen=True)
class Index(Package):
    """Of a release ``version``, by its code name: the file "Translation-<language>" (the ``name``), which is its only
    member."""

    @property
    def requirement(self) -> str:
        """The file and its release."""
        return f"{self.name} (Debian {self.version})"

    def download(self, folder: Path, progress: Progress) -> Path:
        """As `Package.download`: into lists of its own, those of the system stay as they are."""
        cure = (
            f"get it on a machine with Debian {self.version} and network, or from a Debian mirror, where it is "
            f"dists/{self.version}/main/i18n/{self.name}.bz2, and name the file (--file)"
        )
        client = shutil.which("apt-get")
        if client is None:
            raise PackageError(f"{self.requirement}: there is no apt-get here: {cure}")
        for each in ("lists/partial", "cache/archives/partial"):
            (folder / each).mkdir(parents=True)
        settings = {
            "Dir::State::lists": folder / "lists",
            "Dir::Cache": folder / "cache",
            "APT::Sandbox::User": "",  # the folder is nobody else's
            "Acquire::GzipIndexes": "false",
            "Acquire::Languages": self.name.removeprefix(_PREFIX),
            "Acquire::IndexTargets::deb::Packages::DefaultEnabled": "false",
        }
        options = [part for name, value in settings.items() for part in ("-o", f"{name}={value}")]
        download([client, "--quiet", "update", *options], folder, self.requirement, self.size, cure, progress)
        found = sorted((folder / "lists").glob(f"*_dists_{self.version}_main_i18n_{self.name}"))
        if not found:
            raise PackageError(f"this system's sources have no {self.requirement}: {cure}")
        return found[0]

    def unpack(self, archive: Path, wanted: Callable[[str], bool], take: Take) -> None:
        """As `Package.unpack`, of the file as it is, or in bzip2 or xz."""
        if not wanted(self.name):
            return
        try:
            size = _size(archive)
            with _opened(archive) as file:
                take(self.name, size, file)
        except (lzma.LZMAError, EOFError, OSError, ValueError) as error:
            raise PackageError(f"{archive.name} is damaged ({error}): copy or download it again") from error

    def installed(self, path: str) -> Mapping[str, Path]:
        """As `Package.installed`: what apt keeps is the system's, and changes."""
        return {}


@contextmanager
def _opened(archive: Path) -> Iterator[IO[bytes]]:
    with archive.open("rb", buffering=0) as file:
        packed: Any = file
        if archive.suffix == ".bz2":
            packed = bz2.BZ2File(file)
        elif archive.suffix == ".xz":
            packed = Xz(file)
        yield packed


def _size(archive: Path) -> int:
    """How many bytes are in it."""
    total = 0
    with _opened(archive) as file:
        while piece := file.read(_PIECE):
            total += len(piece)
            if total > MAX_BYTES:
                raise PackageError(f"{archive.name} unpacks to over {MAX_BYTES} bytes: it is another file")
    return total
