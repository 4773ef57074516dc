"""Writes the tables of a document anew from the JSON files of measurements: `make report`.

A table stands between ``<!-- table VIEW FILE... -->`` and ``<!-- end -->``, files relative to the document; VIEW is
one of `VIEWS`. Everything else is left as it is.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ostinato_bench import tables


def load(*results: dict[str, Any]) -> str:
    """Results of `load.run`, a line each."""
    lines = []
    for one in sorted(results, key=lambda one: (one["model"], one["streams"])):
        latency = one["latency_ms"]
        lines.append(
            [
                f"{one['streams']:,} of {one['model']}",
                f"{one.get('workers', 1)}",
                f"{one['sent']:,}",
                f"{one['lost']}",
            ]
            + [_ms(latency[key]) for key in ("p50", "p90", "p99", "max")]
            + [_percent(one["server_core_share"]), _percent(one["client_core_share"]), _mb(one["rss_mb"])]
        )
    headings = ["streams", "workers", "chunks", "lost", "p50", "p90", "p99", "max"]
    return tables.markdown([*headings, "server, of a core", "client", "server's memory"], lines)


def compare(result: dict[str, Any]) -> str:
    """What `ostinato compare --json` wrote: a column for each model."""
    models, by_length = result["models"], result["by_length"]
    lengths = sorted({row["seconds"] for row in by_length})
    final = {(row["name"], row["seconds"]): row["final_ms"] for row in by_length}
    lines = [
        ["first result after the first sample", *(_ms(one["first_result_ms"]) for one in models)],
        ["from spoken to shown, p50", *(_ms(one["latency_ms"]["p50"]) for one in models)],
        ["from spoken to shown, p90", *(_ms(one["latency_ms"]["p90"]) for one in models)],
    ]
    for seconds in lengths:
        lines.append(
            [f"from the last chunk to the final result, {seconds:g} s of speech"]
            + [_ms(final.get((one["name"], seconds))) for one in models]
        )
    return tables.markdown(["", *(one["name"] for one in models)], lines)


VIEWS: Mapping[str, Callable[..., str]] = {
    "batches": tables.batches,
    "bidirectional": tables.bidirectional,
    "compare": compare,
    "int8": tables.int8,
    "limits": tables.limits,
    "load": load,
    "products": tables.products,
    "source": tables.source,
    "steps": tables.steps,
}
_TABLE = re.compile(r"(<!-- table (\S+) ([^>]+?) -->\n).*?(<!-- end -->)", re.DOTALL)


def renew(document: str, folder: Path) -> str:
    """The document with its tables made from the files in ``folder``. Raises ValueError for a view that does not
    exist, OSError or ValueError for a file that cannot be read."""

    def renewed(found: re.Match[str]) -> str:
        begin, view, files, end = found.groups()
        if view not in VIEWS:
            raise ValueError(f"there is no table {view!r}: name one of {', '.join(sorted(VIEWS))}")
        results = [json.loads((folder / file).read_text(encoding="utf-8")) for file in files.split()]
        return f"{begin}{VIEWS[view](*results)}\n{end}"

    return _TABLE.sub(renewed, document)


def _percent(share: float | None) -> str:
    return "–" if share is None else f"{100 * share:.0f} %"


def _mb(value: float | None) -> str:
    return "–" if value is None else f"{value:.0f} MB"


def _ms(value: float | None) -> str:
    return "–" if value is None else f"{value / 1e3:.2f} s" if value >= 500 else f"{value:.1f} ms"


def main(*paths: str) -> None:
    """Renew documents in place."""
    for path in map(Path, paths):
        old = path.read_text(encoding="utf-8")
        new = renew(old, path.parent)
        path.write_text(new, encoding="utf-8")
        print(f"{path}: {'renewed' if new != old else 'as it was'}, {len(_TABLE.findall(new))} tables")


if __name__ == "__main__":
    main(*sys.argv[1:])
