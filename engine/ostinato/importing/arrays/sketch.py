"""Settings to begin with: what names and shapes of arrays tell, as TOML, and what they do not tell, as comments.

Modules of PyTorch become a chain in the file's order, each reading the last node before it that gives as many values
as it takes. Other arrays are listed.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from ostinato.errors import ForeignModelError
from ostinato.importing.arrays.contents import Arrays, Contents
from ostinato.importing.pytorch.modules import MODULES, recognise
from ostinato.importing.pytorch.parameters import Parameters, has_module, module_names
from ostinato.model.specification import FRAMES

_ARGUMENTS = {
    "RNN": ('nonlinearity = "tanh"',),
    "Conv1d": ("stride = 1", "padding = 0", "dilation = 1"),
    "ConvTranspose1d": ("stride = 2", "padding = 0", "output_padding = 0"),
    "BatchNorm1d": ("eps = 1e-5",),
    "LayerNorm": ("eps = 1e-5",),
}
"""What names and shapes do not tell, by kind of module: PyTorch's defaults."""
_MOST_TOKENS = 20_000
_MOST_ORDERED, _MOST_STEPS = 64, 100_000
"""Modules that are put in order, and steps of looking for one."""


def sketch(contents: Contents, path: Path) -> str:
    """The text of a settings file."""
    arrays = Arrays(contents.arrays if contents.ordered else dict(sorted(contents.arrays.items(), key=_natural)))
    prefixes = module_names(arrays)
    if not any(_known(arrays, prefix) for prefix in prefixes):
        return _by_hand(arrays, path)
    if not contents.ordered:
        prefixes = _in_a_chain(arrays, prefixes)
    chain = _Chain(arrays)
    modules = [each for each in contents.modules if not any(name.startswith(f"{each}.") for name in prefixes)]
    order = [each for each in modules if each in prefixes] or prefixes
    for prefix in dict.fromkeys([*(modules if set(order) == set(prefixes) else ()), *prefixes]):
        chain.add(prefix) if prefix in prefixes else chain.pass_over(prefix)
    lines = [
        f"# Made of the names and shapes in {path.name}. Check what they cannot tell: activations, strides,",
        "# paddings, which nodes read which, the front end, the decoder. Then:",
        f"#     ostinato import {path.name} --settings THIS_FILE",
    ]
    if not contents.ordered:
        lines.append(
            "# The file does not keep the order of modules: they stand here so that sizes fit. Put them in order."
        )
    if len(contents.states) > 1:
        others = " or ".join(map(_quoted, contents.states[1:]))
        lines += ["", f"state = {_quoted(contents.states[0])}  # or {others}"]
    left = [name for name in arrays if not has_module(name)]
    if left:
        names = ", ".join(map(_quoted, left))
        lines += [
            "",
            f"# No module that is known has these ({arrays.listed(left)}).",
            "# If nothing is computed of them:",
        ]
        lines.append(f"# unused = [{names}]")
    return "\n".join([*lines, "", *chain.front_end(), *chain.lines, *chain.heads()]) + "\n"


class _Chain:
    """Nodes, one by one."""

    def __init__(self, arrays: Arrays) -> None:
        self.lines: list[str] = []
        self._arrays = arrays
        self._sizes: dict[str, int] = {}
        self._read: set[str] = set()
        self._first: tuple[str, int] | None = None

    def add(self, prefix: str) -> None:
        """The module whose arrays' names begin so."""
        parameters = Parameters.own(self._arrays, prefix)
        mine = parameters.names
        name = _named(prefix, self._sizes)
        self.lines += ["", *(f"# {full} {list(self._arrays.shape(full))}" for full in mine)]
        try:
            token = not self._first and _looks_like_table(parameters, prefix)
            kind = recognise(parameters, token)
            inputs, outputs = MODULES[kind].sizes(parameters)
        except ForeignModelError as error:
            self.lines.append(f"# {error}")
            return
        also = ", or a GroupNorm, which cannot be read" if kind == "LayerNorm" else ""
        self.lines += ["[[nodes]]", f'name = "{name}"', f"torch = {_quoted(prefix)}  # {kind}{also}"]
        if not self._first:
            self._first = ("tokens" if token else FRAMES), inputs
        else:
            self._lines_of_inputs(kind, inputs)
        self.lines += _ARGUMENTS.get(kind, ())
        if kind == "PReLU" and outputs == 1 and self._sizes:
            outputs = list(self._sizes.values())[-1]
        self._sizes[name] = outputs

    def _lines_of_inputs(self, kind: str, inputs: int) -> None:
        """Which node it reads, if that is not the one before it."""
        before = list(self._sizes)
        fits = [node for node in before if self._sizes[node] == inputs or (kind == "PReLU" and inputs == 1)]
        if kind == "Conv1d" and not fits:
            fits = [node for node in before if self._sizes[node] % inputs == 0]
        if not fits:
            self.lines += [
                f"# It takes {inputs} values, which no node before it gives: name what it reads. Several side by",
                '# side are a node of kind "concatenate".',
                "inputs = []",
            ]
            return
        self._read.add(fits[-1])
        if fits[-1] != before[-1]:
            told = f"takes {inputs} values; {before[-1]} gives {self._sizes[before[-1]]}"
            self.lines.append(f'inputs = ["{fits[-1]}"]  # {told}')

    def pass_over(self, module: str) -> None:
        """A module without arrays: what it is its name does not tell."""
        if self._first:
            self.lines += ["", f"# {module} has no arrays: an activation? If so, take the # away"]
            self.lines += ["# [[nodes]]", f'# name = "{_named(module, self._sizes)}"']
            self.lines += ['# kind = "activate"', '# activation = "relu"']

    def front_end(self) -> Iterable[str]:
        """What the first node reads."""
        kind, size = self._first or (FRAMES, 1)
        if kind == FRAMES:
            return [f'front_end = {{kind = "frames", size = {size}, frame_ms = 10.0}}']
        words = ", ".join(f'"token-{number}"' for number in range(min(size, _MOST_TOKENS)))
        return [
            "# The text of each token, by its id; unknown is the id of what stands for all others.",
            "[front_end]", 'kind = "tokens"', 'unit = "word"', "unknown = 0", f"vocabulary = [{words}]",
        ]  # fmt: skip

    def heads(self) -> Iterable[str]:
        """One for each node that no other reads."""
        ends = [node for node in self._sizes if node not in self._read]
        for number, node in enumerate(ends):
            yield from ("", "[[heads]]", f'name = "{"main" if not number else node}"', f'node = "{node}"')
            yield from ('decoder = {kind = "outputs"}  # or labels, ctc, …: docs/import.md',)


def _quoted(name: str) -> str:
    """As TOML has a text: what can be printed is written there as in JSON."""
    return json.dumps(name, ensure_ascii=False)


def _natural(entry: tuple[str, object]) -> list[tuple[int, str]]:
    """The key of an array by whose name it is sorted, numbers as such: layers.2 before layers.10."""
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", entry[0])]


def _known(arrays: Arrays, prefix: str) -> bool:
    """Whether its arrays are those of a module."""
    try:
        recognise(Parameters.own(arrays, prefix))
    except ForeignModelError:
        return False
    return True


def _looks_like_table(parameters: Parameters, prefix: str) -> bool:
    """Whether a first module may be an embedding: a matrix without bias, called so or with more rows than columns."""
    if set(parameters) != {"weight"} or len(parameters.shape("weight")) != 2:
        return False
    return "emb" in prefix.lower()


def _named(prefix: str, taken: Mapping[str, int]) -> str:
    """A name for a node that no other has."""
    plain = re.sub(r"[^A-Za-z0-9_]+", "-", prefix).strip("-_")[-56:].strip("-_")
    if not plain or plain.isdigit():
        plain = f"layer-{plain}".strip("-")
    label, number = plain, 1
    while label in taken or label in (FRAMES, "front_end"):
        number += 1
        label = f"{plain}-{number}"
    return label


def _in_a_chain(arrays: Arrays, prefixes: list[str]) -> list[str]:
    """Modules in an order in which each takes as many values as the one before it gives, if there is one; else as
    they are."""
    sizes: dict[str, tuple[int, int]] = {}
    for prefix in prefixes:
        parameters = Parameters.own(arrays, prefix)
        try:
            kind = recognise(parameters, _looks_like_table(parameters, prefix))
            sizes[prefix] = (0, 0) if kind == "PReLU" else MODULES[kind].sizes(parameters)
        except ForeignModelError:
            return prefixes
    steps = 0

    def longer(chain: list[str], given: int) -> list[str] | None:
        nonlocal steps
        if len(chain) == len(prefixes):
            return chain
        for prefix, (inputs, outputs) in sizes.items():
            steps += 1
            fits = not chain or not inputs or inputs == given
            if fits and steps < _MOST_STEPS and prefix not in chain:
                found = longer([*chain, prefix], outputs or given)
                if found is not None:
                    return found
        return None

    return (longer([], 0) if len(prefixes) <= _MOST_ORDERED else None) or prefixes


def _by_hand(arrays: Arrays, path: Path) -> str:
    """For arrays whose names say nothing: a list of them, and an example."""
    listed = "\n".join(f"#   {name} {list(arrays.shape(name))}" for name in arrays)
    for prefix in module_names(arrays)[:_MOST_ORDERED]:
        try:
            recognise(Parameters.own(arrays, prefix))
        except ForeignModelError as error:
            listed += f"\n# {error}"
    return f"""\
# {path.name} holds
{listed}
# Say what is computed of them: docs/import.md, "From arrays". For example:

front_end = {{kind = "frames", size = 1, frame_ms = 10.0}}

[[nodes]]
name = "lstm"
kind = "lstm"
hidden = 1
gates = "ifgo"  # the order in which they are stored
weights = {{W = "…", R = "…", b = "…"}}

[[nodes]]
name = "scores"
kind = "dense"
size = 1
weights = {{W = "…", b = 0}}
"""
