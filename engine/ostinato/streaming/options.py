"""How a stream is opened, and how long it then looks ahead."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from ostinato.errors import InputError

if TYPE_CHECKING:
    from ostinato.streaming.model import Model

MAX_UTTERANCE_S = 3600.0


@dataclass(frozen=True, slots=True)
class Options:
    """How a stream was opened; see `Model.stream`."""

    sample_rate: int | None = None
    decoder: Literal["outputs"] | None = None
    end_of_speech_ms: float | None = None
    max_utterance_s: float = 60.0
    block_ms: float | None = None
    lookahead_ms: float | None = None

    def __post_init__(self) -> None:
        if not 0 < self.max_utterance_s <= MAX_UTTERANCE_S:
            raise InputError(
                f"max_utterance_s = {self.max_utterance_s} is not above 0 and at most {MAX_UTTERANCE_S:g}"
            )
        if self.end_of_speech_ms is not None and not 0 < self.end_of_speech_ms <= 1000 * MAX_UTTERANCE_S:
            raise InputError(
                f"end_of_speech_ms = {self.end_of_speech_ms} is not above 0 and at most {1000 * MAX_UTTERANCE_S:g}: "
                "ask for some 600 ms of silence"
            )
        if self.lookahead_ms is not None and self.block_ms is None:
            raise InputError("lookahead_ms needs block_ms, how many ms are answered at a time: give both")
        longest = 1000 * self.max_utterance_s
        if self.block_ms is not None and not 0 < self.block_ms <= longest:
            raise InputError(f"block_ms = {self.block_ms} is not above 0 and at most max_utterance_s, {longest:g} ms")
        if self.lookahead_ms is not None and not 0 <= self.lookahead_ms <= longest:
            raise InputError(f"lookahead_ms = {self.lookahead_ms} is not from 0 to max_utterance_s, {longest:g} ms")


@dataclass(frozen=True, slots=True)
class Delay:
    """How much of the future an output needs at most, beyond the front end's own latency: 0 for causal models, a
    number for bounded wait, None for the whole utterance."""

    frames: int | None
    ms: float | None


@dataclass(frozen=True, slots=True)
class BoundedWait:
    """A bidirectional model in blocks: latency-controlled, as Zhang et al. (2016), "Highway long short-term memory
    RNNs for distant speech recognition", and Xue and Yan (2017), "Improving latency-controlled BLSTM acoustic models
    for online speech recognition", have it.

    The utterance is answered ``block`` frames at a time, once those and ``lookahead`` frames of right context are
    there. The states of forward directions are carried from block to block; those of backward ones start from zeros
    at the end of each context. The last block has what frames there are.
    """

    block: int
    lookahead: int

    @property
    def frames(self) -> int:
        """Frames that a block needs, its context included."""
        return self.block + self.lookahead

    @staticmethod
    def of(model: Model, options: Options) -> BoundedWait | None:
        """What the options ask for, in whole frames, rounded up; None for no blocks. Raises InputError."""
        if options.block_ms is None:
            return None
        if model.direction == "unidirectional":
            raise InputError(
                f"{model.name!r} is causal and answers each frame at once: block_ms and lookahead_ms are for "
                "bidirectional models; leave them out"
            )
        return BoundedWait(
            max(1, _whole_frames(options.block_ms, model)), _whole_frames(options.lookahead_ms or 0.0, model)
        )


def _whole_frames(ms: float, model: Model) -> int:
    frame_ms: float = model.front_end.frame_ms
    return math.ceil(round(ms / frame_ms, 6))


def delay(model: Model, wait: BoundedWait | None) -> Delay:
    """The delay of a model's stream."""
    if model.direction == "unidirectional":
        return Delay(0, 0.0)
    if wait is None:
        return Delay(None, None)
    return Delay(wait.frames - 1, (wait.frames - 1) * model.front_end.frame_ms)
