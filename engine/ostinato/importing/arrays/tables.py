"""Lists of tables in a settings file."""

from __future__ import annotations

from typing import Any

from ostinato.errors import ForeignModelError
from ostinato.importing.settings import Settings


def tables(settings: Settings, key: str, most: int) -> list[dict[str, Any]]:
    """Those of [[key]], ``most`` of them. Raises ForeignModelError if it is none."""
    found = settings.more.get(key, [])
    if not isinstance(found, list) or not all(isinstance(each, dict) for each in found):
        raise ForeignModelError(f"settings: {key} is no list of tables: begin each with [[{key}]]")
    if len(found) > most:
        raise ForeignModelError(f"settings: {len(found)} {key} are over the limit of {most}")
    return found
