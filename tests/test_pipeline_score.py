"""Errors counted and aligned, and what a number of recordings can tell about an error rate."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ostinato.pipeline.confidence import chance, interval
from ostinato.pipeline.score import Errors, align, count, edit_distance

WORDS = st.lists(st.sampled_from("abc"), max_size=8)


@given(WORDS, WORDS)
@settings(deadline=None, max_examples=200)
def test_an_alignment_has_all_symbols_in_order_and_the_fewest_errors(said: list[str], heard: list[str]) -> None:
    pairs = align(said, heard)
    assert [a for a, _ in pairs if a is not None] == said and [b for _, b in pairs if b is not None] == heard
    errors = count(pairs)
    assert (errors.total, errors.symbols) == (edit_distance(said, heard), len(said))
    assert errors.substitutions + errors.deletions + sum(a == b for a, b in pairs) == len(said)


def test_of_alignments_with_as_few_errors_one_has_the_most_symbols_right() -> None:
    assert align(["one", "two"], ["two", "six"]) == [("one", None), ("two", "two"), (None, "six")]
    assert count(align(["five", "five", "nine"], ["five", "nine"])) == Errors(3, 0, 0, 1)
    assert count(align([], ["one"])) == Errors(0, 0, 1, 0) and align([], []) == []
    assert Errors(3, 1, 0, 0) + Errors(2, 0, 3, 1) == Errors(5, 1, 3, 1)
    assert Errors(0, 0, 2, 0).rate == 2 and Errors(4, 1, 2, 0).rate == 0.75 and Errors().rate == 0


def test_the_interval_is_wilsons_where_recordings_do_not_differ_more_than_words() -> None:
    low, high = interval([Errors(6, 1), Errors(6, 0, 0, 1)]) or (0, 0)
    assert (low, high) == (pytest.approx(0.0470, abs=1e-4), pytest.approx(0.4480, abs=1e-4))  # Wilson, 2 of 12
    low, high = interval([Errors(6), Errors(6)]) or (1, 0)
    assert (low, high) == (0, pytest.approx(0.2425, abs=1e-4))  # no error says little: 0 of 12
    assert interval([Errors(6, 6), Errors(6, 6)]) == (pytest.approx(1 - 0.2425, abs=1e-4), pytest.approx(1))


def test_no_interval_claims_more_than_the_recordings_can_tell() -> None:
    assert interval([]) is None and interval([Errors(60, 5)]) is None
    assert interval([Errors(0, 0, 3), Errors()]) is None, "nothing was said"
    alike = interval([Errors(10, 1) for _ in range(20)]) or (0, 0)
    apart = interval([Errors(10, 10), Errors(10, 10), *(Errors(10) for _ in range(18))]) or (0, 0)
    assert apart[1] - apart[0] > 2 * (alike[1] - alike[0]), "two voices it cannot hear, not a word here and there"
    few, many = interval([Errors(6, 0, 7, 0)] * 2), interval([Errors(6, 1, 6, 0)] * 20)
    assert few is not None and many is not None
    assert few[0] < 7 / 6 < few[1] and few[1] > 1.5, "insertions are no share of the words"
    assert many[0] < 7 / 6 < many[1] < few[1]


@pytest.mark.parametrize(("rate", "correlation"), [(0.05, 0.0), (0.2, 0.1)])
@pytest.mark.parametrize("recordings", [3, 20])
def test_the_interval_holds_the_true_rate_about_as_often_as_it_says(
    rate: float, correlation: float, recordings: int
) -> None:
    rng, held, tries = np.random.default_rng(1), 0, 500
    for _ in range(tries):
        own = np.full(recordings, rate)
        if correlation:
            own = rng.beta(rate * (1 / correlation - 1), (1 - rate) * (1 / correlation - 1), recordings)
        words = rng.integers(4, 9, recordings).tolist()
        found = interval([Errors(n, int(rng.binomial(n, p))) for n, p in zip(words, own, strict=True)])
        assert found is not None
        held += found[0] <= rate <= found[1]
    assert 0.9 <= held / tries <= 0.99  # see the docstring; the bootstrap holds 0.2 to 0.7 with three recordings


def test_whether_two_models_differ_is_asked_of_the_same_recordings() -> None:
    worse, better = [Errors(6, 1)] * 10, [Errors(6)] * 10
    assert chance(worse, better) == chance(better, worse) == 2 / 2**10
    assert chance(worse, worse) == 1 and chance([Errors(60, 9)], [Errors(60)]) == 1, "one recording tells nothing"
    many = chance(worse * 3, better * 3)
    assert many == 1e-4 and many == chance(worse * 3, better * 3), "the same draws each time"
    mixed = [Errors(6, i % 2) for i in range(40)]
    assert chance(mixed, mixed[::-1]) == 1
    with pytest.raises(ValueError, match="shorter"):
        chance(worse, better[1:])
