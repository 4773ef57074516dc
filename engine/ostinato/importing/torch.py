"""A live PyTorch module becomes a network, and is compared with itself.

    from ostinato.importing.torch import from_module
    imported = from_module(model, 40)               # frames of 40 values; or a front end: LogMel(mels=40)
    ostinato.model.write("kws.safetensors", imported.network)

What it is made of is seen by tracing it (torch.fx): modules and functions that are read from state dictionaries too,
activations, sums, products, concatenations. PyTorch is needed here, and nowhere else.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ostinato.errors import ForeignModelError
from ostinato.importing.arrays.contents import Arrays, Stored
from ostinato.importing.builder import Builder
from ostinato.importing.draft import Decision, Draft
from ostinato.importing.pytorch.graph import Trace
from ostinato.importing.pytorch.values import AxesError, Value
from ostinato.importing.reading import Imported, completed
from ostinato.importing.settings import Settings
from ostinato.importing.source import random_inputs
from ostinato.model.decoders import Outputs
from ostinato.model.front_ends import Frames, FrontEnd
from ostinato.model.wire import Wire

if TYPE_CHECKING:
    import torch

Array = npt.NDArray[Any]
_NONE = Settings()


def from_module(module: torch.nn.Module, front_end: FrontEnd | int, settings: Settings = _NONE) -> Imported:
    """The network of a module, whose outputs in eval() it has. ``front_end``: what makes its frames or token ids, or
    how many values a ready frame has. Its input is a batch of utterances, in whatever order of axes its modules want.

    Raises ForeignModelError, naming what cannot be read, if tracing fails, or the outputs are not the module's.
    """
    import torch

    if isinstance(front_end, int):
        front_end = Frames(front_end, settings.frame_ms)
    name = type(module).__name__
    try:
        module = copy.deepcopy(module).cpu().float().eval()
    except RuntimeError as error:  # of weights that are computed of others, as the old weight_norm has them
        raise ForeignModelError(
            f"{name} cannot be copied ({str(error).partition('.')[0]}): take "
            "torch.nn.utils.parametrizations.weight_norm, or torch.nn.utils.remove_weight_norm of each such module"
        ) from error
    if type(module).__module__.startswith("torch.nn") and not isinstance(module, torch.nn.Sequential):
        module = torch.nn.Sequential(module)
    graph = _traced(module)
    stored = {
        key: Stored("float32", np.array(tensor.detach().float().numpy()))
        for key, tensor in module.state_dict().items()
    }
    wire, failed = front_end.wire, list[str]()
    for axes in ("bt", "tb") if wire.token else ("btc", "bct", "tbc", *(("bt",) if wire.size == 1 else ())):
        builder, arrays = Builder(front_end), Arrays(stored)
        try:
            trace = Trace(graph.nodes, dict(module.named_modules()), arrays, builder, axes)
        except AxesError as error:
            failed.append(f"{axes}: {error}")
            continue
        outputs = _outputs(trace.result)
        network = builder.network(
            settings, [(head, value.node, Outputs()) for head, value in outputs.items()], name=name
        )
        decided = [Decision("axes", f"of the input: {', '.join(_AXES[axis] for axis in axes)}")]
        if any(value.last for value in outputs.values()):
            if network.specification.direction == "bidirectional":
                raise ForeignModelError(
                    f"{name} takes the last frame of what looks back from the end, which is another for each end: "
                    "make its outputs those of every frame, or decode them as a class of the utterance"
                )
            decided.append(Decision("last frame", "each frame's outputs are those of an utterance that ends with it"))
        decided += arrays.finish(arrays.left)
        draft = Draft(network, _Module(module, wire, axes, trace.result), tuple(decided))
        return completed(f"{name} (PyTorch {torch.__version__})", draft, settings)
    raise ForeignModelError(f"{name}: its modules agree on no order of the input's axes ({'; '.join(failed)})")


_LONGEST = 1024
"""Frames that a module should be content with."""
_AXES = {"b": "batch", "t": "frames", "c": "values"}


def _traced(module: torch.nn.Module) -> torch.fx.Graph:
    """Its graph, where states that may be given are not."""
    import inspect

    import torch.fx

    parameters = list(inspect.signature(module.forward).parameters.values())[1:]
    absent = {each.name: None for each in parameters if each.default is None}
    try:
        return torch.fx.Tracer().trace(module, absent or None)
    except Exception as error:  # whatever a module's own code says to the tracer's stand-ins
        raise ForeignModelError(
            f"{type(module).__name__} cannot be traced ({error}): what it does depends on its input. Write settings "
            "for its state dictionary (docs/import.md), or export it as ONNX"
        ) from error


def _outputs(result: Any) -> dict[str, Value]:
    """By the names of heads: of a dictionary its keys; "main", "main-2" and so on of a tuple. States are left out."""
    found = {head: value for head, value, _ in _named(result, result)}
    if not found or any(value.pad != (0, 0) for value in found.values()):
        raise ForeignModelError("what the module returns is no value of frames, nor a tuple or dictionary of such")
    return found


def _named(traced: Any, real: Any) -> list[tuple[str, Value, Any]]:
    """Name, traced value, and what the module really gave, of each output."""
    if isinstance(traced, Mapping):
        return [(str(key), *pair) for key in traced for pair in _pairs(traced[key], real[key])]
    return [
        ("main" if number == 1 else f"main-{number}", *pair) for number, pair in enumerate(_pairs(traced, real), 1)
    ]


def _pairs(traced: Any, real: Any) -> list[tuple[Value, Any]]:
    """Of nested tuples, without states."""
    if isinstance(traced, tuple | list):
        return [pair for one, other in zip(traced, real, strict=True) for pair in _pairs(one, other)]
    return [(traced, real)] if isinstance(traced, Value) else []


class _Module:
    """The module itself, an utterance at a time."""

    def __init__(self, module: torch.nn.Module, wire: Wire, axes: str, result: Any) -> None:
        self._module, self._wire, self._axes, self._result = module, wire, axes, result

    @property
    def name(self) -> str:
        """As `Source.name`."""
        import torch

        return f"PyTorch {torch.__version__}"

    def inputs(self, generator: np.random.Generator, count: int) -> Array:
        """As `Source.inputs`; longer, where the module refuses so few frames."""
        while True:
            inputs = random_inputs(self._wire, generator, count)
            try:
                self._computed(inputs)
            except RuntimeError as error:
                if (count := 2 * count) > _LONGEST:
                    raise ForeignModelError(f"the module itself does not run: {error}") from error
            else:
                return inputs

    def outputs(self, inputs: Array) -> Mapping[str, Array]:
        """As `Source.outputs`; of the last frame alone: once for each frame, as if it were the last."""
        heads = _outputs(self._result)
        found = {head: array for head, array in self._computed(inputs).items() if not heads[head].last}
        if len(found) < len(heads):
            parts = [self._computed(inputs[: end + 1]) for end in range(len(inputs))]
            found |= {head: np.concatenate([part[head] for part in parts]) for head in heads if head not in found}
        return found

    def _computed(self, inputs: Array) -> dict[str, Array]:
        """[frames, size] by head; of the last frame [1, size]."""
        import torch

        x, here = (inputs, "tc"[: inputs.ndim]) if "c" in self._axes else (inputs.reshape(-1), "t")
        x = np.transpose(x, [here.index(axis) for axis in self._axes if axis != "b"])
        with torch.no_grad():
            result = self._module(torch.from_numpy(np.expand_dims(x, self._axes.index("b")).copy()))
        found = {}
        for head, value, tensor in _named(self._result, result):
            array = np.take(tensor.numpy(), 0, value.axes.index("b"))
            if "ct" in value.axes.replace("b", ""):
                array = array.T
            found[head] = array.reshape(len(array) if "t" in value.axes else 1, -1)
        return found
