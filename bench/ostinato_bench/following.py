"""Texts read piece by piece: what a model has said when so much had been read.

The pieces are words, of models that say something of a text, and letters, of those that write another. Computed in
this process: what is said, and after which piece, does not depend on how fast one reads.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

from ostinato.events import Event
from ostinato.model.decoders import Outputs, SequenceOutputs
from ostinato.model.front_ends import Tokens
from ostinato.options import Options
from ostinato.sampling import Sampling
from ostinato.streaming import Model
from ostinato_bench.comparison import asked
from ostinato_bench.recognition import Way

GREEDY = Sampling(temperature=0)


@dataclass(frozen=True)
class Told:
    """One answer: what it says, after how many pieces it was there, whether only because the text had ended, and
    which piece (from 0) it is of; None of writing, which is of no single one."""

    text: str
    read: int
    at_end: bool
    of: int | None = None


@dataclass(frozen=True)
class Followed:
    """A text by its pieces, all that was told of it, and what it came to: a score, or what was written."""

    pieces: tuple[str, ...]
    told: tuple[Told, ...]
    answer: float | tuple[str, ...]


def scoring(model: Model) -> str | None:
    """The head that gives a text's score, one number for each token; None: there is none."""
    if not isinstance(model.network.specification.front_end, Tokens) or model.writer is not None:
        return None
    for head in model.heads.all.values():
        if isinstance(head.settings, Outputs) and head.region.size == 1:
            return head.name
    return None


def scored(way: Way, text: str) -> Followed:
    """A text read word by word, by a way whose head is a model's `scoring` one.

    What it comes to is the last number, or the mean of all, as the model has it (`SequenceOutputs`).
    """
    words, ends, told, values = text.split(), list[int](), list[Told](), list[float]()

    def add(events: Sequence[Event], at_end: bool) -> None:
        for event in events:
            assert event.values is not None
            values.append(float(event.values[0]))
            word = min(bisect_right(ends, event.frame), len(words) - 1)
            if told and told[-1].of == word:  # of its last piece, if a word has several
                told.pop()
            told.append(Told(f"{values[-1]:+.2f}", len(ends), at_end, word))

    with way.model.open(asked(way.wait, way.head)) as stream:
        before = stream.frames_in
        for word in words:
            events = stream.push(f"{word} ")
            ends.append(stream.frames_in - before)
            add(events, False)
        add(stream.flush(), True)
    pools = {
        head.settings.pool for head in way.model.heads.all.values() if isinstance(head.settings, SequenceOutputs)
    }
    answer = sum(values) / len(values) if pools == {"mean"} else values[-1]
    return Followed(tuple(words), tuple(told), answer)


def waits_for_all(model: Model) -> bool:
    """Whether a model that writes can only begin when its source has ended: its encoder reads backward too."""
    encoder = model.reader.specification
    return bool(encoder.delay_cause(encoder.heads[0]))


def written(model: Model, wait_k: int | None, word: str) -> Followed:
    """A word read letter by letter, while the model writes, always the likeliest: ``wait_k`` letters behind, or
    (None) when all are there. An end that the front end puts behind it is a piece too, of no letter."""
    ends = getattr(model.reader.specification.front_end, "end", None) is not None
    pieces, told, made = (*word, *[""] * ends), list[Told](), list[str]()
    options = Options(wait_k=wait_k, sampling=None if wait_k is None else GREEDY)

    def add(events: Sequence[Event], read: int, at_end: bool) -> bool:
        for event in events:
            told.append(Told(event.text, read, at_end))
            if event.kind == "token":
                made.append(event.text)
        return any(event.kind == "end-of-generation" for event in events)

    with model.open(options) as stream:
        over = False
        for read, letter in enumerate(word, 1):
            over = add(stream.push(letter), read, False) or over
        if not over:
            add(list(stream.generate(GREEDY)), len(pieces), True)
    return Followed(pieces, tuple(told), tuple(made))
