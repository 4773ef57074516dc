"""PyTorch's state dictionaries as JSON: bare, as RTNeural's examples have them, or beside ``model_data``, as
Automated-GuitarAmpModelling and GuitarML write them. Recurrent and linear layers, one behind the other."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ostinato.errors import ForeignModelError
from ostinato.importing.audio_json import document, sound
from ostinato.importing.audio_json.document import Array, Document
from ostinato.importing.builder import Builder
from ostinato.importing.draft import Decision, Draft
from ostinato.importing.gates import reordered
from ostinato.importing.settings import Settings
from ostinato.model.layers import Add, Dense, Gru, Layer, Lstm, Rnn, Slice
from ostinato.model.specification import FRAMES

_RECURRENT = re.compile(r"(?:(.*)\.)?((?:weight|bias)_(?:ih|hh))_l([0-9]+)")


class Cell(NamedTuple):
    """A recurrence: PyTorch's name, our layer of so many units, and the order of the gates there and here."""

    name: str
    layer: Callable[[int], Layer]
    theirs: str
    ours: str


CELLS = {1: Cell("RNN", Rnn, "h", "h"), 3: Cell("GRU", Gru, "rzn", "zrn"), 4: Cell("LSTM", Lstm, "ifco", "iofc")}
"""By the number of gates."""


class Module(NamedTuple):
    """A layer: its arrays by the last part of their names, without its number."""

    name: str
    arrays: dict[str, Array]

    @property
    def cell(self) -> Cell | None:
        """Which recurrence it is, as its shapes say; None for a linear layer."""
        rows, hidden = self.arrays["weight_hh"].shape if self.recurrent else (0, 1)
        return CELLS[rows // hidden] if self.recurrent else None

    @property
    def recurrent(self) -> bool:
        """Whether it is one, if its shapes are those of a recurrence at all."""
        if "weight_hh" not in self.arrays:
            return False
        shape = self.arrays["weight_hh"].shape
        if len(shape) != 2 or not shape[1] or shape[0] % shape[1] or shape[0] // shape[1] not in CELLS:
            raise ForeignModelError(f"{self.name}: weight_hh {list(shape)} is of no RNN, GRU or LSTM")
        return True

    def take(self, part: str, *shape: int, optional: bool = False) -> Array:
        """An array of that shape; zeros for one that may be missing."""
        if part not in self.arrays:
            if optional:
                return np.zeros(shape, np.float32)
            raise ForeignModelError(f"{self.name}: {part} is missing")
        if (array := self.arrays[part]).shape != shape:
            raise ForeignModelError(
                f"{self.name}: {part} has shape {list(array.shape)}, and {list(shape)} is needed: layers of a chain "
                "of recurrent and linear ones are read; export ONNX for others"
            )
        return array

    def only(self, *parts: str) -> None:
        """Raise ForeignModelError if there are others: they would be lost."""
        for part in self.arrays:
            if part not in parts:
                raise ForeignModelError(f"{self.name}: {part} is not read here, so it would be lost: export ONNX")


def draft(path: Path, settings: Settings) -> Draft:
    """As `ostinato.importing.formats` wants it."""
    settings.known()
    file = document.read(path)
    model = file.document("model_data") if "model_data" in file else None
    said = {name: file.get(name, str, "") for name in ("name", "author") if model and name in file}
    state = file.document("state_dict") if model else file
    modules = _modules({name: state.array(name) for name in state})
    file.end("take it out if it is no part of the network")
    if not modules or not modules[0].recurrent:
        raise ForeignModelError(
            "its arrays do not begin with a recurrent layer (rec.weight_ih_l0 and so on): what else a network does "
            "is in its program only; export ONNX from PyTorch"
        )
    inputs = modules[0].arrays["weight_ih"].shape[-1] if "weight_ih" in modules[0].arrays else 1
    builder = Builder(sound.front_end(settings, inputs, sound.USUAL_RATE))
    node = FRAMES
    decisions = [Decision("sample rate", f"{sound.USUAL_RATE:g} Hz, which the file does not say")]
    for module in modules:
        node = _recurrent(builder, node, module) if module.recurrent else _linear(builder, node, module)
        told = ", with tanh: shapes do not say if it is relu" if module.cell and module.cell.name == "RNN" else ""
        what = module.cell.name if module.cell else "linear"
        decisions.append(Decision(module.name, f"{what}, {builder.wires[node].size} values{told}"))
    if model:
        _check(model, modules, inputs, builder.wires[node].size)
        if skip := model.get("skip", int, 0):
            node = _add_input(builder, node, skip)
            decisions.append(Decision("skip", "the input is added to the outputs"))
        model.end("take it out if it is no part of the network")
    return sound.draft(builder, settings, node, path, said, decisions)


def _modules(arrays: dict[str, Array]) -> list[Module]:
    """In the order of the file, which is that in which they were made; each layer of a recurrent one by itself."""
    found: dict[str, dict[str, Array]] = {}
    for name, array in arrays.items():
        if match := _RECURRENT.fullmatch(name):
            module, part = f"{match[1] or 'rec'}.l{match[3]}", match[2]
        else:
            module, _, part = name.rpartition(".")
        found.setdefault(module, {})[part] = array
    return [Module(name, parts) for name, parts in found.items()]


def _recurrent(builder: Builder, node: str, module: Module) -> str:
    """A layer of an RNN, a GRU or an LSTM."""
    rows, hidden = module.arrays["weight_hh"].shape
    cell = CELLS[rows // hidden]
    module.only("weight_ih", "weight_hh", "bias_ih", "bias_hh")
    parts = {
        "W": module.take("weight_ih", rows, builder.wires[node].size),
        "R": module.take("weight_hh", rows, hidden),
        "Wb": module.take("bias_ih", rows, optional=True),
        "Rb": module.take("bias_hh", rows, optional=True),
    }
    weights = {f"forward.{part}": reordered(array, cell.theirs, cell.ours) for part, array in parts.items()}
    return builder.add(cell.layer(hidden), [node], weights, name=module.name)


def _linear(builder: Builder, node: str, module: Module) -> str:
    module.only("weight", "bias")
    size = len(module.arrays.get("weight", ())) or 1
    W, b = module.take("weight", size, builder.wires[node].size), module.take("bias", size, optional=True)
    return builder.add(Dense(size), [node], {"W": W, "b": b}, name=module.name)


def _check(model: Document, modules: list[Module], inputs: int, outputs: int) -> None:
    """Raise ForeignModelError if ``model_data`` says another network than the arrays are."""
    model.drop("model", "bias_fl")
    recurrent = [module for module in modules if module.cell]
    are = {
        "input_size": inputs,
        "output_size": outputs,
        "hidden_size": recurrent[0].arrays["weight_hh"].shape[1],
        "num_layers": len(recurrent),
    }
    for field, size in are.items():
        if (says := model.size(field, size)) != size:
            raise ForeignModelError(f"model_data.{field} is {says}, and the arrays are of {size}")
    unit = model.take("unit_type", str)
    for module in recurrent:
        if module.cell and module.cell.name != unit:
            raise ForeignModelError(f"model_data.unit_type is {unit}, and {module.name} is an {module.cell.name}")


def _add_input(builder: Builder, node: str, skip: int) -> str:
    """The first ``skip`` inputs are added to the outputs."""
    inputs, outputs = builder.wires[FRAMES].size, builder.wires[node].size
    if not 0 < skip <= inputs or skip not in (1, outputs):
        raise ForeignModelError(f"model_data.skip is {skip}, and cannot be with {inputs} inputs, {outputs} outputs")
    dry = FRAMES if skip == inputs else builder.add(Slice(0, skip), [FRAMES], name="dry")
    return builder.add(Add(), [node, dry], name="skip")
