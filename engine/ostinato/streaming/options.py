"""What a stream makes of the options that it is opened with, and how long it then looks ahead."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import numpy as np

from ostinato.errors import DtypeError, InputError
from ostinato.model.front_ends import Frames
from ostinato.options import Options, whole_frames
from ostinato.streaming.heads import Head
from ostinato.streaming.pipeline import Pipeline


def settled(options: Options, model: Pipeline) -> Options:
    """The options of a stream of this model: checked, and with what was left open chosen.

    Raises InputError (DtypeError, …) for those that are out of range or do not fit the model."""
    options.check()
    check_dtype(options, model)
    if options.wait_k is not None:
        _check_waiting(model)
        if options.sampling is not None and options.sampling.beams > 1:
            raise InputError(
                "tokens that are said while a source goes on are drawn, as none of them can be taken back: leave "
                "beams out here, and give them to generate, which searches for the rest of the text"
            )
    return dataclasses.replace(
        options,
        head=model.heads.find(options.head, options.decoder).name,
        dtype=None,
        end_of_speech_ms=_float(options.end_of_speech_ms),
        trailing_blanks_ms=_float(options.trailing_blanks_ms),
        max_utterance_s=_float(options.utterance_s),
        block_ms=_float(options.block_ms),
        lookahead_ms=_float(options.lookahead_ms),
        hotword_boost=_float(options.hotword_boost),
    )


def _check_waiting(model: Pipeline) -> None:
    """Raise InputError unless a text can begin before its source has ended."""
    if model.writer is None:
        raise InputError(f"{model.name!r} has no encoder, which wait_k is for: leave it out")
    encoder = model.reader.specification
    if cause := encoder.delay_cause(encoder.heads[0]):
        raise InputError(
            f"the encoder of {model.name!r} is not done with a frame as soon as it comes, because of its node "
            f"{cause!r}: wait_k is for encoders that run forward and do not look ahead; leave it out"
        )


def _float(number: float | None) -> float | None:
    """A float, whatever number was given: a snapshot holds them by their type."""
    return None if number is None else float(number)


def check_dtype(options: Options, model: Pipeline) -> None:
    """Raise InputError if the model takes no input of the dtype that is announced."""
    if options.dtype is None:
        return
    try:
        dtype = np.dtype(options.dtype)
    except TypeError as error:
        raise DtypeError(f"there is no dtype {options.dtype!r}: say int16 or float32") from error
    front_end = model.reader.specification.front_end
    frames = isinstance(front_end, Frames)
    model.front_end.check(np.zeros((0, front_end.frame_size) if frames else 0, dtype))


@dataclass(frozen=True, slots=True)
class Delay:
    """How much of the future an output needs at most, beyond the front end's own latency: what layers look ahead and
    the decoder waits for (0 for causal models whose decoder answers at once), a number for bounded wait, None for the
    whole utterance. ``frames`` are the model's."""

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
    def of(model: Pipeline, head: Head, options: Options) -> BoundedWait | None:
        """What the options ask for of what is computed for this head, in whole frames, rounded up; None for no
        blocks. Raises InputError."""
        if options.block_ms is None:
            return None
        if head.direction == "unidirectional":
            whose = f"head {head.name!r} of " if len(model.heads.all) > 1 else ""
            raise InputError(
                f"{whose}{model.name!r} is causal and answers each frame at once: block_ms and lookahead_ms are for "
                "bidirectional models; leave them out"
            )
        block, ahead = (
            whole_frames(ms, model.front_end.frame_ms) for ms in (options.block_ms, options.lookahead_ms or 0.0)
        )
        return BoundedWait(max(1, block), ahead)


def delay(model: Pipeline, head: Head, wait: BoundedWait | None, wait_k: int | None = None) -> Delay:
    """The delay of a stream that has this head of a model: of one that generates from a source, how many frames of
    that come before the first token."""
    if model.writer:
        return Delay(None, None) if wait_k is None else Delay(wait_k - 1, (wait_k - 1) * model.front_end.frame_ms)
    ahead_ms = model.lookahead * model.reader.specification.front_end.frame_ms
    ahead = whole_frames(ahead_ms, model.front_end.frame_ms)
    own = head.decoder.delay
    if own is None or (head.direction == "bidirectional" and wait is None):
        return Delay(None, None)
    ahead, ahead_ms = ahead + own, ahead_ms + own * model.front_end.frame_ms
    if wait is None:
        return Delay(ahead, ahead_ms)
    return Delay(wait.frames - 1 + ahead, (wait.frames - 1) * model.front_end.frame_ms + ahead_ms)
