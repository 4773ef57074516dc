"""What is known of a published model."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from ostinato.errors import ForeignModelError, PackageError
from ostinato.importing.draft import Draft
from ostinato.importing.settings import Settings
from ostinato.model import Network
from ostinato.model.decoders import Decoder
from ostinato.packages import Package


@dataclass(frozen=True)
class Named:
    """``files``: paths in the package of what is read, whose SHA-256, one behind the other, is ``sha256``. ``draft``:
    what becomes of them, by the same paths, and of the user's settings."""

    about: str
    package: Package
    files: tuple[str, ...]
    sha256: str
    draft: Callable[[Mapping[str, Path], Settings], Draft]

    def fetch(self) -> dict[str, Path]:
        """Its files. Raises ForeignModelError."""
        try:
            return self.package.files(self.files, self.sha256)
        except PackageError as error:
            raise ForeignModelError(str(error)) from error


def decoded(draft: Draft, decoder: Decoder) -> Draft:
    """The draft with that decoder at its first head."""
    specification = draft.network.specification
    first, *others = specification.heads
    heads = (dataclasses.replace(first, decoder=decoder), *others)
    network = Network(dataclasses.replace(specification, heads=heads), draft.network.weights)
    return dataclasses.replace(draft, network=network)
