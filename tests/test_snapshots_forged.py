"""Snapshots that are wrong by a byte or a few, under a checksum that is right: refused by name, or a stream that goes
on, whatever it then says; nothing else is raised, and nothing crashes."""

from __future__ import annotations

import contextlib
import hashlib
import random
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from engine_models import model, sound
from fuzz_connections import talking
from random_models import VOCABULARY, network

from ostinato.errors import OstinatoError
from ostinato.model import Sequential
from ostinato.model.decoders import CtcBeam, Generation
from ostinato.model.front_ends import Frames, Tokens
from ostinato.model.layers import Dense, Embedding, Gru, Softmax
from ostinato.sampling import Sampling
from ostinato.streaming import Model, Stream
from ostinato.streaming import snapshot as snapshots

CHECKSUM = 16
START = snapshots.MAGIC + bytes([snapshots.VERSION])
FRAMES = np.random.default_rng(0).normal(0, 3, (40, 3)).astype(np.float32)
LETTERS = ("", " ", *"abc")
BEAM = Model(
    network(
        Sequential("beam", Frames(3), (Gru(4), Dense(5), Softmax()), CtcBeam(LETTERS, separator="", width=4, lag=5))
    )
)
WRITER = Model(network(Sequential("writer", Tokens(VOCABULARY), (Embedding(4), Gru(5), Dense(len(VOCABULARY))),
                                  Generation(longest=50))))  # fmt: skip


def pushed(stream: Stream, data: Any) -> Stream:
    stream.push(data)
    return stream


def generating(stream: Stream, source: str, how: Sampling) -> Stream:
    next(pushed(stream, source).generate(how))
    return stream


CASES: dict[str, tuple[Model, Callable[[], Stream]]] = {
    "ctc": (talking(), lambda: pushed(talking().stream(), sound(0.3))),
    "blanks": (talking(), lambda: pushed(talking().stream(trailing_blanks_ms=100.0), sound(0.3))),
    "resampled": (talking(), lambda: pushed(talking().stream(sample_rate=11025), sound(0.3))),
    "utterance": (model("audio-bi"), lambda: pushed(model("audio-bi").stream(end_of_speech_ms=200.0), sound(1.0))),
    "blocks": (model("frames-bi"), lambda: pushed(model("frames-bi").stream(block_ms=50.0), FRAMES)),
    "beam": (BEAM, lambda: pushed(BEAM.stream(hotwords=["ab", "c"], trailing_blanks_ms=30.0), FRAMES)),
    "drawn": (WRITER, lambda: generating(WRITER.stream(), "bad", Sampling(seed=1))),
    "searched": (WRITER, lambda: generating(WRITER.stream(), "bad", Sampling(beams=3))),
}
"""Streams that have something to remember, and the models that they are of."""


def sealed(body: bytes) -> bytes:
    """A snapshot with this body, and a checksum that fits."""
    return START + hashlib.blake2b(body, digest_size=CHECKSUM).digest() + body


def use(stream: Stream) -> None:
    """All that a stream does."""
    with stream:
        if stream.generating:
            for _, _event in zip(range(5), stream.generate(Sampling(seed=3)), strict=False):
                pass
            stream.end_generation()
        frames = stream.record.model.front_end.frame_size
        unit = stream.record.model.reader.specification.front_end.counted_in
        stream.push({"sample": sound(0.1), "character": "ab", "frame": FRAMES[:4, :frames]}[unit])
        stream.snapshot()
        stream.flush()


@pytest.mark.parametrize("case", CASES)
def test_wrong_by_a_byte_it_is_refused_or_harmless(case: str) -> None:
    owner, made = CASES[case]
    rng, refused, taken = random.Random(case), 0, 0
    with made() as stream:
        body = stream.snapshot()[len(START) + CHECKSUM :]
        assert sealed(body) == stream.snapshot()
    for _ in range(400):
        wrong = bytearray(body)
        for _ in range(rng.choice((1, 1, 3))):
            wrong[rng.randrange(len(wrong))] = rng.randrange(256)
        if rng.random() < 0.05:
            del wrong[rng.randrange(len(wrong)) :]
        try:
            stream = owner.restore(sealed(bytes(wrong)))
        except OstinatoError:  # nearly always a SnapshotError, else an option that does not fit
            refused += 1
            continue
        taken += 1
        with contextlib.suppress(OstinatoError):  # its state may overflow
            use(stream)
    assert refused > 10 and taken > 10, (refused, taken)
