"""Writes the tables of a document anew from the JSON files of measurements: `make report`.

A table stands between ``<!-- table VIEW FILE -->`` and ``<!-- end -->``, FILE relative to the document; VIEW is one
of `VIEWS`. Everything else is left as it is.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ostinato_bench import tables

VIEWS: Mapping[str, Callable[[dict[str, Any]], str]] = {
    "batches": tables.batches,
    "bidirectional": tables.bidirectional,
    "int8": tables.int8,
    "limits": tables.limits,
    "source": tables.source,
    "steps": tables.steps,
}
_TABLE = re.compile(r"(<!-- table (\S+) (\S+) -->\n).*?(<!-- end -->)", re.DOTALL)


def renew(document: str, folder: Path) -> str:
    """The document with its tables made from the files in ``folder``. Raises ValueError for a view that does not
    exist, OSError or ValueError for a file that cannot be read."""

    def renewed(found: re.Match[str]) -> str:
        begin, view, file, end = found.groups()
        if view not in VIEWS:
            raise ValueError(f"there is no table {view!r}: name one of {', '.join(sorted(VIEWS))}")
        return f"{begin}{VIEWS[view](json.loads((folder / file).read_text(encoding='utf-8')))}\n{end}"

    return _TABLE.sub(renewed, document)


def main(*paths: str) -> None:
    """Renew documents in place."""
    for path in map(Path, paths):
        old = path.read_text(encoding="utf-8")
        new = renew(old, path.parent)
        path.write_text(new, encoding="utf-8")
        print(f"{path}: {'renewed' if new != old else 'as it was'}, {len(_TABLE.findall(new))} tables")


if __name__ == "__main__":
    main(*sys.argv[1:])
