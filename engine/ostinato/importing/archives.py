"""Zip archives of models from elsewhere: read as all archives are (`ostinato.packages.zips`), up to the size that a
model may have."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ostinato.errors import ForeignModelError, PackageError
from ostinato.model.file import MAX_FILE_BYTES
from ostinato.packages import zips


@contextmanager
def opened(path: Path) -> Iterator[zipfile.ZipFile]:
    """The archive. Raises ForeignModelError where `zips.opened` and `zips.read` raise, also while it is read."""
    try:
        with zips.opened(path, MAX_FILE_BYTES) as archive:
            yield archive
    except PackageError as error:
        raise ForeignModelError(str(error)) from error
