"""The client of `load`: one process that speaks for all streams, each paced in real time, over a few connections.

Chunks that are due together go together, in one PUSHES for each connection, whose parts were made beforehand; of
RESULTS it reads only what it needs. So the machine's time goes to the server: docs/protocol.md allows all that. Lines
of JSON on standard output say how far it is and what it found.
"""

from __future__ import annotations

import json
import os
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgpack
import numpy as np
import numpy.typing as npt
import zmq

from ostinato import protocol as wire
from ostinato.options import Options
from ostinato.server.memory import keep_free
from ostinato_bench.load import Plan

PATIENCE_S = 10.0
"""How long the last results are waited for."""
GRAIN_MS = 4
"""How finely chunks are sent, at most: those due within it go together when the last one is due, as at a gateway."""
FILL = 0.9
"""How full messages may become on average: a second one would be small, and so would be the server's batch for it."""
INDEX_BYTES = 4
"""The end of a stream's id is its number among ours, so that results tell whose they are at once."""


@dataclass(eq=False)
class Line:
    """A connection, and the numbers and ids of its streams, ascending."""

    socket: zmq.Socket[bytes]
    streams: npt.NDArray[np.int64] = field(default_factory=lambda: np.empty(0, np.int64))
    ids: bytes = b""


class Load:
    """The connections and their streams."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.context = zmq.Context()
        self.poller = zmq.Poller()
        self.lines: dict[str, list[Line]] = {plan.endpoint: [self._connect(plan.endpoint)]}
        self.texts: list[str] = []
        if plan.input.endswith(".json"):
            self.texts = json.loads(Path(plan.input).read_text(encoding="utf-8"))
            self.together = 1
        else:
            self._cut(np.load(plan.input, allow_pickle=False))
        self.late_ns: list[npt.NDArray[np.int64]] = []
        self._reset(0, 0)

    def _cut(self, data: npt.NDArray[Any]) -> None:
        """Make chunks of what is to be sent, as many more as go together, so that those lie side by side."""
        data = data.astype(data.dtype.newbyteorder("<"), copy=False)
        self.size = None if data.ndim == 1 else data.shape[1]
        self.dtype = data.dtype.name
        self.chunk_bytes = self.plan.units * data[:1].nbytes
        most = (wire.MAX_MESSAGE_BYTES - 512) // (self.chunk_bytes + wire.STREAM_ID_BYTES + 5 + 5)
        self.together = 1 if self.plan.singly else max(1, min(wire.MAX_PUSHES, most))
        self.chunks = max(1, len(data) // self.plan.units)
        rows = (self.chunks + self.together) * self.plan.units
        self.data = np.resize(data[: self.chunks * self.plan.units], (rows, *data.shape[1:])).tobytes()

    def _reset(self, streams: int, chunks: int) -> None:
        """Nothing is sent yet. Chunk k of stream i is number k * streams + i of all."""
        self.streams = streams
        self.sent_ns = np.zeros(streams * chunks, np.int64)
        self.took_ns = np.full(streams * chunks, -1, np.int64)
        self.answered = np.zeros(streams, np.int64)
        self.received = 0
        self.refused = 0

    def _connect(self, endpoint: str) -> Line:
        socket = self.context.socket(zmq.DEALER)
        socket.linger = 0
        socket.sndhwm = socket.rcvhwm = 100_000
        socket.connect(endpoint)
        self.poller.register(socket, zmq.POLLIN)
        return Line(socket)

    # --- streams ----------------------------------------------------------------------------------------------------

    def open(self, count: int, chunks: int) -> None:
        """Open so many streams, where the server says, spread over the connections there."""
        ids = [os.urandom(wire.STREAM_ID_BYTES - INDEX_BYTES) + i.to_bytes(INDEX_BYTES, "big") for i in range(count)]
        moved: dict[bytes, str] = {}
        front = self.lines[self.plan.endpoint]
        if count:  # the first one tells whether there are workers
            front[0].socket.send(self._open(ids[0]))
            self._answers(1, (wire.Opened, wire.Moved), moved)
        if moved:
            for each in ids[1:]:
                front[0].socket.send(self._open(each))
            self._answers(count - 1, (wire.Moved,), moved)
        by_endpoint: dict[str, list[int]] = {}
        for i, each in enumerate(ids):
            by_endpoint.setdefault(moved.get(each, self.plan.endpoint), []).append(i)
        self._reset(count, chunks)
        for endpoint, numbers in by_endpoint.items():
            lines = self.lines.setdefault(endpoint, [])
            while len(lines) < max(1, min(self.plan.connections // len(by_endpoint), len(numbers))):
                lines.append(self._connect(endpoint))
            for k, line in enumerate(lines):
                line.streams = np.array(numbers[k :: len(lines)], np.int64)
                line.ids = b"".join(ids[i] for i in line.streams)
                for i in line.streams:
                    if i or moved:
                        line.socket.send(self._open(ids[i]))
        self._answers(count - (not moved and count > 0), (wire.Opened,), moved)

    def _open(self, stream: bytes) -> bytes:
        return wire.encode(wire.Open(stream, self.plan.model, Options(sample_rate=self.plan.sample_rate)))

    def _lines(self) -> list[Line]:
        return [line for lines in self.lines.values() for line in lines if len(line.streams)]

    def close(self) -> None:
        """Close all streams."""
        for line in self._lines():
            for start in range(0, len(line.ids), wire.STREAM_ID_BYTES):
                line.socket.send(wire.encode(wire.Close(line.ids[start : start + wire.STREAM_ID_BYTES])))
        self._answers(self.streams, (wire.Closed,), {})
        for line in self._lines():
            line.streams, line.ids = line.streams[:0], b""

    def _answers(self, count: int, kinds: tuple[type[Any], ...], moved: dict[bytes, str]) -> None:
        end = time.monotonic() + PATIENCE_S + count / 100
        while count:
            if time.monotonic() > end:
                raise TimeoutError(f"{count} answers are missing")
            for socket, _ in self.poller.poll(1000):
                reply = wire.decode_reply(socket.recv())
                self._heed(reply)
                if isinstance(reply, wire.Moved):
                    moved[reply.stream] = reply.endpoint
                count -= isinstance(reply, kinds)

    def say_once(self) -> None:
        """Send one chunk in every stream, and wait for all results."""
        if self.streams:
            self._push(0, self.streams)
        self._settle(self.streams)

    # --- the load ---------------------------------------------------------------------------------------------------

    def speak(self) -> int:
        """Send every stream's chunks in real time, starts staggered over a chunk; how many were sent.

        Once the server has refused one because too many wait, no more are sent.
        """
        chunk_ns = int(self.plan.chunk_ms * 1e6)
        total, sent = len(self.sent_ns), 0
        start = time.monotonic_ns()
        step = chunk_ns / self.streams
        most = max(1, int(min(GRAIN_MS * 1e6 / step, FILL * self.together * len(self._lines()))))
        parcel = -(-self.streams // -(-self.streams // most))  # a chunk of all streams makes equal parcels
        told = start
        while sent < total and not self.refused:
            until = min(sent + parcel, (sent // self.streams + 1) * self.streams)
            turn = start + int((until - 1) * step)
            if (now := time.monotonic_ns()) < turn:
                self.receive(1 + (turn - now) // 1_000_000)
                continue
            self._push(sent, until)
            self.late_ns.append((self.sent_ns[sent:until] - start - np.arange(sent, until) * step).astype(np.int64))
            sent = until
            if now - told > 500_000_000:
                told = now
                say(progress=sent / total)
        self._settle(sent)
        return sent

    def _push(self, first: int, last: int) -> None:
        """Send the chunks of those numbers, all the same chunk of their streams."""
        chunk, start = divmod(first, self.streams)
        end = start + last - first
        for line in self._lines():
            low, high = np.searchsorted(line.streams, (start, end)).tolist()
            for at in range(low, high, self.together):
                until = min(at + self.together, high)
                now = time.monotonic_ns()
                self.sent_ns[chunk * self.streams + line.streams[at:until]] = now
                ids = line.ids[16 * at : 16 * until]
                if self.texts:
                    line.socket.send(self.text(ids, chunk))
                else:
                    line.socket.send(
                        self.push(ids, chunk) if self.plan.singly else self.pushes(ids, until - at, chunk)
                    )

    def push(self, stream: bytes, chunk: int) -> bytes:
        """A PUSH of a stream's next chunk."""
        start = self.chunk_bytes * (chunk % self.chunks)
        data = np.frombuffer(self.data[start : start + self.chunk_bytes], self.dtype)
        rows = data if self.size is None else data.reshape(-1, self.size)
        return wire.encode(wire.Push(stream, chunk + 1, rows))

    def text(self, stream: bytes, chunk: int) -> bytes:
        """A PUSH of a stream's next text: PUSHES has none."""
        return wire.encode(wire.Push(stream, chunk + 1, self.texts[chunk % len(self.texts)]))

    def pushes(self, ids: bytes, count: int, chunk: int) -> bytes:
        """A PUSHES of the streams' next chunks, the same as `wire.encode` would make of them."""
        start = self.chunk_bytes * (chunk % self.chunks)
        packed = msgpack.Packer()
        return b"".join(
            (
                bytes((wire.Pushes.TYPE, wire.VERSION, 0x85 + (self.size is not None))),
                b"\xa7streams", msgpack.packb(ids),
                b"\xa4seqs", packed.pack_array_header(count), msgpack.packb(chunk + 1) * count,
                b"\xa5units", packed.pack_array_header(count), msgpack.packb(self.plan.units) * count,
                b"\xa4data", msgpack.packb(self.data[start : start + self.chunk_bytes * count]),
                b"\xa5dtype", msgpack.packb(self.dtype),
                b"" if self.size is None else b"\xa4size" + msgpack.packb(self.size),
            )
        )  # fmt: skip

    def _settle(self, total: int) -> None:
        end = time.monotonic() + PATIENCE_S
        while self.received + self.refused < total and time.monotonic() < end:
            self.receive(100)

    def receive(self, wait_ms: int) -> None:
        """Take the results that have come, or come within the time."""
        for socket, _ in self.poller.poll(wait_ms):
            while True:
                try:
                    frame = socket.recv(zmq.DONTWAIT)
                except zmq.Again:
                    break
                now = time.monotonic_ns()
                if frame[0] != wire.Results.TYPE:
                    self._heed(wire.decode_reply(frame))
                else:
                    self._results(*_read(frame), now)

    def _heed(self, reply: wire.Reply) -> None:
        """Count a chunk that is refused because too many wait, or is behind such a one; any other error ends all."""
        if isinstance(reply, wire.Error):
            if reply.code not in ("over_credit", "sequence_gap"):
                raise RuntimeError(reply.message)
            self.refused += 1

    def _results(self, index: npt.NDArray[np.int64], seq: npt.NDArray[np.int64], now: int) -> None:
        """Streams ``index`` have answered their inputs up to ``seq``."""
        if (seq == self.answered[index] + 1).all():  # as nearly always
            number = (seq - 1) * self.streams + index
            self.took_ns[number] = now - self.sent_ns[number]
            self.answered[index] = seq
            self.received += len(seq)
            return
        for lag in range(int((seq - self.answered[index]).max(initial=0))):
            late = seq - lag > self.answered[index]
            number = (seq[late] - lag - 1) * self.streams + index[late]
            fresh = number[self.took_ns[number] < 0]
            self.took_ns[fresh] = now - self.sent_ns[fresh]
            self.received += len(np.unique(fresh))
        np.maximum.at(self.answered, index, seq)


def _read(frame: bytes) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """The streams' numbers and the ``seq`` of the results in a RESULTS."""
    rows, others = wire.read_results(frame)
    words = np.frombuffer(rows["stream"].tobytes(), f">u{INDEX_BYTES}").reshape(
        len(rows), wire.STREAM_ID_BYTES // INDEX_BYTES
    )
    index, seq = words[:, -1].astype(np.int64), rows["seq"].astype(np.int64)
    if not others:
        return index, seq
    more = [(int.from_bytes(each["stream"][-INDEX_BYTES:], "big"), each["seq"]) for each in others]
    behind = np.array(more, np.int64).T
    return np.concatenate([index, behind[0]]), np.concatenate([seq, behind[1]])


def say(**words: object) -> None:
    """A line for the process that started us."""
    print(json.dumps(words), flush=True)


def phase(name: str) -> None:
    """Say where we are, and wait until it has been seen."""
    say(phase=name)
    sys.stdin.readline()


def percentiles(values_ns: npt.ArrayLike) -> dict[str, float | None]:
    """p50, p90, p99 and the maximum, in ms; None each if there are no values."""
    values = np.asarray(values_ns)
    if not values.size:
        return dict.fromkeys(("p50", "p90", "p99", "max"))
    found = np.percentile(values, (50, 90, 99, 100)) / 1e6
    return dict(zip(("p50", "p90", "p99", "max"), (round(float(each), 3) for each in found), strict=True))


def main() -> None:
    """Do what the plan, the only argument, says."""
    plan = Plan(**json.loads(sys.argv[1]))
    keep_free()
    load = Load(plan)
    try:
        phase("before idle")
        load.open(plan.idle, 1)
        load.say_once()
        phase("idle")
        load.close()
        load.open(plan.streams, max(1, int(plan.seconds * 1000 / plan.chunk_ms)))
        phase("start")
        begin, cpu = time.monotonic(), time.process_time()
        sent = load.speak()
        share = (time.process_time() - cpu) / (time.monotonic() - begin)
        phase("end")
        answered = load.took_ns[:sent] >= 0
        took = load.took_ns[:sent][answered]
        late = np.concatenate([np.empty(0, np.int64), *load.late_ns])
        if plan.record:
            np.save(plan.record, np.stack((load.sent_ns, load.took_ns)))
        load.close()
        say(
            sent=sent,
            received=len(took),
            lost=sent - len(took),
            latency_ms=percentiles(took),
            late_ms=percentiles(late),
            from_due_ms=percentiles(took + late[answered]),
            client_core_share=round(share, 3),
        )
    except (RuntimeError, TimeoutError) as error:
        say(error=str(error))
    finally:
        load.context.destroy(0)


if __name__ == "__main__":
    main()
