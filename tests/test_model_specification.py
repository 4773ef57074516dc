"""The specification as JSON: round trips, and every wrong text refused by the place that is wrong."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ostinato.errors import BadModelFileError
from ostinato.model.specification import (
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
        Tokens(("a", "b"), unit="word"),
        (OneHot(2), Rnn(2, 3, activation=Activation("leaky-relu", 0.1))),
        Outputs(),
    ),
    Specification("vad", Frames(4), (Rnn(4, 1, activation=Activation("sigmoid")),), EndOfSpeech(threshold=0.6)),
    Specification("nothing", Frames(2), (), Labels(("x", "y"))),
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
        (changed("layers", [], SPECIFICATIONS[1]), "labels"),
    ],
)
def test_wrong_json_is_refused_by_the_place_that_is_wrong(text: str, named: str) -> None:
    with pytest.raises(BadModelFileError, match=named.replace("[", r"\[").replace("]", r"\]")):
        Specification.from_json(text)
