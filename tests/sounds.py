"""What tests of audio front ends and decoders share: pieces of a signal, and streams in company."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from ostinato.pipeline import FrontEnd, front_end, pack
from ostinato.pipeline.pieces import split

F32 = npt.NDArray[np.float32]


def noise(count: int, seed: int = 0) -> F32:
    return np.random.default_rng(seed).uniform(-1, 1, count).astype(np.float32)


def frames_of(settings: Any, samples: Any, cuts: Sequence[int] = (), rate: int | None = None) -> F32:
    """All frames of an utterance that comes in pieces, each state between two of them out of a snapshot."""
    front: FrontEnd[Any] = front_end(settings, {})
    state, made = front.start(rate), []
    for start, end in pairwise([0, *sorted(cuts), len(samples)]):
        made.append(front.step(state, front.check(samples[start:end])))
        state = front.restore(pack(state))
    return np.concatenate([*made, front.flush(state)])


def in_company(settings: Any, audio: Sequence[Any], rates: Sequence[int | None]) -> bool:
    """Whether streams that come together, in one call or as pieces of one array, have the frames that each has
    alone."""
    front: FrontEnd[Any] = front_end(settings, {})
    alone = [front.start(rate) for rate in rates]
    wanted = [front.step(state, samples).tobytes() for state, samples in zip(alone, audio, strict=True)]
    for data, lengths in ((audio, None), ([np.concatenate(audio)], [len(samples) for samples in audio])):
        together = [front.start(rate) for rate in rates]
        got = split(*front.step_many(together, data, lengths))
        if [frames.tobytes() for frames in got] != wanted or [*map(pack, together)] != [*map(pack, alone)]:
            return False
    return True
