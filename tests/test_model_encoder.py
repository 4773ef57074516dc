"""Models with an encoder: what they are as data and in a file, what is refused of them, and how they are shown."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import reference

from ostinato.cli import graph
from ostinato.errors import BadModelFileError
from ostinato.model import Network, read, write
from ostinato.model.decoders import Crf, Generation, Outputs
from ostinato.model.front_ends import Frames, Tokens
from ostinato.model.layers import (
    Add,
    Attention,
    Concatenate,
    Convolution,
    Dense,
    Each,
    Embedding,
    Gru,
    Last,
    Layer,
    Lstm,
    MaxPool,
    Sru,
    Within,
)
from ostinato.model.specification import FRAMES, Head, Node, Specification
from ostinato.model.whole_sequence import whole_sequence
from ostinato.model.wire import Wire

ENCODER = Specification(
    "encoder",
    Frames(6, normalise=True),
    (
        Node("gru", Gru(7, direction="bidirectional"), (FRAMES,)),
        Node("keys", Dense(9), ("gru",)),
    ),
    (Head("keys", "keys", Outputs()), Head("values", "gru", Outputs())),
)
MODEL = Specification(
    "translator",
    Tokens(tuple("abcd")),
    (
        Node("embedding", Embedding(4), (FRAMES,)),
        Node("gru", Gru(9), ("embedding", "encoder.keys")),
        Node("attention", Attention("additive"), ("gru", "encoder.keys", "encoder.values")),
        Node("last", Last(), ("encoder.values",)),
        Node("all", Concatenate(), ("gru", "attention", "last")),
        Node("out", Dense(4), ("all",)),
    ),
    (Head("main", "out", Generation(start=0, end=1)),),
    encoder=ENCODER,
)


def test_a_whole_model_computes_what_the_formulas_say() -> None:
    network, generator = Network.random(MODEL), np.random.default_rng(0)
    source = generator.standard_normal((23, 6)).astype(np.float32)
    tokens = generator.integers(0, 4, (9, 1)).astype(np.float32)
    found = whole_sequence(network, tokens, source)[0]
    np.testing.assert_allclose(found, reference.run(MODEL, network.weights, tokens, source), atol=1e-5)
    with pytest.raises(ValueError, match="needs a source"):
        whole_sequence(network, tokens)


def test_a_file_has_both_graphs_and_their_weights(tmp_path: Path) -> None:
    network, path = Network.random(MODEL, 3), tmp_path / "translator.safetensors"
    assert network.encoder is not None
    assert {name for name in network.weights if name.startswith("encoder.")} == {
        f"encoder.{name}" for name in network.encoder.weights
    }
    assert network.weights["encoder.keys.W"] is network.encoder.weights["keys.W"], "held once"
    write(path, network)
    again = read(path)
    assert again.specification == MODEL and again.digest == network.digest
    changed = {**network.weights, "encoder.keys.b": np.ones(9, np.float32)}
    assert Network(MODEL, changed).digest != network.digest


def test_what_has_no_encoder_is_written_as_ever() -> None:
    """Digests of models, and so snapshots of their streams, are those that they were."""
    assert "encoder" not in json.loads(ENCODER.to_json())
    told = json.loads(MODEL.to_json())
    assert "encoder" not in told["encoder"] and Specification.from_json(json.dumps(told)) == MODEL
    told["encoder"] = None
    with pytest.raises(BadModelFileError, match=r"reads 'encoder\.keys', which is not there"):
        Specification.from_json(json.dumps(told))


WEIGHTS = Network.random(MODEL).weights


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ({**WEIGHTS, "encoder.keys.W": np.zeros((9, 13), np.float32)}, r"weight encoder\.keys\.W has shape"),
        ({n: w for n, w in WEIGHTS.items() if n != "encoder.keys.b"}, r"weight encoder\.keys\.b is missing"),
        ({**WEIGHTS, "encoder.x": np.zeros(1, np.float32)}, r"weight encoder\.x is unused"),
        ({**WEIGHTS, "encoder.keys.b": np.full(9, np.nan, np.float32)}, "the encoder: weight keys.b has NaN"),
    ],
)
def test_wrong_weights_of_the_encoder_are_refused_by_name(weights: Any, message: str) -> None:
    with pytest.raises(BadModelFileError, match=message):
        Network(MODEL, weights)


def node(name: str, layer: Layer, *inputs: str) -> tuple[Node, ...]:
    """The model's nodes with that one in the place of its namesake, or before the last."""
    if any(each.name == name for each in MODEL.nodes):
        return tuple(Node(name, layer, inputs) if each.name == name else each for each in MODEL.nodes)
    return (*MODEL.nodes[:-1], Node(name, layer, inputs), MODEL.nodes[-1])


def heads(*changed: Head) -> Specification:
    return replace(ENCODER, heads=changed)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"encoder": None}, r"reads 'encoder\.keys', which is not there"),
        ({"nodes": node("gru", Gru(9), "embedding", "encoder.kyes")}, r"did you mean 'encoder\.keys'"),
        (
            {"nodes": node("gru", Gru(8), "embedding", "encoder.keys")},
            r"\(gru\) begins from 9 values: they must be 8",
        ),
        ({"nodes": node("gru", Lstm(5), "embedding", "encoder.keys")}, "must be 5, its h, or 10, all its states"),
        ({"nodes": node("gru", Gru(9, initial=True), "embedding", "encoder.keys")}, "are no weights"),
        ({"nodes": node("gru", Gru(9, "backward"), "embedding", "encoder.keys")}, "runs forward"),
        ({"nodes": node("gru", Gru(9), "embedding", "embedding")}, "its input 2 only what an encoder has made"),
        ({"nodes": node("out", Dense(4), "encoder.keys")}, "its input 1 is what the encoder has made"),
        ({"nodes": node("out", Add(), "embedding", "encoder.keys")}, "its input 2 is what the encoder has made"),
        (
            {"nodes": node("attention", Attention(), "gru", "gru", "encoder.values")},
            "its input 2 only what an encoder",
        ),
        (
            {"nodes": node("attention", Attention(), "encoder.keys", "encoder.keys", "encoder.values")},
            "its input 1 is",
        ),
        ({"nodes": node("attention", Attention(), "gru", "encoder.keys")}, "takes a query, keys and values"),
        ({"nodes": node("attention", Attention(), "gru", "encoder.values", "encoder.keys")}, "keys of 14"),
        ({"nodes": node("last", Last(), "gru")}, "its input 1 only what an encoder"),
        ({"nodes": node("out", Convolution(4, 3, right=1), "all")}, "feeds its tokens back"),
        ({"encoder": heads(*ENCODER.heads, Head("tags", "keys", Crf(tuple("abcdefghi"))))}, "has the decoder 'crf'"),
        ({"encoder": heads(*ENCODER.heads, Head("idle", "gru", Outputs()))}, r"encoder\.idle is read by no node"),
        ({"encoder": MODEL}, "the encoder has an encoder"),
        ({"heads": (Head("main", "out", Outputs()),)}, "what has an encoder generates"),
        ({"heads": (Head("main", "out", Generation(end=1)),)}, "has no start token"),
        ({"nodes": node("encoder", Dense(4), "all")}, "no node is named 'encoder'"),
    ],
)
def test_what_does_not_fit_is_refused_by_name(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(BadModelFileError, match=message):
        replace(MODEL, **changes)


def test_heads_of_other_rates_cannot_lie_side_by_side() -> None:
    pooled = (Node("half", MaxPool(2, 2), (FRAMES,)), Node("keys", Dense(9), ("half",)))
    nodes = (*pooled, Node("gru", Dense(14), (FRAMES,)))
    with pytest.raises(BadModelFileError, match="rates"):
        replace(MODEL, encoder=replace(ENCODER, nodes=nodes))


def test_what_is_looked_up_goes_into_no_layer_within_another() -> None:
    with pytest.raises(BadModelFileError, match="its input 1 is what the encoder has made"):
        replace(MODEL, nodes=node("last", Each(7, Dense(2)), "encoder.values"))
    with pytest.raises(BadModelFileError):
        Each(2, Attention()).output([Wire(6, memory=True)])


@pytest.mark.parametrize("around", [Within, Each])
def test_what_looks_something_up_stands_in_no_other_layer(around: type[Within | Each]) -> None:
    """Else a beginning, or keys and values, would be taken from the frame's own positions."""
    for layer, inputs in ((Sru(1), 2), (Attention(), 3), (Last(), 1)):
        with pytest.raises(BadModelFileError):
            around(1, layer).output([Wire(1)] * inputs)


def test_settings_of_attention() -> None:
    with pytest.raises(BadModelFileError, match="scale = 0"):
        Attention(scale=0)
    with pytest.raises(BadModelFileError, match="scale = 2"):
        Attention("additive", scale=2)


def test_both_graphs_are_shown_as_one() -> None:
    found = graph.vertices(MODEL)
    assert [vertex.name for vertex in found if not vertex.reads] == ["encoder.frames", "frames"]
    reads = {vertex.name: vertex.reads for vertex in found}
    assert reads["encoder.keys"] == ("encoder.gru",) and reads["attention"] == ("gru", "encoder.keys", "encoder.gru")
    told = {each["name"]: each for each in graph.described(MODEL)["nodes"]}
    assert told["encoder.gru"]["delay_frames"] is None and told["gru"]["delay_frames"] == 0
    assert sum(each["weights"] for each in told.values()) == Network.random(MODEL).size - 2 * 6
