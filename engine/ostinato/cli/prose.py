"""A card's text as people read it: a sentence a line, and what a sentence lists an item a line."""

from __future__ import annotations

import re

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.text import Text

_NEXT = re.compile(r"(?<=[.!?]) (?=[A-Z])")
_FEWEST = 3
"""Items that are worth a line each."""


def laid_out(text: str, style: str = "") -> Group:
    """``text`` for a console: lists are sentences whose parts after a colon stand between semicolons."""
    lines: list[RenderableType] = []
    for sentence in _NEXT.split(text):
        head, colon, rest = sentence.partition(": ")
        items = rest.split("; ")
        if colon and len(items) >= _FEWEST:
            lines.append(Text(f"{head}:", style))
            lines += [Padding(Text(item, style), (0, 0, 0, 2), expand=False) for item in items]
        else:
            lines.append(Text(sentence, style))
    return Group(*lines)
