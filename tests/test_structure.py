"""How the code is built: whose names anybody may use, which rooms know each other, where tables are filled."""

from __future__ import annotations

import ast
import functools
from collections.abc import Iterator

import pytest
from test_import_circles import ROOT, imports, modules

from ostinato.cli.graph import drawn, vertices
from ostinato.kernels.operations import KINDS as OPERATIONS
from ostinato.kernels.operations import Region, record
from ostinato.model import Head, Network, Node, Specification
from ostinato.model.decoders import DECODERS, Outputs
from ostinato.model.front_ends import FRONT_ENDS, Frames
from ostinato.model.layers import LAYERS, Add, Dense, Gru, Rnn, Softmax
from ostinato.model.specification import FRAMES
from ostinato.pipeline.decoders import DECODERS as DECODING
from ostinato.pipeline.front_ends import FRONT_ENDS as FRAMING
from ostinato.training.layers import LEARNING
from ostinato.training.losses import LOSSES
from ostinato.training.optimisers import OPTIMISERS
from ostinato.training.schedules import SCHEDULES


@functools.cache
def sources() -> dict[str, str]:
    """Of all modules, by name."""
    return modules()


@functools.cache
def graph() -> dict[str, set[str]]:
    """What each module imports."""
    return imports(sources())


# --- underscores ----------------------------------------------------------------------------------------------------

PUBLIC = {"_replace", "_asdict", "_fields", "_thread", "_exit", "_getframe"}
"""Python's own, meant for all: of named tuples, os and sys."""
EXCEPTIONS = {
    ("ostinato.kernels.cache", "_rebuild"): "Numba's CompileResult, kept by our own cache: it has no public way",
    ("ostinato.kernels.cache", "_reduce"): "as `_rebuild`",
    ("ostinato.kernels.cache", "_cache"): "Numba's CFunc takes a cache there, and has no public way",
    ("ostinato.importing.inert", "_Unpickler"): "Python's reader of pickles that reserves nothing it is told to",
    ("ostinato_client.client", "_core"): "made by `driving` for the two classes that users see, and not for users",
    ("ostinato_client.aio", "_core"): "as in `client`",
}
"""By module and name: why another's underscore name is used all the same."""


def own_names(tree: ast.Module) -> set[str]:
    """Names with an underscore that a module makes: functions, classes, variables, attributes, modules it imports."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            found.add(node.name)
        elif isinstance(node, ast.Name | ast.Attribute) and isinstance(node.ctx, ast.Store):
            if isinstance(node, ast.Name):
                found.add(node.id)
            elif isinstance(node.value, ast.Name) and node.value.id in ("self", "cls"):
                found.add(node.attr)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value.isidentifier():
            found.add(node.value)  # __slots__, and object.__setattr__(self, "_name", …)
    return found


def foreign_names(source: str) -> Iterator[str]:
    """Names with an underscore that a module uses and has not made."""
    tree = ast.parse(source)
    own = own_names(tree)
    for node in ast.walk(tree):
        names = []
        if isinstance(node, ast.ImportFrom):
            names = [alias.name for alias in node.names] + (node.module or "").split(".")
        elif isinstance(node, ast.Import):
            names = [part for alias in node.names for part in alias.name.split(".")]
        elif isinstance(node, ast.Attribute) and node.attr not in own:
            names = [node.attr]
        yield from (name for name in names if name[:1] == "_" != name[1:2] and name not in PUBLIC)


def test_nobody_uses_another_modules_underscore_names() -> None:
    """They may change with their module alone: what others need has a public name. Attributes of ``self`` that a base
    class of another module has made count as foreign too."""
    found = {(name, used) for name, source in sources().items() for used in foreign_names(source)}
    assert found - set(EXCEPTIONS) == set()
    assert set(EXCEPTIONS) - found == set(), "these are exceptions no more: take them out of the list"


@pytest.mark.parametrize(
    ("source", "wanted"),
    [
        ("from p import _a", ["_a"]),
        ("from p._q import a\nimport r._s", ["_q", "_s"]),
        ("def f(x):\n    return x._a", ["_a"]),
        ("class A(B):\n    def f(self):\n        return self._made_by_b", ["_made_by_b"]),
        ("class A:\n    def __init__(self):\n        self._a = 1\ndef f(x: A):\n    return x._a", []),
        ("class A:\n    _a: int\ndef f(x: A):\n    return x._a + x.__class__", []),
        ("def f(x):\n    x._a = 1", ["_a"]),
    ],
)
def test_foreign_names_are_found(source: str, wanted: list[str]) -> None:
    assert list(foreign_names(source)) == wanted


# --- rooms ----------------------------------------------------------------------------------------------------------

TABLES = {
    "ostinato.model.layers": LAYERS,
    "ostinato.model.front_ends": FRONT_ENDS,
    "ostinato.model.decoders": DECODERS,
    "ostinato.pipeline.front_ends": FRAMING,
    "ostinato.pipeline.decoders": DECODING,
    "ostinato.training.layers": LEARNING,
    "ostinato.training.losses": LOSSES,
    "ostinato.training.optimisers": OPTIMISERS,
    "ostinato.training.schedules": SCHEDULES,
}


@pytest.mark.parametrize("package", TABLES)
def test_rooms_do_not_know_each_other(package: str) -> None:
    """A kind's file reads what all kinds share and never another kind's file; nor does what they share."""
    rooms = {kind.__module__ for kind in TABLES[package].values()}
    assert all(room.startswith(f"{package}.") for room in rooms)
    within = {name: wanted for name, wanted in graph().items() if name.startswith(f"{package}.")}
    assert {(name, other) for name, wanted in within.items() for other in wanted & rooms} == set()
    assert rooms <= graph()[package], "one line in the table for each"


def test_rooms_of_operations_do_not_know_each_other() -> None:
    package = "ostinato.kernels.operations"
    rooms = graph()[package] - {f"{package}.kind"}
    within = {name: wanted for name, wanted in graph().items() if name.startswith(f"{package}.")}
    assert {(name, other) for name, wanted in within.items() for other in wanted & rooms} == set()
    assert 5 < len(rooms) <= len(OPERATIONS)


def runtime_imports(name: str) -> set[str]:
    """What a module imports when it is loaded: not what is for types alone, nor within functions."""
    tree = ast.parse(sources()[name])
    top = ast.Module([node for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom)], [])
    return imports(dict.fromkeys(sources(), "") | {name: ast.unparse(top)})[name]


def test_layers_are_data_until_they_are_lowered() -> None:
    """What a model is can be read, written and checked without kernels, and knows nothing of learning."""
    for name in sources():
        if name.startswith("ostinato.model.layers"):
            wanted = graph()[name]
            assert not {each for each in wanted if each.startswith(("ostinato.kernels", "ostinato.training"))}, name
            assert not {each for each in runtime_imports(name) if each.startswith("ostinato.model.lowering")}, name


# --- tables ---------------------------------------------------------------------------------------------------------


def effects(source: str) -> Iterator[str]:
    """Statements of a module that change something of another as it is imported: calls whose results nobody keeps,
    loops, and what is assigned into what is not the module's own."""
    tree = ast.parse(source)
    own = {
        target.id
        for node in tree.body
        for target in (node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)])
        if isinstance(target, ast.Name)
    }
    for node in tree.body:
        calls = isinstance(node, ast.Expr) and not isinstance(node.value, ast.Constant)
        if calls or isinstance(node, ast.For | ast.While | ast.With):
            yield ast.unparse(node)
        elif isinstance(node, ast.Assign | ast.AugAssign):
            for target in node.targets if isinstance(node, ast.Assign) else [node.target]:
                root = target
                while isinstance(root, ast.Attribute | ast.Subscript):
                    root = root.value
                if root is not target and isinstance(root, ast.Name) and root.id not in own:
                    yield ast.unparse(node)


ALLOWED = {
    "os.environ.setdefault('NUMBA_DISABLE_INTEL_SVML', '1')": "Numba reads it once, when it is imported",
    "app.add_typer(": "groups of commands",
    "app.command(": "commands that have a file of their own",
    "codecs.register_error('ostinato.plain', _plain)": "what cannot be written has a name of ours there",
    "for _symbol": "Numba learns what + - * / are of our vectors",
}


def test_no_module_changes_another_as_it_is_imported() -> None:
    """Tables name what is in them; nothing puts itself in."""
    found = [f"{name}: {effect}" for name, source in sources().items() for effect in effects(source)]
    assert [each for each in found if not any(known in each for known in ALLOWED)] == []
    assert [known for known in ALLOWED if not any(known in each for each in found)] == [], "no more there"


@pytest.mark.parametrize(
    "source", ["register(1)", "TABLE['a'] = 1", "from p import T\nT.a = 1", "for x in y:\n    T.append(x)"]
)
def test_effects_are_found(source: str) -> None:
    assert list(effects(source))


def test_classes_do_not_put_themselves_into_tables() -> None:
    for name, source in sources().items():
        made = {node.name for node in ast.walk(ast.parse(source)) if isinstance(node, ast.FunctionDef)}
        assert "__init_subclass__" not in made, name


# --- docs/architecture.md -------------------------------------------------------------------------------------------

EXAMPLE = Specification(
    "example",
    Frames(20),
    (
        Node("gru", Gru(24), (FRAMES,)),
        Node("dense", Dense(20), ("gru",)),
        Node("add", Add(), (FRAMES, "dense")),
        Node("back", Rnn(10, direction="backward"), ("add",)),
        Node("class", Dense(3), ("back",)),
        Node("softmax", Softmax(), ("class",)),
        Node("energy", Dense(1), ("add",)),
    ),
    (Head("main", "softmax", Outputs()), Head("energy", "energy", Outputs())),
)


def told(region: Region) -> str:
    """As the page writes it."""
    return f"{region.offset}…{region.offset + region.size - 1}" if region.size > 1 else f"{region.offset}"


def test_the_architectures_example_of_a_graph_and_its_row_is_true() -> None:
    page = (ROOT / "docs" / "architecture.md").read_text()
    for place, (drawing, _) in zip(vertices(EXAMPLE), drawn(vertices(EXAMPLE)), strict=True):
        assert f"    {drawing} {place.name}" in page
    program = Network.random(EXAMPLE).program
    rows = [line.split("|") for line in page.splitlines() if line.startswith("|") and line.count("|") == 6]
    listed = [[cell.strip() for cell in row[1:-1]] for row in rows if row[1].strip() in OPERATIONS]
    regions, states = [told(program.input)], []
    for number, (op, row) in enumerate(zip(program.operations, listed, strict=True)):
        name, kind = list(OPERATIONS.items())[op[record.KIND]]
        reach = kind.reach(op)
        written = told(Region(int(op[record.OUTPUT]), int(op[record.OUTPUT_SIZE])))
        when = (
            "early" if number < program.early else "from the last frame to the first" if op[record.BACKWARD] else ""
        )
        assert row == [name, row[1], ", ".join(map(told, reach.reads)), written, when]
        regions.append(written)
        states += [told(region) for region in reach.states]
    line = next(line for line in page.splitlines() if told(program.input) in line and line.startswith("     "))
    assert sorted(line.split()) == sorted(regions)
    line = next(line for line in page.splitlines() if line.startswith("    state row"))
    assert line.split()[3::2] == states
