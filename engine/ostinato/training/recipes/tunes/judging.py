"""How good models of tunes are: bits a token, what a model makes by itself, and what it fills gaps with."""

from __future__ import annotations

import contextlib
import dataclasses
import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ostinato.errors import InputError
from ostinato.model.decoders import Generation
from ostinato.model.front_ends import Tokens
from ostinato.notation import faults, read
from ostinato.pipeline.confidence import interval, mean_interval
from ostinato.pipeline.score import Errors
from ostinato.sampling import Sampling
from ostinato.streaming import Model, advance
from ostinato.training.batching import bucketed
from ostinato.training.losses import CrossEntropy
from ostinato.training.network import TrainableNetwork
from ostinato.training.recipes.tunes import gaps, language
from ostinato.training.recipes.tunes.ngram import Ngram

Ids = NDArray[np.int64]
AT_ONCE = 32
TOGETHER = 64
"""Streams that generate at a time."""
LEAST = 1e-30
"""A chance of nothing is taken for that."""


class Measured(NamedTuple):
    """A figure, and its 95 % interval."""

    value: float
    low: float
    high: float

    def told(self, digits: int = 2) -> str:
        """For people."""
        return f"{self.value:.{digits}f} ({self.low:.{digits}f} to {self.high:.{digits}f})"


def bits(network: TrainableNetwork, tunes: Sequence[Ids]) -> list[float]:
    """Of each tune, all its tokens but the first."""
    found = [0.0] * len(tunes)
    for chosen in bucketed([len(tune) for tune in tunes], AT_ONCE):
        batch = language.batch([tunes[i] for i in chosen])
        outputs = network.forward(batch.inputs, batch.lengths)["main"]
        for i, loss in zip(chosen, CrossEntropy()(outputs, batch.lengths, batch.targets).sums, strict=True):
            found[i] = float(loss) / math.log(2)
    return found


def bits_through(model: Model, tunes: Sequence[Ids]) -> list[float]:
    """The same as `bits`, through the model's own stream: of int8 models too."""
    front_end = model.network.specification.front_end
    assert isinstance(front_end, Tokens)
    found = []
    for tune in tunes:
        with model.stream(decoder="outputs") as stream:
            events = stream.push(" ".join(front_end.vocabulary[i] for i in tune[:-1])) + stream.flush()
            bits = 0.0
            for event, token in zip(events, tune[1:], strict=True):
                assert event.values is not None
                bits -= math.log2(max(float(event.values[token]), LEAST))
            found.append(bits)
    return found


def a_token(of: Sequence[float], tunes: Sequence[Ids]) -> Measured:
    """Bits of tunes as bits a token; tunes are what varies."""
    counts = [len(tune) - 1 for tune in tunes]
    low, high = mean_interval(of, counts) or (math.nan, math.nan)
    return Measured(sum(of) / sum(counts), low, high)


def share(right: int, of: int) -> Measured:
    """A share of independent cases."""
    low, high = interval([Errors(substitutions=1 - (i < right), symbols=1) for i in range(of)]) or (
        math.nan,
        math.nan,
    )
    return Measured(right / of, 1 - high, 1 - low)


def generated(model: Model, count: int, sampling: Sampling) -> list[str]:
    """Texts that a model makes from its start token, with seeds from ``sampling.seed`` on; one that does not end
    within the model's bound lacks its end."""
    found: list[list[str]] = []
    for first in range(0, count, TOGETHER):
        with contextlib.ExitStack() as opened:
            streams = [opened.enter_context(model.stream()) for _ in range(min(TOGETHER, count - first))]
            for number, stream in enumerate(streams):
                stream.generate(dataclasses.replace(sampling, seed=sampling.seed + first + number))
            texts: list[list[str]] = [[] for _ in streams]
            while going := [i for i, stream in enumerate(streams) if stream.record.generating is not None]:
                for i, events in zip(going, advance([streams[i].record for i in going]), strict=True):
                    texts[i] += [event.text for event in events if event.kind == "token"]
            found += texts
    settings = model.heads.find(None, None).settings
    assert isinstance(settings, Generation)
    return [settings.separator.join(tokens) for tokens in found]


class Made(NamedTuple):
    """Of texts that a model made: how many are tunes, and how many of those have bars that all add up."""

    texts: int
    read: int
    right: int


def tunes_among(texts: Sequence[str]) -> Made:
    """By our own strict reader."""
    tunes = []
    for text in texts:
        try:
            tunes.append(read(text))
        except InputError:
            continue
    return Made(len(texts), len(tunes), sum(not faults(tune) for tune in tunes))


# --- gaps ----------------------------------------------------------------------------------------------------


class Gap(NamedTuple):
    """A tune's ids with a gap, what is there, and where."""

    seen: Ids
    wanted: Ids
    place: slice


Filling = Callable[[Sequence[Gap]], list[Ids]]
"""Tokens for each gap."""


def gaps_of(tunes: Sequence[Sequence[str]], ids: dict[str, int], bars: int, seed: int = 7) -> list[Gap]:
    """A gap in each tune that is long enough."""
    rng = np.random.default_rng(seed)
    found = []
    for tune in tunes:
        if (place := gaps.hidden(tune, rng, bars)) is not None:
            found.append(Gap(*gaps.with_gaps(tune, [place], ids), place))
    return found


def filled_by(model: Model, lookahead: int | None = None) -> Filling:
    """What a model of labels says of the gaps, through its own stream; with bounded wait of so many tokens if asked
    for, in blocks of one token."""
    front_end = model.network.specification.front_end
    assert isinstance(front_end, Tokens)
    vocabulary = front_end.vocabulary
    block, ahead = (None, None) if lookahead is None else (front_end.frame_ms, lookahead * front_end.frame_ms)

    def fill(of: Sequence[Gap]) -> list[Ids]:
        found = []
        for gap in of:
            with model.stream(block_ms=block, lookahead_ms=ahead) as stream:
                events = stream.push(" ".join(vocabulary[i] for i in gap.seen)) + stream.flush()
                labels = np.array([event.index for event in events if event.kind == "label"], np.int64)
                found.append(labels[gap.place])
        return found

    return fill


def gone_on_by(model: Model) -> Filling:
    """What a language model goes on with from before the gap, greedily."""
    front_end = model.network.specification.front_end
    assert isinstance(front_end, Tokens)
    vocabulary = front_end.vocabulary

    def fill(of: Sequence[Gap]) -> list[Ids]:
        found = []
        for gap in of:
            with model.stream() as stream:
                stream.push(" ".join(vocabulary[i] for i in gap.seen[: gap.place.start]))
                size = gap.place.stop - gap.place.start
                tokens = [e.index for e in stream.generate(Sampling(temperature=0), size) if e.kind == "token"]
                found.append(np.array([*tokens, *[-2] * (size - len(tokens))], np.int64))
        return found

    return fill


def counted_on_by(ngram: Ngram) -> Filling:
    """The same of n-grams."""

    def fill(of: Sequence[Gap]) -> list[Ids]:
        found = []
        for gap in of:
            told = list(map(int, gap.seen[: gap.place.start]))
            while len(told) < gap.place.stop:
                told.append(ngram.likeliest(told))
            found.append(np.array(told[gap.place.start :], np.int64))
        return found

    return fill


def accuracy(fill: Filling, of: Sequence[Gap]) -> Measured:
    """The share of hidden tokens that are told; tunes are what varies."""
    errors = [
        Errors(substitutions=int((told != gap.wanted[gap.place]).sum()), symbols=len(told))
        for told, gap in zip(fill(of), of, strict=True)
    ]
    wrong = sum(errors, Errors()).rate
    low, high = interval(errors) or (math.nan, math.nan)
    return Measured(1 - wrong, 1 - high, 1 - low)
