"""The specification as JSON: round trips, and every wrong text refused by the place that is wrong."""

from __future__ import annotations

import dataclasses
import json
import math
import re
from typing import Any, Literal, get_origin, get_type_hints

import numpy as np
import pytest
from kinds import KINDS

from ostinato.errors import BadModelFileError
from ostinato.model.activation import Activation
from ostinato.model.decoders import (
    DECODERS,
    Audio,
    Beats,
    Crf,
    Ctc,
    CtcBeam,
    EndOfSpeech,
    Generation,
    InverseSpectrum,
    Labels,
    Outputs,
    OverlapAdd,
    Peaks,
    RnnoiseSynthesis,
    SequenceClass,
    SequenceOutputs,
    SpeechActivity,
)
from ostinato.model.front_ends import (
    FRONT_ENDS,
    FilteredSpectrogram,
    Frames,
    LogMel,
    Mfcc,
    RnnoiseFeatures,
    Samples,
    Spectrum,
    Tokens,
)
from ostinato.model.layers import (
    LAYERS,
    Convolution,
    Dense,
    Each,
    Embedding,
    Gather,
    Gru,
    Layer,
    Lstm,
    OneHot,
    Rnn,
    Softmax,
    Transpose,
    Within,
)
from ostinato.model.specification import Head, Node, Sequential, Specification

DIGITS = ("", "zero", "one")

SPECIFICATIONS = [
    Sequential(
        "audio",
        LogMel(mels=20, high_hz=3800.0, stack=3, stride=2, normalise=True),
        (Gru(8), Gru(5, direction="bidirectional", reset="before"), Dense(3), Softmax()),
        Ctc(DIGITS),
        card={"data": "synthetic"},
    ),
    Sequential(
        "text",
        Tokens(("a", "b", "?"), unknown=2, begin=0, end=1),
        (Embedding(4), Lstm(6, peepholes=True, direction="backward"), Dense(2), Softmax()),
        SequenceClass(("bad", "good"), pool="mean"),
    ),
    Sequential(
        "pieces",
        Tokens(("?", " "), unit="piece", unknown=0, mark=" "),
        (OneHot(), Dense(1)),
        Outputs(),
    ),
    Sequential(
        "one-hot",
        Tokens(("a", "b"), unit="word", unknown=1),
        (OneHot(), Rnn(3, activation=Activation("leaky-relu", 0.1))),
        Outputs(),
    ),
    Sequential("vad", Frames(4), (Rnn(1, activation=Activation("sigmoid")),), EndOfSpeech(threshold=0.6)),
    Sequential("chances", Frames(2), (Dense(2, activation=Activation("hard-sigmoid")),), Labels(("x", "y"))),
    Sequential("nothing", Frames(2), (), Outputs()),
]


@pytest.mark.parametrize("specification", SPECIFICATIONS, ids=lambda s: s.name)
def test_json_round_trip_gives_an_equal_specification(specification: Specification) -> None:
    assert Specification.from_json(specification.to_json()) == specification


@pytest.mark.parametrize("specification", SPECIFICATIONS, ids=lambda s: s.name)
def test_each_field_left_out_is_either_optional_or_missed_by_name(specification: Specification) -> None:
    whole = json.loads(specification.to_json())
    for field in whole:
        cut = {key: value for key, value in whole.items() if key != field}
        try:
            Specification.from_json(json.dumps(cut))
        except BadModelFileError as error:
            assert field in str(error)
        else:
            assert field in ("description", "licence", "card")


def shapes_of(specification: Specification) -> dict[str, tuple[int, ...]]:
    return {name: weight.shape for name, weight in specification.weights().items()}


def test_weight_shapes_follow_the_gates_and_directions() -> None:
    shapes = shapes_of(SPECIFICATIONS[0])
    assert shapes["front_end.mean"] == (20,)
    assert shapes["gru-1.forward.W"] == (24, 60)
    assert shapes["gru-2.backward.R"] == (15, 5)
    assert shapes["dense.W"] == (3, 10)
    text = shapes_of(SPECIFICATIONS[1])
    assert text["embedding.E"] == (3, 4)
    assert text["lstm.backward.P"] == (18,)
    assert "lstm.forward.W" not in text


def test_direction_is_bidirectional_as_soon_as_one_layer_looks_back() -> None:
    assert [s.direction for s in SPECIFICATIONS[:4]] == [
        "bidirectional",
        "bidirectional",
        "unidirectional",
        "unidirectional",
    ]


def changed(path: str, value: Any, specification: Specification = SPECIFICATIONS[0]) -> str:
    """The specification's JSON with the value at the dotted path replaced."""
    whole = json.loads(specification.to_json())
    *parents, last = path.split(".")
    place = whole
    for step in parents:
        place = place[int(step)] if isinstance(place, list) else place[step]
    place[int(last) if isinstance(place, list) else last] = value
    return json.dumps(whole)


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("[]", "not a JSON object"),
        ("{", "not JSON"),
        (changed("version", 1), "version 1"),
        (changed("front_end.kind", "wavelet"), "wavelet"),
        (changed("front_end.hop_ms", "10"), "hop_ms"),
        (changed("front_end.high_hz", 9000.0), "high_hz"),
        (changed("front_end.colour", "red"), "colour"),
        (changed("front_end.sample_rate", 10**400), "sample_rate is a number of 401 digits"),
        (changed("nodes.0.layer.hidden", 0), "hidden = 0"),
        (changed("nodes.0.layer.hidden", 10**9), "hidden = 1000000000"),
        (changed("nodes.0.layer.hidden", 8.0), "hidden"),
        (changed("nodes.0.layer.hidden", True), "hidden"),
        (changed("nodes.0.layer.direction", "sideways"), "sideways"),
        (changed("nodes.0.layer", {"kind": "one-hot"}), "node 'gru-1' (one-hot) takes token ids"),
        (changed("nodes.2.layer", {"kind": "embedding", "size": 3}), "node 'dense' (embedding) takes token ids"),
        (changed("nodes.0.inputs", []), "node 'gru-1' (gru) takes one input, not 0"),
        (changed("nodes.1.inputs", ["gru-1", "gru-1"]), "takes as its input 2 only what an encoder has made"),
        (changed("nodes.1.inputs", ["gru-7"]), "node 'gru-2' reads 'gru-7', which is not there"),
        (changed("nodes.1.inputs", ["dense"]), "nodes gru-2 -> dense -> gru-2 read each other in a circle"),
        (changed("nodes.1.inputs", ["gru-2"]), "nodes gru-2 -> gru-2 read each other in a circle"),
        (changed("nodes.1.inputs", ["frames"]), "node 'gru-1' is read by no other and by no head"),
        (changed("nodes.1.name", "gru-1"), "node 'gru-1' is there twice"),
        (changed("nodes.1.name", "frames"), "'frames' is no name for a node"),
        (changed("nodes.1.name", "a.b"), "'a.b' is no name for a node"),
        (changed("heads", []), "there is no head"),
        (changed("heads.0.node", "gru-3"), "reads node 'gru-3', which is not there"),
        (changed("heads.0.node", "frames", SPECIFICATIONS[2]), "reads token ids"),
        (changed("heads.0.decoder.symbols", ["a"]), "symbols"),
        (changed("heads.0.decoder.blank", 3), "blank"),
        (changed("front_end.vocabulary", ["a", "a", "?"], SPECIFICATIONS[1]), "twice"),
        (changed("front_end.unknown", 3, SPECIFICATIONS[1]), "unknown = 3"),
        (changed("nodes", [], SPECIFICATIONS[1]), "'softmax', which is not there"),
        (changed("nodes.0.layer", []), "nodes[0].layer is []"),
        (changed("nodes.0.layer.kind", []), "kind []"),
        (changed("nodes.2.layer.activation", "tanh"), "nodes[2].layer.activation is 'tanh'"),
        (changed("heads.0.decoder.separator", "\ud800"), "surrogate"),
        (changed("front_end.hop_ms", 10**400), "hop_ms"),
        (
            changed("nodes.0", {"name": "x", "layer": {"kind": "softmax"}, "inputs": ["frames"], "b": 1}),
            "unknown field 'b'",
        ),
    ],
)
def test_wrong_json_is_refused_by_the_place_that_is_wrong(text: str, named: str) -> None:
    with pytest.raises(BadModelFileError, match=re.escape(named)):
        Specification.from_json(text)


def test_order_matters_and_heads_have_names() -> None:
    nodes = (Node("b", Dense(2), ("a",)), Node("a", Dense(2), ("frames",)))
    with pytest.raises(BadModelFileError, match="node 'b' reads 'a', which comes after it"):
        Specification("x", Frames(2), nodes, (Head("main", "b", Outputs()),))
    twice = (Head("main", "a", Outputs()), Head("main", "frames", Outputs()))
    with pytest.raises(BadModelFileError, match="head 'main' is there twice"):
        Specification("x", Frames(2), nodes[1:], twice)


@pytest.mark.parametrize(
    ("size", "layers", "named"),
    [
        (65536, [Softmax()] * 1000, "values a frame, over the limit of 262144"),
        (1, [Softmax()] * 1025, "1025 nodes are over the limit of 1024"),
        (1, [Gru(65000, "bidirectional")], "gives 130000 values"),
    ],
)
def test_a_large_graph_is_refused_before_anything_of_its_size_is_made(size: int, layers: Any, named: str) -> None:
    """A thousand nodes of 65,536 values each: four gigabytes of rows for sixteen frames."""
    with pytest.raises(BadModelFileError, match=named):
        Sequential("large", Frames(size), layers, Outputs())


# --- refused when it is made ----------------------------------------------------------------------------------------

PARTS: list[Any] = [
    Activation(), LogMel(), Mfcc(), FilteredSpectrogram(), Samples(), Spectrum(), RnnoiseFeatures(),
    Tokens(("a",)), Frames(3),
    *(kind.examples[0].layer for kind in KINDS.values()),
    Outputs(), Labels(("a", "b")), Ctc(("", "a")), CtcBeam(("", "a")), SequenceClass(("a", "b")), SequenceOutputs(2),
    EndOfSpeech(), Peaks(), Beats(), Crf(("a", "b")), Generation(start=0),
    SpeechActivity(), Audio(), OverlapAdd(4, 2), InverseSpectrum(4, 2), RnnoiseSynthesis(),
    *SPECIFICATIONS[:1], *SPECIFICATIONS[0].nodes[:1], *SPECIFICATIONS[0].heads,
]  # fmt: skip


def test_parts_are_all_there_are() -> None:
    kinds = [*FRONT_ENDS.values(), *LAYERS.values(), *DECODERS.values(), Activation, Specification, Node, Head]
    assert {type(part) for part in PARTS} == set(kinds)


@pytest.mark.parametrize(
    ("part", "field"), [(part, field.name) for part in PARTS for field in dataclasses.fields(part)],
    ids=lambda value: value if isinstance(value, str) else type(value).__name__,
)  # fmt: skip
def test_a_value_of_no_use_is_refused_when_it_is_given(part: Any, field: str) -> None:
    """Each field of each part: whatever it is, it is no such object, and a text it is only if any text will do."""
    with pytest.raises(BadModelFileError, match=field):
        dataclasses.replace(part, **{field: object()})
    if not isinstance(getattr(part, field), str) or get_origin(get_type_hints(type(part))[field]) is Literal:
        with pytest.raises(BadModelFileError, match=field):
            dataclasses.replace(part, **{field: "behind"})
    if isinstance(getattr(part, field), float):
        with pytest.raises(BadModelFileError, match=field):
            dataclasses.replace(part, **{field: math.nan})


@pytest.mark.parametrize(
    ("make", "named"),
    [
        (lambda: Gru(2, reset="behind"), "gru.reset is 'behind', not one of 'after', 'before'"),  # type: ignore[arg-type]
        (lambda: Gru(0), "gru: hidden = 0"),
        (lambda: Dense(65537), "dense: size = 65537"),
        (lambda: Labels("ab"), "labels.labels is 'ab'"),  # type: ignore[arg-type]
        (lambda: EndOfSpeech(threshold=1.5), "threshold = 1.5"),
        (lambda: EndOfSpeech(silence_ms=0.0), "silence_ms = 0"),
        (lambda: EndOfSpeech(min_speech_ms=-1.0), "min_speech_ms = -1"),
        (lambda: LogMel(window_ms=0.1), "window_ms"),
        (lambda: LogMel(high_hz=9000.0), "high_hz"),
        (lambda: Frames(0), "size"),
        (lambda: Tokens(("a", "a")), "twice"),
        (lambda: Tokens(("good",), unit="word"), "<unk>"),
        (lambda: Tokens(("good",), unit="piece"), "a piece vocabulary needs"),
        (
            lambda: Tokens(("a", "?"), unit="piece", unknown=1, mark=" "),
            "mark ' ' is for pieces, and must be an entry",
        ),
        (lambda: Tokens(("a", " "), mark=" "), "is for pieces"),
        (lambda: Tokens(("a", "b"), end=2), "front_end: end = 2 is outside the vocabulary"),
        (lambda: Within(4, Within(2, Dense(3))), "within: positions within positions"),
        (lambda: Within(4, Gru(3, precision="int8")), "within: what runs within frames is float32"),
        (lambda: Within(4, Each(2, Gru(3))), "within: positions within positions"),
        (lambda: Each(4, Within(2, Dense(3))), "each: positions within positions"),
        (lambda: Each(4, Gru(3, "bidirectional")), "each: what runs at each position runs forward"),
        (lambda: Each(4, Convolution(3, 3, right=1)), "each: its layer has to make a frame of each"),
        (lambda: Each(4, Gru(3, precision="int8")), "each: what runs at each position is float32"),
        (lambda: Gather(()), "gather: 0 indices are not from 1 to 65536"),
        (lambda: Gather((0, -2)), "gather: an index is not from -1 to 65535"),
    ],
)
def test_a_part_that_cannot_be_served_is_refused_when_it_is_made(make: Any, named: str) -> None:
    with pytest.raises(BadModelFileError, match=re.escape(named)):
        make()


@pytest.mark.parametrize(
    ("size", "layer", "named"),
    [
        (65, Within(33, Gru(8)), "has 33 positions, and what is below it gives 65 values, which they do not divide"),
        (65, Each(33, Gru(8)), "has 33 positions, and what is below it gives 65 values, which they do not divide"),
        (12, Each(4, Embedding(3)), "has 4 positions of 3 values: its layer (embedding) takes token ids"),
        (3, Gather((0, 3)), "takes value number 3, and what is below it gives 3, counted from 0"),
        (6, Within(2, Convolution(3, 3, left=0)), "has windows that do not fit into 2 positions"),
        (12, Within(4, Embedding(3)), "has 4 positions of 3 values: its layer (embedding) takes token ids"),
        (65536, Within(65536, Gru(65536)), "values within a frame, over the limit of 4194304"),
        (65536, Within(16, Convolution(16, 4096)), "values within a frame, over the limit of 4194304"),
        (12, Within(4, Dense(65536)), "gives 262144 values: at most 65536"),
        (12, Transpose(5), "takes 5 rows, and what is below it gives 12 values"),
    ],
)
def test_positions_and_rows_must_fit_a_frame(size: int, layer: Layer, named: str) -> None:
    with pytest.raises(BadModelFileError, match=re.escape(named)):
        Sequential("x", Frames(size), (layer,), Outputs())


@pytest.mark.parametrize("depth", [1, 100, 400, 900, 5000])
def test_layers_within_layers_are_refused_at_any_depth(depth: int) -> None:
    inner = '{"kind": "within", "positions": 1, "layer": ' * depth + '{"kind": "softmax"}' + "}" * depth
    text = changed("nodes.0.layer", "INNER").replace(
        '"INNER"', f'{{"kind": "within", "positions": 1, "layer": {inner}}}'
    )
    with pytest.raises(BadModelFileError, match=r"positions within positions|nested too deeply|not JSON"):
        Specification.from_json(text)


@pytest.mark.parametrize(
    "decoder", [Labels(("a", "b")), Ctc(("", "a")), SequenceClass(("a", "b")), EndOfSpeech()], ids=lambda d: d.kind
)
def test_a_decoder_of_probabilities_has_a_layer_of_probabilities_below(decoder: Any) -> None:
    for layers in ((), (Gru(2),), (Dense(2),), (Dense(2, activation=Activation("tanh")),), (Lstm(2),)):
        with pytest.raises(BadModelFileError, match=f"{decoder.kind} needs probabilities"):
            Sequential("odd", Frames(2), layers, decoder)
    sigmoid = Activation("sigmoid")
    for layers in ((Softmax(),), (Dense(2, activation=sigmoid),), (Rnn(2, activation=sigmoid),)):
        Sequential("good", Frames(2), layers, decoder)


@pytest.mark.parametrize(
    ("decoder", "named"),
    [
        (Labels(("a",)), "1 labels for 2"),
        (SequenceClass(("a", "b", "c")), "3 labels for 2"),
        (SequenceOutputs(3, "mean"), "size = 3 for 2 outputs"),
        (Ctc(("",)), "1 symbols for 2"),
        (Ctc(("", "a"), blank=2), "blank = 2"),
        (Ctc(("", "a"), silent=("b",)), "silent 'b'"),
        (CtcBeam(("", "a"), silent=("",)), "silent ''"),
        (EndOfSpeech(index=2), "index = 2"),
    ],
)
def test_a_decoder_that_does_not_fit_is_refused_when_the_specification_is_made(decoder: Any, named: str) -> None:
    with pytest.raises(BadModelFileError, match=named):
        Sequential("odd", Frames(2), (Softmax(),), decoder)


def test_what_means_the_same_is_the_same() -> None:
    """Lists for tuples, whole numbers for floats, NumPy's numbers for plain ones, as they come from a computation."""
    assert Labels(["a", "b"]) == Labels(("a", "b"))  # type: ignore[arg-type]
    assert Gru(np.int32(2)) == Gru(2) and Frames(3, frame_ms=10) == Frames(3, frame_ms=10.0)  # type: ignore[arg-type]
    assert hash(Labels(["a"])) == hash(Labels(("a",)))  # type: ignore[arg-type]
