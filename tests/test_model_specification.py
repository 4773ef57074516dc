"""The specification as JSON: round trips, and every wrong text refused by the place that is wrong."""

from __future__ import annotations

import dataclasses
import json
import math
import re
from typing import Any, Literal, get_origin, get_type_hints

import numpy as np
import pytest

from ostinato.errors import BadModelFileError
from ostinato.model.specification import (
    DECODERS,
    FRONT_ENDS,
    LAYERS,
    Activation,
    Ctc,
    Dense,
    Embedding,
    EndOfSpeech,
    Frames,
    Gru,
    Labels,
    LogMel,
    Lstm,
    OneHot,
    Outputs,
    Rnn,
    SequenceClass,
    Softmax,
    Specification,
    Tokens,
    weight_shapes,
)

DIGITS = ("", "zero", "one")

SPECIFICATIONS = [
    Specification(
        "audio",
        LogMel(mels=20, high_hz=3800.0, stack=3, stride=2, normalise=True),
        (Gru(60, 8), Gru(8, 5, direction="bidirectional", reset="before"), Dense(10, 3), Softmax(3)),
        Ctc(DIGITS),
        card={"data": "synthetic"},
    ),
    Specification(
        "text",
        Tokens(("a", "b", "?"), unknown=2),
        (Embedding(3, 4), Lstm(4, 6, peepholes=True, direction="backward"), Dense(6, 2), Softmax(2)),
        SequenceClass(("bad", "good"), pool="mean"),
    ),
    Specification(
        "one-hot",
        Tokens(("a", "b"), unit="word", unknown=1),
        (OneHot(2), Rnn(2, 3, activation=Activation("leaky-relu", 0.1))),
        Outputs(),
    ),
    Specification("vad", Frames(4), (Rnn(4, 1, activation=Activation("sigmoid")),), EndOfSpeech(threshold=0.6)),
    Specification("chances", Frames(2), (Dense(2, 2, activation=Activation("hard-sigmoid")),), Labels(("x", "y"))),
    Specification("nothing", Frames(2), (), Outputs()),
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


def test_weight_shapes_follow_the_gates_and_directions() -> None:
    shapes = weight_shapes(SPECIFICATIONS[0])
    assert shapes["front_end.mean"] == (20,)
    assert shapes["layers.0.forward.W"] == (24, 60)
    assert shapes["layers.1.backward.R"] == (15, 5)
    assert shapes["layers.2.W"] == (3, 10)
    text = weight_shapes(SPECIFICATIONS[1])
    assert text["layers.0.E"] == (3, 4)
    assert text["layers.1.backward.P"] == (18,)
    assert "layers.1.forward.W" not in text


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
        (changed("version", 2), "version 2"),
        (changed("front_end.kind", "wavelet"), "wavelet"),
        (changed("front_end.hop_ms", "10"), "hop_ms"),
        (changed("front_end.high_hz", 9000.0), "high_hz"),
        (changed("front_end.colour", "red"), "colour"),
        (changed("layers.0.hidden", 9), "layers[1]"),
        (changed("layers.0.hidden", 0), "hidden = 0"),
        (changed("layers.0.hidden", 8.0), "hidden"),
        (changed("layers.0.hidden", True), "hidden"),
        (changed("layers.0.direction", "sideways"), "sideways"),
        (changed("layers.0", {"kind": "one-hot", "size": 60}), "first layer"),
        (changed("decoder.symbols", ["a"]), "symbols"),
        (changed("decoder.blank", 3), "blank"),
        (changed("front_end.vocabulary", ["a", "a", "?"], SPECIFICATIONS[1]), "twice"),
        (changed("front_end.unknown", 3, SPECIFICATIONS[1]), "unknown = 3"),
        (changed("layers", [], SPECIFICATIONS[1]), "needs probabilities"),
        (changed("layers.0", []), "layers[0] is []"),
        (changed("layers.0.kind", []), "kind []"),
        (changed("layers.2.activation", "tanh"), "layers[2].activation is 'tanh'"),
        (changed("decoder.separator", "\ud800"), "surrogate"),
        (changed("front_end.hop_ms", 10**400), "hop_ms"),
    ],
)
def test_wrong_json_is_refused_by_the_place_that_is_wrong(text: str, named: str) -> None:
    with pytest.raises(BadModelFileError, match=re.escape(named)):
        Specification.from_json(text)


# --- refused when it is made ----------------------------------------------------------------------------------------

PARTS: list[Any] = [
    Activation(), LogMel(), Tokens(("a",)), Frames(3), Rnn(3, 2), Gru(3, 2), Lstm(3, 2), Dense(3, 2),
    Embedding(3, 2), OneHot(3), Softmax(3), Outputs(), Labels(("a", "b")), Ctc(("", "a")), SequenceClass(("a", "b")),
    EndOfSpeech(), *SPECIFICATIONS[:1],
]  # fmt: skip


def test_parts_are_all_there_are() -> None:
    kinds = [*FRONT_ENDS, *LAYERS, *DECODERS, Activation, Specification]
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
        (lambda: Gru(3, 2, reset="behind"), "gru.reset is 'behind', not one of 'after', 'before'"),  # type: ignore[arg-type]
        (lambda: Gru(3, 0), "gru: hidden = 0"),
        (lambda: Dense(3, 65537), "dense: output = 65537"),
        (lambda: Labels("ab"), "labels.labels is 'ab'"),  # type: ignore[arg-type]
        (lambda: EndOfSpeech(threshold=1.5), "threshold = 1.5"),
        (lambda: EndOfSpeech(silence_ms=0.0), "silence_ms = 0"),
        (lambda: EndOfSpeech(min_speech_ms=-1.0), "min_speech_ms = -1"),
        (lambda: LogMel(window_ms=0.1), "window_ms"),
        (lambda: LogMel(high_hz=9000.0), "high_hz"),
        (lambda: Frames(0), "size"),
        (lambda: Tokens(("a", "a")), "twice"),
        (lambda: Tokens(("good",), unit="word"), "<unk>"),
    ],
)
def test_a_part_that_cannot_be_served_is_refused_when_it_is_made(make: Any, named: str) -> None:
    with pytest.raises(BadModelFileError, match=re.escape(named)):
        make()


@pytest.mark.parametrize(
    "decoder", [Labels(("a", "b")), Ctc(("", "a")), SequenceClass(("a", "b")), EndOfSpeech()], ids=lambda d: d.kind
)
def test_a_decoder_of_probabilities_has_a_layer_of_probabilities_below(decoder: Any) -> None:
    for layers in ((), (Gru(2, 2),), (Dense(2, 2),), (Dense(2, 2, activation=Activation("tanh")),), (Lstm(2, 2),)):
        with pytest.raises(BadModelFileError, match=f"{decoder.kind} needs probabilities"):
            Specification("odd", Frames(2), layers, decoder)
    sigmoid = Activation("sigmoid")
    for layers in ((Softmax(2),), (Dense(2, 2, activation=sigmoid),), (Rnn(2, 2, activation=sigmoid),)):
        Specification("good", Frames(2), layers, decoder)


@pytest.mark.parametrize(
    ("decoder", "named"),
    [
        (Labels(("a",)), "1 labels for 2"),
        (SequenceClass(("a", "b", "c")), "3 labels for 2"),
        (Ctc(("",)), "1 symbols for 2"),
        (Ctc(("", "a"), blank=2), "blank = 2"),
        (EndOfSpeech(index=2), "index = 2"),
    ],
)
def test_a_decoder_that_does_not_fit_is_refused_when_the_specification_is_made(decoder: Any, named: str) -> None:
    with pytest.raises(BadModelFileError, match=named):
        Specification("odd", Frames(2), (Softmax(2),), decoder)


def test_what_means_the_same_is_the_same() -> None:
    """Lists for tuples, whole numbers for floats, NumPy's numbers for plain ones, as they come from a computation."""
    assert Labels(["a", "b"]) == Labels(("a", "b"))  # type: ignore[arg-type]
    assert Gru(np.int64(3), np.int32(2)) == Gru(3, 2) and Frames(3, frame_ms=10) == Frames(3, frame_ms=10.0)  # type: ignore[arg-type]
    assert hash(Labels(["a"])) == hash(Labels(("a",)))  # type: ignore[arg-type]
