"""Tokens that are drawn: by the formulas, with the frequencies that they should have, the same on every machine."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chi2

from ostinato.errors import InputError
from ostinato.kernels.sampling import uniform
from ostinato.pipeline.sampling import draw
from ostinato.sampling import MAX_SEED, Sampling

F32 = npt.NDArray[np.float32]
F64 = npt.NDArray[np.float64]
MASK = 0xFFFFFFFF


def philox(counter: list[int], key: list[int]) -> list[int]:
    """Philox4x32-10, as Salmon et al. (2011) have it."""
    a, b, c, d = counter
    k, l = key  # noqa: E741
    for _ in range(10):
        p, q = 0xD2511F53 * a, 0xCD9E8D57 * c
        a, b, c, d = (q >> 32) ^ b ^ k, q & MASK, (p >> 32) ^ d ^ l, p & MASK
        k, l = (k + 0x9E3779B9) & MASK, (l + 0xBB67AE85) & MASK  # noqa: E741
    return [a, b, c, d]


@pytest.mark.parametrize(
    ("counter", "key", "wanted"),
    [
        ([0] * 4, [0] * 2, "6627e8d5 e169c58d bc57ac4c 9b00dbd8"),
        ([MASK] * 4, [MASK] * 2, "408f276d 41c83b0e a20bc7c6 6d5451fd"),
        (
            [0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344],
            [0xA4093822, 0x299F31D0],
            "d16cfe09 94fdcceb 5001e420 24126ea1",
        ),
    ],
)
def test_the_reference_gives_the_authors_known_answers(counter: list[int], key: list[int], wanted: str) -> None:
    assert " ".join(f"{word:08x}" for word in philox(counter, key)) == wanted


def number(seed: int, step: int) -> float:
    first, second, *_ = philox([step & MASK, step >> 32, 0, 0], [seed & MASK, seed >> 32])
    return ((first << 32 | second) >> 11) / 2**53


@given(seed=st.integers(0, MAX_SEED), step=st.integers(0, 2**40))
def test_random_numbers_are_a_function_of_seed_and_step(seed: int, step: int) -> None:
    assert uniform.py_func(np.uint64(seed), np.uint64(step)) == number(seed, step)


def distribution(outputs: F32, probabilities: bool, how: Sampling) -> F64:
    """What a token is drawn from, by plain NumPy."""
    with np.errstate(divide="ignore"):
        logits = np.log(outputs.astype(np.float64)) if probabilities else outputs.astype(np.float64)
    if how.temperature == 0:
        return np.eye(len(outputs))[outputs.argmax()]
    weights = np.exp((logits - logits.max()) / how.temperature)
    order = np.argsort(-outputs, kind="stable")
    kept = order[: how.top_k]
    sums = np.cumsum(weights[kept]) / weights[kept].sum()
    if how.top_p is not None and how.top_p < 1:
        kept = kept[: int(np.searchsorted(sums, how.top_p)) + 1]
    left = np.zeros_like(weights)
    left[kept] = weights[kept]
    return left / left.sum()


ROWS = st.lists(st.sampled_from([k / 4 for k in range(-12, 13)]), min_size=2, max_size=40)
"""Few values, so that many are equal."""
SAMPLINGS = st.builds(
    Sampling,
    seed=st.integers(0, MAX_SEED),
    temperature=st.sampled_from((0.0, 0.1, 0.7, 1.0, 3.0)),
    top_k=st.none() | st.integers(1, 45),
    top_p=st.none() | st.sampled_from((0.01, 0.3, 0.77, 0.951, 1.0)),
)


@settings(deadline=None, max_examples=300)
@given(row=ROWS, how=SAMPLINGS, step=st.integers(0, 1 << 20), probabilities=st.booleans())
def test_tokens_by_the_formulas(row: list[float], how: Sampling, step: int, probabilities: bool) -> None:
    outputs = np.array(row, np.float32)
    if probabilities:
        outputs = np.exp(outputs)
        outputs /= outputs.sum()
    wanted = distribution(outputs, probabilities, how)
    (token,), (chance,) = draw(outputs[None], probabilities, [how], [step])
    assert wanted[token] > 0
    sums = np.cumsum(wanted)
    u = number(how.seed, step) if how.temperature else 0.5
    below = sums[token] - wanted[token]
    assert below - 1e-12 <= u < sums[token] + 1e-12
    assert chance == pytest.approx(distribution(outputs, probabilities, Sampling())[token], rel=1e-12)


def test_equal_outputs_are_told_apart_by_their_index() -> None:
    outputs = np.array([[1, 5, 5, 0, 5, 5]], np.float32)
    rows = np.repeat(outputs, 400, axis=0)
    assert draw(outputs, False, [Sampling(temperature=0)], [7])[0] == [1]
    assert set(draw(rows, False, [Sampling(top_k=2)] * 400, range(400))[0]) == {1, 2}
    assert set(draw(rows, False, [Sampling(top_p=0.4)] * 400, range(400))[0]) == {1, 2}


@pytest.mark.parametrize("probabilities", [False, True])
@pytest.mark.parametrize(
    "how",
    [{"top_p": 0.97}, {"top_k": 150}, {"top_k": 333, "top_p": 0.9}, {"top_p": 0.2}, {"top_k": 498}, {"top_k": 7}],
)
def test_large_vocabularies_are_sorted(how: dict[str, Any], probabilities: bool) -> None:
    """Where more tokens are to be sorted than a heap is for: with equal ones, zeros of both signs, and -inf."""
    generator = np.random.default_rng(3)
    for step in range(20):
        outputs = np.round(generator.normal(size=500) * 3, 1).astype(np.float32)
        outputs = np.abs(outputs) if probabilities else outputs * generator.choice([-1, 1], 500).astype(np.float32)
        if probabilities:
            outputs /= outputs.sum()
        elif step % 2:
            outputs[generator.integers(0, 500, 30)] = -np.inf
        sampling = Sampling(seed=step, **how)
        wanted = distribution(outputs, probabilities, sampling)
        (token,), _ = draw(outputs[None], probabilities, [sampling], [step])
        below = wanted[:token].sum()
        assert wanted[token] > 0 and below - 1e-12 <= number(step, step) < below + wanted[token] + 1e-12


@settings(deadline=None, max_examples=60)
@given(rows=st.lists(st.tuples(SAMPLINGS, st.integers(0, 99)), min_size=1, max_size=70), seed=st.integers(0, 99))
def test_company_does_not_matter(rows: list[tuple[Sampling, int]], seed: int) -> None:
    outputs = np.random.default_rng(seed).normal(size=(len(rows), 9)).astype(np.float32)
    samplings, steps = zip(*rows, strict=True)
    tokens, chances = draw(outputs, False, samplings, steps)
    for i, (how, step) in enumerate(rows):
        assert draw(outputs[i : i + 1], False, [how], [step]) == ([tokens[i]], [chances[i]])


@pytest.mark.parametrize("how", [{}, {"temperature": 0.6}, {"temperature": 2.5}, {"top_k": 5}, {"top_p": 0.8}])
@pytest.mark.parametrize("over", ["steps", "seeds"])
def test_frequencies(how: dict[str, Any], over: str) -> None:
    """Over the steps of one seed, and over seeds at one step: chi-square at one in a thousand, always the same."""
    outputs = np.random.default_rng(5).normal(size=12).astype(np.float32)
    wanted = distribution(outputs, False, Sampling(**how))
    count = 20_000
    samplings = [Sampling(seed=11 if over == "steps" else i, **how) for i in range(count)]
    steps = range(count) if over == "steps" else [3] * count
    found = np.bincount(draw(np.repeat(outputs[None], count, axis=0), False, samplings, steps)[0], minlength=12)
    drawn = wanted > 0
    assert not found[~drawn].any()
    statistic = float(((found - count * wanted)[drawn] ** 2 / (count * wanted[drawn])).sum())
    assert statistic < chi2.ppf(0.999, drawn.sum() - 1)


def test_outputs_that_are_far_apart() -> None:
    largest = np.finfo(np.float32).max
    outputs = np.array([[-largest, largest, 0.0], [-1e5, -1e5 - 3, -largest]], np.float32)
    tokens, chances = draw(outputs, False, [Sampling(temperature=1e-300), Sampling()], [0, 0])
    assert tokens[0] == 1 and chances[0] == 1.0 and tokens[1] in (0, 1)
    chances = draw(np.zeros((1, 4), np.float32), True, [Sampling()], [0])[1]
    assert chances == [0.25]  # sigmoids may all be 0
    smallest = np.array([[2e-38, 6e-38, 0.0]], np.float32)
    assert set(draw(np.repeat(smallest, 99, axis=0), True, [Sampling(temperature=2)] * 99, range(99))[0]) == {0, 1}


def test_tokens_are_the_same_on_every_machine() -> None:
    """Written down once; only arithmetic that IEEE 754 defines is used."""
    outputs = np.round(np.random.default_rng(1).normal(size=(24, 50)) * 64).astype(np.float32) / 32
    tokens, chances = draw(outputs, False, [Sampling(seed=2**40 + 1, temperature=0.8)] * 24, range(24))
    assert tokens == GOLDEN_TOKENS
    assert [chance.hex() for chance in chances[:3]] == GOLDEN_CHANCES


GOLDEN_TOKENS = [15, 49, 24, 33, 44, 23, 6, 4, 32, 10, 24, 21, 2, 33, 21, 44, 33, 10, 4, 39, 20, 4, 10, 30]
GOLDEN_CHANCES = ["0x1.ecc626547c9c3p-7", "0x1.3276f306917a3p-6", "0x1.13230bd1c5622p-1"]


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"seed": -1}, "seed = -1 is not a whole number from 0"),
        ({"seed": 2**53}, "seed = "),
        ({"seed": 1.0}, "seed = 1.0"),
        ({"temperature": -0.1}, "temperature = -0.1 is not a number from 0"),
        ({"temperature": float("nan")}, "temperature = nan"),
        ({"temperature": float("inf")}, "temperature = inf"),
        ({"temperature": "hot"}, "temperature = 'hot'"),
        ({"top_k": 0}, "top_k = 0 is not a whole number from 1"),
        ({"top_k": True}, "top_k = True"),
        ({"top_p": 0}, r"top_p = 0.0 is not above 0"),
        ({"top_p": 1.5}, r"top_p = 1.5 is not above 0"),
    ],
)
def test_samplings_that_cannot_be(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        Sampling(**wrong)
    assert Sampling(temperature=1, top_p=1) == Sampling(temperature=1.0, top_p=1.0)
