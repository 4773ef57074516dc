"""A stream's record as a snapshot keeps it: all that does not follow from its options."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ostinato.pipeline.decoders.memory import MemoryState
from ostinato.pipeline.state import MAX_COUNT, expect, pack
from ostinato.streaming.beam import Beam
from ostinato.streaming.record import Record
from ostinato.streaming.snapshot import StreamRecord
from ostinato.streaming.utterance import FinishedUtterance


def packed(record: Record) -> list[Any]:
    """The five parts of a snapshot."""
    writes = record.writing is not None
    kept = StreamRecord(
        record.model.network.digest,
        record.options,
        record.units_in,
        record.frames_in,
        record.frames_out,
        record.utterance,
        record.utterance_units,
        record.base_ms,
        record.start_frame,
        record.answered,
        None if record.whole else record.state.astype("<f4").tobytes(),
        np.concatenate([record.rows.frames(record.model.front_end.frame_size), record.queue.peek(record.waiting)]),
        record.generating,
        record.beam.packed() if record.beam is not None else None,
        record.writing,
        record.written.astype("<f4").tobytes() if writes else None,
        record.decoder_state.memory.frames[:, : record.sink.region.size] if writes else None,
    )
    speech = pack(record.speech.state) if record.speech else None
    finished = [utterance.packed() for utterance in record.finished]
    return [pack(kept), pack(record.front), pack(record.decoder_state), speech, finished]


def restore(record: Record, kept: StreamRecord, front: Any, decoder: Any, speech: Any, finished: list[Any]) -> None:
    """Let a fresh record go on from what was `packed`. Raises SnapshotError."""
    counters = ("units_in", "frames_in", "frames_out", "utterance", "utterance_units", "start_frame", "computed")
    expect(min(getattr(kept, name) for name in counters) >= 0, "a counter is negative")
    expect(kept.utterance_units <= kept.units_in, "the utterance is longer than all input")
    expect(0 <= kept.base_ms <= MAX_COUNT, "the utterance's place is out of range")
    record.units_in, record.frames_in, record.frames_out = kept.units_in, kept.frames_in, kept.frames_out
    record.utterance, record.utterance_units = kept.utterance, kept.utterance_units
    record.base_ms, record.start_frame, record.answered = kept.base_ms, kept.start_frame, kept.computed
    record.front = record.model.front_end.restore(front)
    record.decoder_state = record.sink.decoder.restore(decoder)
    expect((speech is None) == (record.speech is None), "the speech state does not fit the options")
    if record.speech:
        record.speech.restore(speech)
    expect((kept.state is None) == record.whole, "the recurrent state does not fit the model")
    if kept.state is not None:
        expect(len(kept.state) == record.state.nbytes, "the recurrent state is not of the model's size")
        record.state[:] = np.frombuffer(kept.state, "<f4")
    expect(
        kept.waiting.shape[1] == record.model.front_end.frame_size, "the waiting frames are not of the model's size"
    )
    expect(
        len(kept.waiting) <= most_frames(record.utterance_units, record.units_per_frame),
        "more frames wait than the utterance's input makes",
    )
    record.queue.append(kept.waiting)
    record.generating = kept.generating
    beams = kept.generating.sampling.beams if kept.generating is not None else 1
    expect((kept.beam is None) == (beams == 1), "a beam does not fit the generation")
    if kept.beam is not None:
        pool = record.model.writer.states if record.model.writer else record.model.states
        record.beam = Beam(pool, beams)
        record.beam.restore(kept.beam, record.head.region.size)
    expect(not (finished and record.causal), "a causal stream has no finished utterances")
    record.finished = [FinishedUtterance.restore(record.model, record.sink, each, record.wait) for each in finished]
    parts = (kept.writing, kept.written, kept.memory)
    writes = record.writing is not None
    expect(all((part is not None) == writes for part in parts), "a text's state does not fit the model")
    if writes:
        _restore_writing(record, *parts)


def _restore_writing(record: Record, writing: Any, written: Any, memory: Any) -> None:
    state: MemoryState = record.decoder_state
    expect(len(written) == record.written.nbytes, "a text's recurrent state is not of the model's size")
    expect(memory.shape[1] == record.sink.region.size, "what the encoder made is not of the model's size")
    most = most_frames(min(record.utterance_units, record.longest_source), record.units_per_frame)
    expect(len(memory) == state.frames <= most, "the encoder has made more of the source than it can")
    expect(len(record.finished) <= int(writing.ended), "a source is several utterances")
    state.memory.append(memory)
    record.written[:] = np.frombuffer(written, "<f4")
    record.writing = writing
    for utterance in record.finished:  # what it makes goes where the rest is
        utterance.decoder_state = state


def most_frames(units: float, units_per_frame: float) -> int:
    """A bound of the frames that so much input makes. (Lower-casing makes two characters of a few.)"""
    return 2 * math.ceil(units / units_per_frame) + 16
