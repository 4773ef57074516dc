"""Every kind of layer, through all storeys: what it computes, keeps, learns, and how it is quantized."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import reference
import reference_int8
from kinds import KINDS, Example, sensible
from test_kernels_cells import random_weights
from test_training_gradients import check

from ostinato.errors import BadModelFileError, InputError
from ostinato.kernels.operations import KINDS as OPERATIONS
from ostinato.kernels.operations import record
from ostinato.model import Network
from ostinato.model.activation import Activation
from ostinato.model.compile import compile_network
from ostinato.model.decoders import Generation, Outputs
from ostinato.model.front_ends import Frames, FrontEnd, Tokens
from ostinato.model.layers import LAYERS, Dense, OneHot
from ostinato.model.quantization import quantize
from ostinato.model.specification import FRAMES, Head, Node, Specification
from ostinato.model.whole_sequence import whole_sequence
from ostinato.training import Sources, pad
from ostinato.training.layers import LEARNING
from ostinato.training.network import TrainableNetwork

TOLERANCE = 1e-5
FEATURES = 6


PLAIN = Activation("affine")
"""Does nothing, but no layer above is folded into it (`ostinato.model.compile`)."""


def examples() -> Iterator[Any]:
    """Each example of each kind, in each direction if it has one."""
    for kind in KINDS.values():
        for number, example in enumerate(kind.examples):
            remembers = any(wire.memory for wire in example.inputs)  # then it stands in what generates
            ways = ("forward",) if remembers else ("forward", "backward", "bidirectional")
            for way in ways if hasattr(example.layer, "direction") else (None,):
                layer = example.layer if way is None else dataclasses.replace(example.layer, direction=way)
                label = f"{layer.kind} {number} {way or ''}".strip()
                yield pytest.param(Example(layer, example.inputs), id=label)


EXAMPLES = list(examples())


def network_around(example: Example, above: bool = True) -> Specification:
    """The example's layer as node "x" in a network: below it dense layers for vectors, or tokens; above it, where it
    gives a vector, a dense layer. Beside an encoder, if the layer looks something up."""
    if any(wire.memory for wire in example.inputs):
        return beside_an_encoder(example, above)
    nodes: list[Node] = []
    front: FrontEnd = Frames(FEATURES)
    names: list[str] = []
    for wire in example.inputs:
        name = FRAMES
        if wire.token:
            front = Tokens(tuple("abcdefghij"[: wire.size]))
        if wire.form != "id":
            name = f"below-{len(nodes)}"
            nodes.append(Node(name, OneHot() if wire.token else Dense(wire.size, PLAIN), (FRAMES,)))
        names.append(name)
    nodes.append(Node("x", example.layer, tuple(names)))
    if above or example.layer.output(example.inputs).token:
        nodes.append(Node("above", Dense(3), ("x",)))
    return Specification("around", front, tuple(nodes), (Head("main", nodes[-1].name, Outputs()),))


def beside_an_encoder(example: Example, above: bool) -> Specification:
    """`network_around` in a model that generates; what is looked up comes from dense layers over frames."""
    entries = 3 if above else example.layer.output(example.inputs).size
    nodes, made, names = [Node("one-hot", OneHot(), (FRAMES,))], list[Node](), list[str]()
    for number, wire in enumerate(example.inputs):
        if wire.memory:
            made.append(Node(f"made-{number}", Dense(wire.size, PLAIN), (FRAMES,)))
        else:
            nodes.append(Node(f"below-{number}", Dense(wire.size, PLAIN), ("one-hot",)))
        names.append(f"encoder.head-{number}" if wire.memory else nodes[-1].name)
    nodes.append(Node("x", example.layer, tuple(names)))
    if above:
        nodes.append(Node("above", Dense(entries), ("x",)))
    if example.layer.kind == "last":  # nothing else reads the tokens
        nodes = nodes[1:]
    heads = tuple(Head(node.name.replace("made", "head"), node.name, Outputs()) for node in made)
    encoder = Specification("encoder", Frames(FEATURES), tuple(made), heads)
    vocabulary = tuple(chr(ord("a") + number) for number in range(entries))
    head = Head("main", nodes[-1].name, Generation(start=0))
    return Specification("around", Tokens(vocabulary), tuple(nodes), (head,), encoder=encoder)


def source_for(specification: Specification, seed: int = 0) -> npt.NDArray[np.float32] | None:
    """What the encoder is given, if there is one."""
    return None if specification.encoder is None else frames_for(specification.encoder, 35, seed)


def frames_for(specification: Specification, count: int, seed: int = 0) -> npt.NDArray[np.float32]:
    generator = np.random.default_rng(seed)
    if specification.front_end.wire.token:
        return generator.integers(0, specification.front_end.wire.size, (count, 1)).astype(np.float32)
    return generator.standard_normal((count, FEATURES)).astype(np.float32)


# --- tables ---------------------------------------------------------------------------------------------------------


def test_every_storey_has_a_room_for_each_kind() -> None:
    """What is in one table is in all: a kind that one storey lacks would be met by a user first."""
    assert list(KINDS) == list(LAYERS), "tests/kinds"
    for name, kind in KINDS.items():
        assert kind.layer is LAYERS[name]
        assert all(type(example.layer) is kind.layer for example in kind.examples) and kind.examples, name
    unlearnt = {name for name, kind in KINDS.items() if kind.learns_not}
    assert set(LEARNING) | unlearnt == set(LAYERS) and not set(LEARNING) & unlearnt, "training/layers"


def rows() -> dict[str, dict[str, str]]:
    """The table of kinds in docs/layers.md, by kind."""
    text = (Path(__file__).parents[1] / "docs" / "layers.md").read_text()
    lines = [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line[:1] == "|"]
    start = next(number for number, cells in enumerate(lines) if cells[0] == "kind")
    named = [cells for cells in lines[start + 2 :] if cells[0].startswith("`")]
    return {cells[0].strip("`"): dict(zip(lines[start], cells, strict=True)) for cells in named}


def test_the_documentations_table_says_what_each_kind_is() -> None:
    table = rows()
    assert set(table) == set(LAYERS), "docs/layers.md"
    for name, row in table.items():
        weights, state, int8 = False, False, False
        for example in KINDS[name].examples:
            specification = network_around(example)
            program, stages = compile_network(specification, random_weights(specification, 0))
            kinds = [list(OPERATIONS.values())[number] for number in program.operations[:, record.KIND]]
            state |= any(kind.reach(op).states for kind, op in zip(kinds, program.operations, strict=True))
            state |= stages is not None
            weights |= bool(example.layer.weights(example.inputs))
            int8 |= example.layer.in_int8(example.inputs, last=False) != example.layer
        assert (row["weights"] != "none") == weights, name
        assert (row["state"] != "none") == state, name
        assert (not row["int8"].startswith("no")) == int8, name
        assert row["learns"].startswith("no" if KINDS[name].learns_not else "yes"), name
        either = hasattr(KINDS[name].examples[0].layer, "direction")
        assert ("backward: the utterance" in row["delay"]) == either, name


def test_every_operation_is_used_by_a_kind() -> None:
    names, used = list(OPERATIONS), set[str]()
    for example in EXAMPLES:
        specification = network_around(example.values[0])
        program, stages = compile_network(specification, random_weights(specification, 0))
        for each in (program, *(stages.programs if stages else ())):
            used |= {names[number] for number in each.operations[:, record.KIND]}
    assert used == set(OPERATIONS)


# --- each kind ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("example", EXAMPLES)
def test_kernels_compute_what_the_formulas_say(example: Example) -> None:
    for above in (False, True):
        specification = network_around(example, above)
        weights, frames = random_weights(specification, 3), frames_for(specification, 20)
        network, source = Network(specification, weights), source_for(specification)
        program, found = network.program, whole_sequence(network, frames, source)[0]
        exact = reference.run(specification, weights, frames, source)
        assert np.abs(exact).max() > 0.01, "the comparison must mean something"
        assert exact.shape[1] == specification.output_size
        assert exact.shape == found.shape
        np.testing.assert_allclose(found, exact, atol=TOLERANCE, rtol=0)
        early = program.early == len(program.backward)
        assert early != example.layer.backward, "what runs backward needs all frames, what runs forward none later"


@pytest.mark.parametrize("example", EXAMPLES)
def test_it_learns(example: Example) -> None:
    """Gradients of its weights, and by those of the layers below of its inputs, against central differences."""
    if why := KINDS[example.layer.kind].learns_not:
        assert example.layer.kind not in LEARNING, why
        return
    net = TrainableNetwork(network_around(example), np.float64)
    generator = np.random.default_rng(5)
    for weight in net.parameters.values():
        weight[:] = generator.normal(scale=0.7, size=weight.shape)
    for name, weight in sensible(net.specification, net.parameters).items():
        net.parameters[name][:] = weight
    check(net)


@pytest.mark.parametrize("example", EXAMPLES)
def test_from_nothing_nothing_is_learnt(example: Example) -> None:
    """Recordings too short for a frame, alone in their batch."""
    specification = network_around(example)
    if KINDS[example.layer.kind].learns_not:
        return
    trained = TrainableNetwork(specification, weights=random_weights(specification, 3))
    frames = frames_for(specification, 0)
    inputs = frames[:, 0].astype(int) if isinstance(specification.front_end, Tokens) else frames
    source = source_for(specification)
    sources = None if source is None else Sources(*pad([source]))
    outputs = trained.forward(*pad([inputs]), sources=sources)["main"]
    assert outputs.shape[:2] == (1, 0)
    for gradient in trained.backward({"main": np.zeros_like(outputs)}).values():
        assert not gradient.any()


@pytest.mark.parametrize("example", EXAMPLES)
def test_it_answers_on_quantizing(example: Example) -> None:
    """int8 or itself; in int8 it does what the arithmetic says, to the bit, and is near what it was."""
    specification = network_around(example)
    network = Network(specification, random_weights(specification, 4))
    frames = frames_for(specification, 40)
    if specification.encoder is not None:
        with pytest.raises((BadModelFileError, InputError), match=r"no layer to quantize|give a source"):
            quantize(network, [frames])  # with a source, to the bit: test_int8
        return
    wires = [specification.wires[name] for name in specification.nodes[-2].inputs]
    layer = example.layer.in_int8(wires, last=False)
    assert type(layer) is type(example.layer)
    if getattr(layer, "precision", "float32") == "float32":
        assert layer == example.layer
        assert not any(weight.int8 for weight in layer.weights(wires).values())
        return
    assert any(weight.int8 for weight in layer.weights(wires).values())
    after = quantize(network, [frames])
    assert next(node.layer for node in after.specification.nodes if node.name == "x") == layer
    found, exact = whole_sequence(after, frames)[0], reference.run(specification, network.weights, frames)
    assert found.tobytes() == reference_int8.run(after.specification, after.weights, frames).tobytes()
    assert np.abs(found - exact).mean() < 0.1 * np.abs(exact).max() + 0.01, "(the mean: some activations jump)"
