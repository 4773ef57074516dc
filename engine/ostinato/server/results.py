"""Results as the wire has them: of many streams at once by compiled code, others one by one."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple
from weakref import WeakKeyDictionary

import numpy as np
import numpy.typing as npt

from ostinato import protocol as wire
from ostinato.engine import Answer, Answers
from ostinato.kernels.columns import TOLD
from ostinato.kernels.compiler import entry, prepare
from ostinato.kernels.directory import NOBODY
from ostinato.kernels.results import EVENT_BYTES, write_results
from ostinato.server.directory import Directory
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

    def __init__(self, directory: Directory) -> None:
        """``directory`` says whose the streams are."""
        if directory.rows:
            prepare(write_results)
            self._write = entry(write_results)
        self._directory = directory
        self._symbols: WeakKeyDictionary[Head, Symbols] = WeakKeyDictionary()
        self._out: Bytes = np.empty(0, np.uint8)

    def fits(self, answers: Answers) -> bool:
        """Whether no result can be too long for a message, so that none is to be cut."""
        if not len(answers.decisions):
            return True
        told = int(answers.numbers[:, TOLD].max())
        longest = len(wire.PLAIN) + EVENT_BYTES + told * (self._symbols_of(answers.head).longest + EVENT_BYTES)
        return longest <= wire.MAX_RESULT_BYTES

    def frames(self, answers: Answers) -> Iterator[tuple[Peer, list[bytes]]]:
        """As few messages as fit for each peer: results without events first, then those with some. Each result fits
        a message (`fits`); those of streams that have been closed meanwhile are left out."""
        numbers, owners = answers.numbers, self._directory.owners[answers.rows]
        order = (2 * owners + (numbers[:, TOLD] > 0)).argsort(kind="stable")
        owners = owners[order]
        if owners[0] == NOBODY:
            order, owners = order[owners != NOBODY], owners[owners != NOBODY]
        symbols = self._symbols_of(answers.head)
        room = len(order) * (len(wire.PLAIN) + EVENT_BYTES) + len(answers.decisions) * (symbols.longest + EVENT_BYTES)
        if len(self._out) < room:
            self._out = np.empty(2 * room, np.uint8)
        ends = np.empty(len(order), np.int64)
        self._write(
            wire.PLAIN, wire.PLAIN_PLACES, self._directory.ids, answers.rows, order, numbers,
            answers.computing_ms, answers.decisions, symbols.packed, symbols.starts, symbols.frame_ms,
            symbols.latency_ms, self._out, ends,
        )  # fmt: skip
        first = 0
        while first < len(order):
            owner = owners[first]
            last = int(owners.searchsorted(owner, "right"))
            yield self._directory.peer(int(owner)), self._messages(ends, first, last)
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
            start, until = int(ends[first - 1]) if first else 0, last
            if ends[last - 1] > start + wire.MAX_RESULT_BYTES:
                until = int(ends.searchsorted(start + wire.MAX_RESULT_BYTES, "right"))
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
