"""What docs/layers.md quotes stands in the files that it names."""

from __future__ import annotations

import re

from snippets import ROOT

TEXT = (ROOT / "docs" / "layers.md").read_text(encoding="utf-8")
QUOTED = re.findall(r"`((?:engine|tests)/[\w/]+\.py)`[^`]*?:\n\n```text\n(.*?)\n```\n", TEXT, re.DOTALL)


def test_quoted_code_is_there() -> None:
    """Pieces of a file, with … between them, in their order."""
    assert len(QUOTED) == TEXT.count("```text\n"), "each block follows the name of its file"
    for path, code in QUOTED:
        source, at = (ROOT / path).read_text(encoding="utf-8"), 0
        for piece in code.split("\n…\n"):
            assert f"{piece}\n" in source[at:], f"docs/layers.md quotes {path}, which has changed:\n{piece}"
            at = source.index(piece, at) + len(piece)


def test_each_storey_of_the_example_is_quoted() -> None:
    rooms = [path for path, _ in QUOTED if path.endswith("min_gru.py")]
    tables = [path for path, _ in QUOTED if path.endswith("__init__.py")]
    assert [path.rsplit("/", 1)[0] for path in rooms] == [path.rsplit("/", 1)[0] for path in tables]
    there = [path for folder in ("engine", "tests") for path in (ROOT / folder).rglob("min_gru.py")]
    assert sorted(rooms) == sorted(str(path.relative_to(ROOT)) for path in there)
