"""Source distributions of a package index: for what wheels leave out, and packages that have none."""

from __future__ import annotations

import gzip
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from ostinato.errors import PackageError
from ostinato.packages import tars
from ostinato.packages.download import download
from ostinato.packages.package import Package, Progress
from ostinato.packages.placing import Take
from ostinato.packages.wheel import installed, pip_download


@dataclass(frozen=True)
class Sdist(Package):
    """``sha256`` (hex) of the archive: pip asks a source distribution what it is called, by running its setup.py, and
    compares the archive with that number before."""

    sha256: str = ""

    @property
    def requirement(self) -> str:
        """As pip takes it."""
        return f"{self.name}=={self.version}"

    def download(self, folder: Path, progress: Progress) -> Path:
        """As `Package.download`."""
        wanted = folder / "requirements.txt"
        wanted.write_text(f"{self.requirement} --hash=sha256:{self.sha256}\n", encoding="utf-8")
        command = pip_download("--no-binary", self.name, "--require-hashes", "--requirement", wanted.name)
        cure = (
            f"get it with 'pip download --no-deps --no-binary {self.name} {self.requirement}' elsewhere, and install "
            "it or, where a command has --file, name it; or try again when the network is there"
        )
        download(command, folder, self.requirement, self.size, cure, progress)
        archives = sorted(folder.glob("*.tar.gz"))
        if not archives:
            raise PackageError(f"{self.requirement} came without a .tar.gz: {cure}")
        return archives[0]

    def unpack(self, archive: Path, wanted: Callable[[str], bool], take: Take) -> None:
        """As `Package.unpack`: paths are within the folder that the archive has."""
        with archive.open("rb") as file, gzip.open(file) as plain, tars.opened(plain) as opened:
            for info in opened:
                path = info.name.partition("/")[2]
                if info.isreg() and wanted(path):
                    take(path, info.size, tars.contents(opened, info))

    def installed(self, path: str) -> Mapping[str, Path]:
        """As `Package.installed`; what its wheel leaves out is not there."""
        return installed(self.name, path)
