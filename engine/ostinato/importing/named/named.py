"""What is known of a published model."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from ostinato.importing.draft import Draft
from ostinato.importing.packages import Package
from ostinato.importing.settings import Settings


@dataclass(frozen=True)
class Named:
    """``files``: the SHA-256 of each file that is read, by its path in the package. ``draft``: what becomes of them,
    by the same paths, and of the user's settings."""

    about: str
    package: Package
    files: Mapping[str, str]
    draft: Callable[[Mapping[str, Path], Settings], Draft]

    def fetch(self) -> dict[str, Path]:
        """Its files. Raises ForeignModelError."""
        return {path: self.package.file(path, sha256) for path, sha256 in self.files.items()}
