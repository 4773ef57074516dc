"""PyTorch's state dictionaries as JSON: bare, as RTNeural's examples have them, or beside ``model_data``, as
Automated-GuitarAmpModelling and GuitarML write them. Recurrent and linear modules, one behind the other."""

from __future__ import annotations

from pathlib import Path

from ostinato.errors import ForeignModelError
from ostinato.importing.arrays.contents import Arrays, Stored
from ostinato.importing.audio_json import document, sound
from ostinato.importing.audio_json.document import Document
from ostinato.importing.builder import Builder
from ostinato.importing.draft import Decision, Draft
from ostinato.importing.pytorch.modules import RECURRENT, Layers, Module, layers_of, recognise
from ostinato.importing.pytorch.parameters import Parameters, module_names
from ostinato.importing.settings import Settings
from ostinato.model.layers import Add, Recurrent, Slice
from ostinato.model.specification import FRAMES

_READ = (*RECURRENT, "Linear")


def draft(path: Path, settings: Settings) -> Draft:
    """As `ostinato.importing.formats` wants it."""
    settings.known()
    file = document.read(path)
    model = file.document("model_data") if "model_data" in file else None
    said = {name: file.get(name, str, "") for name in ("name", "author") if model and name in file}
    state = file.document("state_dict") if model else file
    arrays = Arrays({name: Stored("float32", state.array(name)) for name in state})
    file.end("take it out if it is no part of the network")
    chain = [Parameters.own(arrays, name) for name in module_names(arrays)]
    if not chain or recognise(chain[0]) not in RECURRENT:
        raise ForeignModelError(
            "its arrays do not begin with a recurrent module (rec.weight_ih_l0 and so on): what else a network does "
            "is in its program only; export ONNX from PyTorch"
        )
    builder = Builder(sound.front_end(settings, _inputs(chain[0]), sound.USUAL_RATE))
    node = FRAMES
    decisions = [Decision("sample rate", f"{sound.USUAL_RATE:g} Hz, which the file does not say")]
    recurrent: tuple[Module, Layers] | None = None
    for parameters in chain:
        if (kind := recognise(parameters)) not in _READ:
            raise ForeignModelError(
                f"{parameters.what} is a {kind}: modules of a chain of recurrent and linear ones are read; export "
                "ONNX for others"
            )
        module, layers = layers_of(parameters, {}, builder.wires[node])
        for layer, weights in layers:
            node = builder.add(layer, [node], weights, name=parameters.prefix)
        recurrent = recurrent or (module, layers)
        told = ", with tanh: shapes do not say if it is relu" if kind == "RNN" else ""
        decisions.append(Decision(parameters.prefix or kind, f"{module.said(layers)}{told}"))
    arrays.finish([])
    if model and recurrent:
        _check(model, *recurrent, builder.wires[FRAMES].size, builder.wires[node].size)
        if skip := model.get("skip", int, 0):
            node = _add_input(builder, node, skip)
            decisions.append(Decision("skip", "the input is added to the outputs"))
        model.end("take it out if it is no part of the network")
    return sound.draft(builder, settings, node, path, said, decisions)


def _inputs(parameters: Parameters) -> int:
    """Values of a frame that a recurrent module reads."""
    return parameters.shape("weight_ih_l0" if "weight_ih_l0" in parameters else "weight_ih", 2)[1]


def _check(model: Document, module: Module, layers: Layers, inputs: int, outputs: int) -> None:
    """Raise ForeignModelError if ``model_data`` says another network than the arrays are."""
    model.drop("model", "bias_fl")
    first = layers[0][0]
    hidden = first.hidden if isinstance(first, Recurrent) else 0
    are = {"input_size": inputs, "output_size": outputs, "hidden_size": hidden, "num_layers": len(layers)}
    for field, size in are.items():
        if (says := model.size(field, size)) != size:
            raise ForeignModelError(f"model_data.{field} is {says}, and the arrays are of {size}")
    unit = model.take("unit_type", str)
    if module.name != unit:
        raise ForeignModelError(f"model_data.unit_type is {unit}, and its recurrent module is of {module.name}")


def _add_input(builder: Builder, node: str, skip: int) -> str:
    """The first ``skip`` inputs are added to the outputs."""
    inputs, outputs = builder.wires[FRAMES].size, builder.wires[node].size
    if not 0 < skip <= inputs or skip not in (1, outputs):
        raise ForeignModelError(f"model_data.skip is {skip}, and cannot be with {inputs} inputs, {outputs} outputs")
    dry = FRAMES if skip == inputs else builder.add(Slice(0, skip), [FRAMES], name="dry")
    return builder.add(Add(), [node, dry], name="skip")
