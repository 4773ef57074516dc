"""No module reaches itself by what it imports: what two modules need of each other is a third one, with a name."""

from __future__ import annotations

import ast
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ROOTS = [ROOT / name for name in ("engine", "clients", "bench")]


def modules() -> dict[str, str]:
    """The sources of all modules by name; a package's name is that of its __init__."""
    found = {}
    for root in ROOTS:
        for file in root.rglob("*.py"):
            name = ".".join(file.relative_to(root).with_suffix("").parts).removesuffix(".__init__")
            found[name] = file.read_text()
    return found


def imports(sources: dict[str, str]) -> dict[str, set[str]]:
    """What each module imports of the others: at any place, under TYPE_CHECKING and within functions too."""
    found: dict[str, set[str]] = {}
    for name, source in sources.items():
        wanted = set()
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.Import):
                wanted |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                assert not node.level, f"{name}: relative imports are not ours"
                names = {f"{node.module}.{alias.name}" for alias in node.names}
                wanted |= {each if each in sources else str(node.module) for each in names}
        found[name] = {each for each in wanted if each in sources and each != name}
    return found


def circle(graph: dict[str, set[str]]) -> list[str]:
    """One that is there; empty if there is none."""
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return [str(name) for name in reversed(error.args[1])]  # each imports the next
    return []


def test_no_module_reaches_itself_by_what_it_imports() -> None:
    graph = imports(modules())
    assert len(graph) > 150
    assert sum(map(len, graph.values())) > 400
    assert not circle(graph)


@pytest.mark.parametrize(
    "back",
    [
        "import p.a",
        "from p import a",
        "from p.a import x",
        "if TYPE_CHECKING:\n    from p.a import x",
        "def f():\n    from p.a import x",
    ],
)
def test_a_circle_is_found_wherever_it_is_closed(back: str) -> None:
    sources = {"p": "", "p.a": "from p.b import y", "p.b": "from p import c", "p.c": back, "p.d": "import p.a"}
    assert set(circle(imports(sources))) == {"p.a", "p.b", "p.c"}
    assert circle(imports(sources | {"p.c": "import os"})) == []
