"""Transcripts as people write them."""

from __future__ import annotations

import pytest

from ostinato.model.decoders import Ctc
from ostinato.pipeline.transcript import NUMERALS, Vocabulary

DIGITS = Vocabulary(Ctc(("", *NUMERALS)))


@pytest.mark.parametrize(
    "written",
    [
        "five five five zero one",
        "Five, five FIVE; zero-one.",
        "555 01",
        "5 5 5 0 1",
        "5-5-5 (0 1)",
        "555-01\r\n",
        "\ufeff five five\tfive zero one\n",
        "“five five five… zero – one!”",
        "five five five oh one",
        "5 5 5 O 1",
        "５５５01",  # full width
        "٥٥٥ ٠١",  # Arabic-Indic
        "five_five_five/zero|one",
    ],
)
def test_the_ways_to_write_a_number_are_the_same(written: str) -> None:
    assert DIGITS.read(written) == ["five", "five", "five", "zero", "one"]
    assert Vocabulary().read(written)[:3] == ["five", "five", "five"], "also where the model is not known"


def test_a_model_that_writes_numerals_gets_numerals() -> None:
    numerals = Vocabulary(Ctc(("0", "5", "10", "<blank>"), blank=3))
    assert numerals.read("Five zero 5, 10") == ["5", "0", "5", "10"]
    assert numerals.unknown(numerals.read("five six")) == ["six"]


def test_silent_symbols_are_none_that_a_model_can_say() -> None:
    assert Vocabulary(Ctc(("", "one", "other"), silent=("other",))).unknown(["one", "other"]) == ["other"]


def test_words_that_are_none_of_the_symbols_stay_and_are_found() -> None:
    said = DIGITS.read("Hello, five's don't twenty-five 5th")
    assert said == ["hello", "five's", "don't", "twenty", "five", "five", "th"]
    assert DIGITS.unknown(said) == ["hello", "five's", "don't", "twenty", "th"]
    assert DIGITS.read(" \n ") == DIGITS.read("...!") == [] == DIGITS.unknown([])
    assert Vocabulary().unknown(["anything"]) == []


def test_symbols_with_signs_capitals_and_accents_are_found_as_they_are() -> None:
    odd = Vocabulary(Ctc(("", "C-sharp", "O'Clock", "Café", "<noise>", "Straße")))
    said = odd.read("c-SHARP, o’clock cafe\u0301! <noise> oh stra\u00adße")
    assert said == ["C-sharp", "O'Clock", "Café", "<noise>", "oh", "Straße"] and odd.unknown(said) == ["oh"]


def test_a_model_of_letters_is_compared_by_letters() -> None:
    letters = Vocabulary(Ctc(("", " ", *"abcdefghijklmnopqrstuvwxyz'"), separator=""))
    assert "".join(letters.read("It's  5 O'Clock, é!")) == "it's five o'clock é"
    assert letters.unknown(letters.read("é")) == ["é"]
    pieces = Vocabulary(Ctc(("", "Fi", "ve"), separator=""))
    assert pieces.heard(["Fi", "ve"]) == list("Five") and pieces.read("five 5") == list("FiveFive")
