"""Snapshots: everything a stream needs to go on, as bytes.

    bytes 0-3    "OSTS"
    byte  4      version of this format
    bytes 5-20   BLAKE2b (16 bytes) of what follows
    then         msgpack [stream, front end, decoder, speech or nil, [[finished utterance, decoder], ...]], each a map
                 of the fields of a state (`ostinato.pipeline.state`)

A snapshot is tied to its model by the model's digest. The checksum finds damage, not malice: whoever takes
snapshots from strangers must sign them. What a forged one may make of memory is bounded before it is decoded.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

import msgpack

from ostinato.bounded import check_msgpack
from ostinato.errors import SnapshotError
from ostinato.options import MAX_HOTWORDS, Options
from ostinato.pipeline.state import F32Matrix, F64Matrix, F64Vector, I32Matrix, I32Vector
from ostinato.sampling import Sampling

MAGIC = b"OSTS"
VERSION = 10
MAX_FINISHED = 256
"""Finished utterances in one snapshot."""
_VALUES = 256 + MAX_HOTWORDS + 64 * MAX_FINISHED
_DEPTH = 8
"""More values, and deeper nested ones, than a snapshot of so many can have."""
_CHECKSUM = 16
_HEADER = len(MAGIC) + 1 + _CHECKSUM


@dataclass(slots=True)
class Generating:
    """A generation in progress: how tokens are drawn, and how many may still be."""

    sampling: Sampling
    left: int


@dataclass(slots=True)
class BeamRecord:
    """A beam in progress; see `ostinato.streaming.beam.Beam`, whose fields these are. ``states``: the recurrent
    states of its open hypotheses, one after the other, as float32, little-endian."""

    told: int
    scores: F64Vector
    tokens: I32Matrix
    chances: F64Matrix
    outputs: F32Matrix
    states: bytes
    best_score: float | None
    best_tokens: I32Vector
    best_chances: F64Vector
    decided_tokens: I32Vector
    decided_chances: F64Vector
    over: bool


@dataclass(slots=True)
class Writing:
    """The text that a stream makes of its source, which an encoder reads: ``count`` tokens so far, of which ``token``
    is the last, and the next input; at first the start token. ``ended``: the source has. ``early``: how tokens are
    drawn while it has not, with wait-k."""

    token: int
    count: int = 0
    ended: bool = False
    early: Generating | None = None


@dataclass(slots=True)
class StreamRecord:
    """What a stream itself knows.

    ``model`` is the network's digest, ``state`` the recurrent state as float32, little-endian (none for bidirectional
    streams but those of bounded wait; anything goes, as a model's weights may overflow), ``waiting`` the frames that
    are not computed yet, or the utterance so far: what was computed early is computed again. ``computed`` frames of
    the utterance have been answered in blocks. With an encoder there are also ``writing``, the recurrent state
    ``written`` of what generates, and what the encoder has made, ``memory``.
    """

    model: str
    options: Options
    units_in: int
    frames_in: int
    frames_out: int
    utterance: int
    utterance_units: int
    base_ms: float
    start_frame: int
    computed: int
    state: bytes | None
    waiting: F32Matrix
    generating: Generating | None
    beam: BeamRecord | None
    writing: Writing | None
    written: bytes | None
    memory: F32Matrix | None


@dataclass(slots=True)
class EndRecord:
    """The end-of-speech event that ended an utterance."""

    frame: int
    time_ms: float
    probability: float


@dataclass(slots=True)
class UtteranceRecord:
    """A finished utterance, as far as it is not computed yet. ``state`` as in `StreamRecord`."""

    frames: F32Matrix
    state: bytes | None
    utterance: int
    utterance_ms: float
    end: EndRecord | None


def encode(parts: list[Any]) -> bytes:
    """The five parts as a snapshot."""
    body: bytes = msgpack.packb(parts)
    return MAGIC + bytes([VERSION]) + _checksum(body) + body


def decode(snapshot: bytes) -> list[Any]:
    """The five parts of a snapshot, not looked into. Raises SnapshotError."""
    if not isinstance(snapshot, bytes) or snapshot[: len(MAGIC)] != MAGIC or len(snapshot) < _HEADER:
        raise SnapshotError("this is no snapshot, or a truncated one: give the bytes of Stream.snapshot()")
    if (version := snapshot[len(MAGIC)]) != VERSION:
        raise SnapshotError(
            f"snapshot version {version} is unknown here (this Ostinato reads {VERSION}): "
            "restore it with the Ostinato that took it"
        )
    body = snapshot[_HEADER:]
    if _checksum(body) != snapshot[len(MAGIC) + 1 : _HEADER]:
        raise SnapshotError("the snapshot is damaged or truncated: its checksum is wrong; use an earlier one")
    try:
        check_msgpack(body, _VALUES, _DEPTH)
        parts = msgpack.unpackb(body)
    except ValueError as error:
        raise SnapshotError(f"the snapshot is damaged: {error}") from error
    if not isinstance(parts, list) or len(parts) != 5 or not isinstance(parts[4], list):
        raise SnapshotError("the snapshot is damaged: it does not have its five parts")
    if len(parts[4]) > MAX_FINISHED:
        raise SnapshotError(f"the snapshot is damaged: it has more than {MAX_FINISHED} finished utterances")
    return parts


def _checksum(body: bytes) -> bytes:
    return hashlib.blake2b(body, digest_size=_CHECKSUM).digest()
