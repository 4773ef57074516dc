"""Where the words of a recording are, if nobody said it: from the recording's energy, and from where a model decided.

Decisions tell which word is where, energy where it ends. Boundaries between words are put where it is quiet, so that
each word has something loud, and so that decisions lie within their words; the best places are found together, by
dynamic programming. What is loud around the loudest of a word's stretches is the word. Word ends so found are good to
a hundredth of a second where there are pauses, but are earlier by what noise covers of a word's end; where words run
into each other, they are the quietest places between, good to some hundredths.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from ostinato_bench.comparison import Samples
from ostinato_bench.word_times import Word, matched

HOP_MS = 10.0
RANGE_DB, LEAST_DB, OVER_NOISE_DB = 40.0, 25.0, 12.0
"""Loud is what lies less than RANGE_DB below the recording's loudest and OVER_NOISE_DB above its quietest tenth of a
second, and in any case what lies less than LEAST_DB below the loudest."""
PAUSE = 0.1
"""A boundary lies in a pause where it is no higher than this, from quiet, 0, to the loudest, 1."""
SHORTEST = 6
"""Of the frames between two boundaries, at least so many are loud."""
OUTSIDE, LINGERS = 0.1, 0.005
"""What it costs for each frame that a decision lies outside of its word, and that the next word begins later than it;
a boundary where the recording is loudest costs 1."""
CLOSURE = 12
"""A gap within a word, before a plosive, lasts at most so many frames."""


def aligned(
    samples: Samples,
    sample_rate: int,
    said: Sequence[str],
    heard: Sequence[str],
    at_ms: Sequence[float],
    inside: bool,
) -> tuple[Word, ...]:
    """Places of the words ``said`` in a recording [n]; ``heard``, decided ``at_ms``, is what a model made of it;
    ``inside``: whether it decides inside of words, as one does that hears the whole utterance, or near their ends.

    Empty if they cannot be known: where less than half of the words were heard, where less is loud than so many words
    take, and where words run into each other and one of them was not heard, or was not decided inside.
    """
    level = _level_db(samples, sample_rate)
    words: tuple[Word, ...] = ()
    for _ in range(2):  # again with the places known, which tell which one of several equal words was heard
        places = [(word.start_ms, word.end_ms) for word in words] or None
        decided: list[float | None] = [None] * len(said)
        for number, at in zip(matched(said, places, heard, at_ms), at_ms, strict=True):
            if number is not None:
                decided[number] = at / HOP_MS
        if not said or 2 * sum(at is not None for at in decided) < len(said):
            return ()
        words = _placed(level, said, decided, inside)
        if not words:
            return ()
    return words


def _level_db(samples: Samples, sample_rate: int) -> npt.NDArray[np.float64]:
    """Energy of each hop, in dB, over three hops so that single periods of a voice do not show."""
    hop = max(1, round(sample_rate * HOP_MS / 1e3))
    count = len(samples) // hop
    power = np.square(samples[: count * hop].reshape(count, hop), dtype=np.float64).mean(axis=1)
    if count >= 3:
        power = np.convolve(power, (0.25, 0.5, 0.25), "same")
    level: npt.NDArray[np.float64] = 10 * np.log10(power + 1e-12)
    return level


def _placed(
    level: npt.NDArray[np.float64], said: Sequence[str], decided: Sequence[float | None], inside: bool
) -> tuple[Word, ...]:
    """The words' places, given at which frame each was decided, if it was; empty if they are in doubt."""
    if not len(level):
        return ()
    top, tenth = float(level.max()), round(100 / HOP_MS)
    noise = 10 * np.log10(np.convolve(10 ** (level / 10), np.full(tenth, 1 / tenth), "valid").min(initial=1.0))
    floor = min(max(noise + OVER_NOISE_DB, top - RANGE_DB), top - LEAST_DB)
    height = np.clip((level - floor) / (top - floor), 0, 1)
    loud = height > 0
    bounds = _boundaries(height, loud, decided)
    within = [bool(height[max(0, bound - 1) : bound + 1].min() > PAUSE) for bound in bounds]
    for at, begins, ends in zip(decided, within, within[1:], strict=False):
        if (begins or ends) and (at is None or not inside):
            return ()
    return tuple(
        Word(text, HOP_MS * (first + start), HOP_MS * (first + end))
        for text, first, until in zip(said, bounds, bounds[1:], strict=False)
        for start, end in [_extent(level[first:until], loud[first:until])]
    )


def _boundaries(
    height: npt.NDArray[np.float64], loud: npt.NDArray[np.bool_], decided: Sequence[float | None]
) -> list[int]:
    """The frames where the words begin, and where the last one ends; empty if there is not enough that is loud.

    cost[b] is that of the words so far if the next one begins at frame b: it may begin where the last one has had
    enough loud frames, and what lies between does not matter, so the best place before is a running minimum.
    """
    frames = np.arange(len(height) + 1)
    before = np.concatenate(([0], np.cumsum(loud)))  # loud frames before each
    last = np.searchsorted(before, before - SHORTEST, side="right") - 1  # the last place that a word to here begins
    quiet = np.concatenate(([0.0], np.minimum(height[:-1], height[1:]), [0.0]))
    cost = np.where(before == 0, 0.0, np.inf)  # the first word begins before anything loud
    origins = []
    for at in decided:
        begun = cost if at is None else cost + OUTSIDE * np.maximum(frames - at, 0)
        best = np.minimum.accumulate(begun)
        fresh = np.concatenate(([True], begun[1:] < best[:-1]))
        where = np.maximum.accumulate(np.where(fresh, frames, 0))  # which place the running minimum is from
        cost = np.where(last >= 0, best[last], np.inf) + quiet
        if at is not None:
            cost = cost + OUTSIDE * np.maximum(at - frames, 0) + LINGERS * np.maximum(frames - at, 0)
        origins.append(where[last])
    end = len(height)
    if not np.isfinite(cost[end]):
        return []
    bounds = [end]
    for origin in reversed(origins):
        bounds.append(int(origin[bounds[-1]]))
    return bounds[::-1]


def _extent(level: npt.NDArray[np.float64], loud: npt.NDArray[np.bool_]) -> tuple[int, int]:
    """Of the frames between two boundaries those of the word: what is loud, with gaps no longer than a plosive's
    closure, around the loudest frame."""
    places = np.flatnonzero(loud)
    runs = np.split(places, np.flatnonzero(np.diff(places) > CLOSURE) + 1)
    word = next(run for run in runs if run[-1] >= int(np.where(loud, level, -np.inf).argmax()))
    return int(word[0]), int(word[-1]) + 1
