"""The code blocks of the project's documents, so that tests run exactly what readers paste.

    for snippet in snippets("README.md", "python"):
        run(snippet.code)

What can be run stands between fences that name its language: python, or sh, a command a line. A block without a
fence (four spaces), or one in ``text`` or ``mermaid``, is to be read. `test_cli_readme` runs the former and sees that
nothing that could be run hides in the latter.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent
DOCUMENTS = sorted(
    str(path.relative_to(ROOT))
    for path in [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("clients/**/*.md")]
)
_FENCE = re.compile(r"( *)```(\w*)")


@dataclass(frozen=True)
class Snippet:
    """A code block: where it begins, its language ("" for an indented block), its text without the indentation."""

    document: str
    line: int
    language: str
    code: str

    def __str__(self) -> str:
        return f"{self.document}:{self.line}"


def snippets(document: str, language: str | None = None) -> list[Snippet]:
    """The code blocks of a document (a path from the repository's root), in order; of one language only if asked."""
    found = parse(document, (ROOT / document).read_text(encoding="utf-8").splitlines())
    return [snippet for snippet in found if language in (None, snippet.language)]


def commands(snippet: Snippet) -> list[str]:
    """The commands of a sh block, without comments."""
    lines = (re.sub(r"(^|\s+)#.*", "", line).strip() for line in snippet.code.splitlines())
    return [line for line in lines if line]


def parse(document: str, lines: list[str]) -> list[Snippet]:
    found, at = [], 0
    while at < len(lines):
        first = at + 1
        if fence := _FENCE.fullmatch(lines[at].rstrip()):
            end = next((i for i in range(first, len(lines)) if lines[i].strip() == "```"), None)
            if end is None:
                raise ValueError(f"{document}:{first}: a fence without an end")
            indent, language = len(fence[1]), fence[2]
            block, at = [line[indent:] for line in lines[first:end]], end + 1
        elif lines[at].startswith("    ") and (at == 0 or not lines[at - 1].strip()):
            while at < len(lines) and (lines[at].startswith("    ") or not lines[at].strip()):
                at += 1
            language, block = "", [line[4:] for line in lines[first - 1 : at]]
        else:
            at += 1
            continue
        found.append(Snippet(document, first, language, "\n".join(block).rstrip() + "\n"))
    return found
