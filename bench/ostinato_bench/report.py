"""Writes the tables of a document anew from the JSON files of measurements: `make report`.

A table stands between ``<!-- table VIEW FILE... -->`` and ``<!-- end -->``, files relative to the document; VIEW is
one of `VIEWS`. Everything else is left as it is.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from ostinato_bench import (
    chunk_tables,
    generation_tables,
    speech,
    tables,
    training_tables,
    tunes,
    tunes_tables,
    waiting,
)
from ostinato_bench.music import tables as music
from ostinato_bench.published import tables as published
from ostinato_bench.recipes import digits, sentiment


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
            + [_tenths(latency[key]) for key in ("p50", "p90", "p99", "max")]
            + [_percent(one["server_core_share"]), _percent(one["client_core_share"]), _mb(one["rss_mb"])]
        )
    headings = ["streams", "workers", "chunks", "lost", "p50", "p90", "p99", "max"]
    return tables.markdown([*headings, "server, of a core", "client", "server's memory"], lines)


def compare(result: dict[str, Any]) -> str:
    """What `ostinato compare --json` wrote: a column for each way of each model."""
    lines = [
        ["delay", *(_delay(one) for one in result["models"])],
        ["first word shown, after the first sample", *(_ms(one["first_result_ms"]) for one in result["models"])],
        *(
            [f"from a word's end to shown, {heading}", *(_ms(one["latency_ms"][key]) for one in result["models"])]
            for key, heading in (("p50", "median"), ("p90", "9 of 10 within"), ("max", "the slowest"))
        ),
        ["from a word's end to deciding on it, median", *(_ms(one["decided_ms"]["p50"]) for one in result["models"])],
        [
            "over the right ones of the words shown",
            *(f"{one['counted_words']} of {len(one['words'])}" for one in result["models"]),
        ],
    ]
    for seconds in sorted({row["seconds"] for row in result["by_length"]}):
        lines.append([f"computing left after {seconds:g} s of speech", *_by_length(result, seconds)])
    return tables.markdown(["", *map(_way, result["models"])], lines)


def compare_short(result: dict[str, Any]) -> str:
    """The same, what a newcomer wants to know."""
    longest = max(row["seconds"] for row in result["by_length"])
    lines = [
        ["delay", *(_delay(one) for one in result["models"])],
        ["first word shown, after the first sample", *(_ms(one["first_result_ms"]) for one in result["models"])],
        ["from a word's end to shown, median", *(_ms(one["latency_ms"]["p50"]) for one in result["models"])],
        ["from a word's end to deciding on it, median", *(_ms(one["decided_ms"]["p50"]) for one in result["models"])],
        [f"computing left after {longest:g} s of speech", *_by_length(result, longest)],
        ["state of a stream", *(f"{one['state_bytes'] / 1e3:.1f} KB" for one in result["models"])],
    ]
    return tables.markdown(["", *map(_way, result["models"])], lines)


def compare_source(result: dict[str, Any]) -> str:
    """What was compared, where and when, and from where it counts."""
    audio, machine, date = result["audio"], result["machine"], datetime.fromisoformat(result["date"])
    load = machine.get("load", 0.0)
    others = f", with others at work on them (load {load:g})" if load > machine["cores"] else ""
    return (
        f"{audio['name']}, {audio['seconds']:.1f} s, measured on {date.day} {date:%B %Y} on {machine['cores']} cores "
        f"of {machine['processor']}{others}; where its words end: {audio['words_from']}."
    )


def compare_conclusions(result: dict[str, Any]) -> str:
    """What the errors against delay say."""
    return "\n".join(result["conclusions"])


def _way(one: dict[str, Any]) -> str:
    return f"`{one['name']}`" + (" in blocks" if one["block_ms"] is not None else "")


def _delay(one: dict[str, Any]) -> str:
    return "the utterance" if one["delay_ms"] is None else f"{one['delay_ms']:.0f} ms" if one["delay_ms"] else "none"


def _by_length(result: dict[str, Any], seconds: float) -> list[str]:
    final = {(row["name"], row["block_ms"], row["seconds"]): row["final_ms"] for row in result["by_length"]}
    return [_ms(final.get((one["name"], one["block_ms"], seconds))) for one in result["models"]]


VIEWS: Mapping[str, Callable[..., str]] = {
    "batches": tables.batches,
    "bidirectional": tables.bidirectional,
    "chunk": chunk_tables.markdown,
    "chunk-source": chunk_tables.source,
    "compare": compare,
    "compare-conclusions": compare_conclusions,
    "compare-short": compare_short,
    "compare-source": compare_source,
    "convolutions": tables.convolutions,
    "digits-people": digits.people,
    "digits-wrong": digits.wrong,
    "generation": generation_tables.generating,
    "generation-source": generation_tables.source,
    "int8": tables.int8,
    "limits": tables.limits,
    "load": load,
    "music": music.hearing,
    "music-networks": music.networks,
    "music-pieces": music.pieces,
    "music-said": music.said,
    "music-source": music.source,
    "positions": tables.positions,
    "processors": tables.processors,
    "products": tables.products,
    "published-denoising": published.denoising,
    "published-files": published.files,
    "published-smoothness": published.smoothness,
    "published-source": published.source,
    "published-streams": published.paced,
    "sentiment-beside": sentiment.beside,
    "sentiment-correlation": sentiment.correlation,
    "sentiment-crossing": sentiment.crossing,
    "sentiment-losses": sentiment.losses,
    "sentiment-reading": sentiment.reading,
    "sentiment-right": sentiment.right,
    "source": tables.source,
    "speech-errors": speech.errors,
    "speech-hotwords": speech.hotwords,
    "speech-made": speech.made,
    "speech-sessions": speech.sessions,
    "steps": tables.steps,
    "training": training_tables.learning,
    "training-source": training_tables.source,
    "tunes-gaps": tunes_tables.gaps,
    "tunes-language": tunes_tables.language,
    "transduction": waiting.table,
    "transduction-source": waiting.source,
    "tunes-made": tunes.made_tunes,
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


def _tenths(ms: float | None) -> str:
    return "–" if ms is None else f"{ms:.1f} ms"


def _ms(value: float | None) -> str:
    if value is None:
        return "–"
    text = f"{value:.1f} ms" if abs(value) < 10 else f"{value:.0f} ms" if abs(value) < 1e3 else f"{value / 1e3:.2f} s"
    return text.replace("-", "−")


def main(*paths: str) -> None:
    """Renew documents in place."""
    for path in map(Path, paths):
        old = path.read_text(encoding="utf-8")
        new = renew(old, path.parent)
        path.write_text(new, encoding="utf-8")
        print(f"{path}: {'renewed' if new != old else 'as it was'}, {len(_TABLE.findall(new))} tables")


if __name__ == "__main__":
    main(*sys.argv[1:])
