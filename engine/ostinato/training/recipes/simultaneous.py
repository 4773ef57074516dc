"""Writing while one reads: what a text waits for, and how far it lags behind.

The recipes' models "uni" read forward only, and learn to write with several waits, a wait drawn for each batch
(Elbayad et al. 2020, "Efficient wait-k models for simultaneous machine translation"): so one model shows what each
costs. Models "bi" read in both directions, so that writing begins at the source's end.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from ostinato.model.front_ends import Tokens
from ostinato.sampling import Sampling
from ostinato.streaming import Model
from ostinato.training.encoder_decoder import tokens
from ostinato.training.recipes.recipe import Progress

WAITS: tuple[int | None, ...] = (1, 3, 5, 7, None)
"""Source tokens that models "uni" are let stay behind; None: all."""
WHOLE = "whole"
"""How the wait for all of a source is called among figures."""
GREEDY = Sampling(temperature=0)
EVERY = 100
"""Texts after which one is told how far it is."""


def name_of(wait: int | None) -> str:
    """What a wait is called among figures."""
    return WHOLE if wait is None else str(wait)


class Written(NamedTuple):
    """What a model has made of each text, as tokens, and by how many source tokens it lagged behind, in the mean."""

    texts: list[tuple[str, ...]]
    average_lagging: float


def through_streams(
    model: Model, sources: Sequence[str], wait: int | None, named: tuple[str, str], progress: Progress
) -> Written:
    """Each text written greedily: once it is there, or ``wait`` tokens behind. ``named``: what the texts are, and
    what their tokens are."""
    many, pieces = named
    what = f"{model.name}: {many} written" + ("" if wait is None else f", {wait} {pieces} behind")
    writes, reads = (each.specification.front_end for each in (model.network, model.reader))
    assert isinstance(writes, Tokens) and isinstance(reads, Tokens)
    texts, lags = [], []
    for number, (source, ids) in enumerate(zip(sources, tokens(reads, sources), strict=True)):
        made, count = written(model, source, wait), len(ids)
        texts.append(tuple(writes.vocabulary[token] for token in made))
        seen = reads_of(wait, count, len(made) + 1)  # the end
        lags.append(average_lagging(seen, count, len(seen)))
        if number % EVERY == 0:
            progress(what, number, len(sources))
    progress(what, len(sources), len(sources))
    return Written(texts, sum(lags) / len(lags))


def written(model: Model, source: str, wait: int | None) -> list[int]:
    """The tokens that a stream writes of a source, always the likeliest next one."""
    with model.stream(wait_k=wait, sampling=None if wait is None else GREEDY) as stream:
        events = stream.push(source)
        if not any(event.kind == "end-of-generation" for event in events):
            events += stream.generate(GREEDY)
    return [event.index for event in events if event.kind == "token"]


def average_lagging(reads: Sequence[int], source: int, target: int) -> float:
    """By how many source tokens a text lags behind one that is written evenly while the source comes (Ma et al. 2019,
    STACL, equation 8). ``reads``: of each token written, how many of the ``source`` tokens had been read then;
    ``target``: how many were written."""
    pace = target / source
    whole = next((at for at, read in enumerate(reads) if read >= source), len(reads) - 1)
    return sum(read - at / pace for at, read in enumerate(reads[: whole + 1])) / (whole + 1)


def reads_of(wait: int | None, source: int, target: int) -> list[int]:
    """How many source tokens each token of a text has seen, with wait-k."""
    return [source if wait is None else min(source, at + wait) for at in range(target)]
