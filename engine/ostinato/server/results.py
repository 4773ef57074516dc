"""Results as the wire has them: of many streams at once by compiled code, others one by one."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple
from weakref import WeakKeyDictionary

import numpy as np
import numpy.typing as npt

from ostinato import protocol as wire
from ostinato.engine import Answer, Answers
from ostinato.kernels import prepare
from ostinato.kernels.columns import TOLD
from ostinato.kernels.results import EVENT_BYTES, write_results
from ostinato.server.peer import Peer
from ostinato.streaming import Head

Bytes = npt.NDArray[np.uint8]
Int64 = npt.NDArray[np.int64]


class Symbols(NamedTuple):
    """What is the same in all events of a head that are of one symbol: see `kernels.results.write_results`."""

    packed: Bytes
    starts: Int64
    longest: int
    frame_ms: float
    latency_ms: float

    @staticmethod
    def of(head: Head) -> Symbols:
        """Those of a head in columns."""
        decoder, pieces = head.decoder, list[bytes]()
        for k in range(head.region.size):
            before, after = wire.pieces_of(decoder.decided(0, k, 0.0))
            pieces += [after] if pieces else [before, after]
        starts = np.cumsum([0, *map(len, pieces)])
        packed = np.frombuffer(bytearray().join(pieces), np.uint8)
        return Symbols(packed, starts, max(map(len, pieces)), decoder.frame_ms, decoder.latency_ms)


NONE = Symbols(np.empty(0, np.uint8), np.zeros(1, np.int64), 0, 0.0, 0.0)
"""Where there are no events."""


class Written:
    """Writes the results of a tick."""

    def __init__(self, wanted: bool = True) -> None:
        """``wanted``: whether there will be any; a server of no models needs no kernels."""
        if wanted:
            prepare(write_results)
        self._symbols: WeakKeyDictionary[Head, Symbols] = WeakKeyDictionary()
        self._out: Bytes = np.empty(0, np.uint8)

    def fits(self, answers: Answers) -> bool:
        """Whether no result can be too long for a message, so that none is to be cut."""
        told = int(answers.numbers[:, TOLD].max(initial=0))
        longest = len(wire.PLAIN) + EVENT_BYTES + told * (self._symbols_of(answers.head).longest + EVENT_BYTES)
        return longest <= wire.MAX_RESULT_BYTES

    def frames(self, answers: Answers) -> Iterator[tuple[Peer, list[bytes]]]:
        """As few messages as fit for each peer: results without events first, then those with some. The keys are
        pairs of peer and stream; each result fits a message (`fits`)."""
        owned, streams = zip(*answers.keys, strict=True)
        peers = {peer: number for number, peer in enumerate(dict.fromkeys(owned))}
        owners = np.fromiter(map(peers.__getitem__, owned), np.int64, len(owned))
        ids, numbers = np.frombuffer(bytearray().join(streams), np.uint8), answers.numbers
        told = numbers[:, TOLD] > 0
        order = np.argsort(2 * owners + told, kind="stable")
        symbols = self._symbols_of(answers.head)
        room = len(order) * (len(wire.PLAIN) + EVENT_BYTES) + len(answers.decisions) * (symbols.longest + EVENT_BYTES)
        if len(self._out) < room:
            self._out = np.empty(2 * room, np.uint8)
        ends = np.empty(len(order), np.int64)
        write_results(
            wire.PLAIN, wire.PLAIN_PLACES, ids.reshape(-1, wire.STREAM_ID_BYTES), order, numbers,
            answers.computing_ms, answers.decisions, symbols.packed, symbols.starts, symbols.frame_ms,
            symbols.latency_ms, self._out, ends,
        )  # fmt: skip
        first, bounds = 0, np.cumsum(np.bincount(owners)).tolist()
        for peer, last in zip(peers, bounds, strict=True):
            yield peer, self._messages(ends, first, last)
            first = last

    def _symbols_of(self, head: Head | None) -> Symbols:
        if head is None:
            return NONE
        if (found := self._symbols.get(head)) is None:
            found = self._symbols[head] = Symbols.of(head)
        return found

    def _messages(self, ends: Int64, first: int, last: int) -> list[bytes]:
        """The results first … last - 1, which end there, in as few messages as fit."""
        messages = []
        while first < last:
            start = int(ends[first - 1]) if first else 0
            until = min(last, int(np.searchsorted(ends, start + wire.MAX_RESULT_BYTES, "right")))
            messages.append(wire.results_frame(until - first, self._out[start : ends[until - 1]].tobytes()))
            first = until
        return messages


def packed(stream: bytes, result: Answer) -> wire.ResultEntry | bytes:
    """An engine's result for `wire.encode_results`: its bytes, unless they are too many, or cannot be made."""
    try:
        made = wire.packed_result(
            stream, result.sequence, result.first, result.processed, result.utterance, result.utterance_ms,
            result.final, result.frames, result.waiting_ms, result.computing_ms, result.buffered_ms, result.events,
        )  # fmt: skip
    except Exception:  # which is told where it is sent
        return on_the_wire(stream, result)
    return made if len(made) <= wire.MAX_RESULT_BYTES else on_the_wire(stream, result)


def on_the_wire(stream: bytes, result: Answer) -> wire.ResultEntry:
    """An engine's result with events as the wire has it."""
    return wire.ResultEntry(
        stream, result.sequence, result.first, result.processed, result.utterance, result.final, result.frames,
        result.waiting_ms, result.computing_ms, result.buffered_ms, tuple(result.events), result.utterance_ms,
    )  # fmt: skip
