"""The client of `load`: one process that speaks for all streams, each paced in real time, over a few connections.

It writes PUSH messages from a template and reads of RESULTS only what it needs, so that the machine's time goes to
the server: docs/protocol.md allows that. Lines of JSON on standard output say how far it is and what it found.
"""

from __future__ import annotations

import json
import os
import struct
import sys
import time
from dataclasses import dataclass
from typing import Any

import msgpack
import numpy as np
import zmq

from ostinato import protocol as wire
from ostinato_bench.load import Plan

PATIENCE_S = 10.0
"""How long the last results are waited for."""
GRAIN_MS = 1
"""How finely chunks are sent: those due within it go together."""


@dataclass(slots=True, eq=False)
class Speaker:
    """A stream: where its messages start, and when each of its chunks was sent (ns)."""

    socket: zmq.Socket[bytes]
    head: bytes
    sent: list[int]
    answered: int = 0


class Load:
    """The connections and their streams."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.context = zmq.Context()
        self.sockets = [self._connect() for _ in range(max(1, min(plan.connections, plan.streams)))]
        self.poller = zmq.Poller()
        for socket in self.sockets:
            self.poller.register(socket, zmq.POLLIN)
        self.speakers: dict[bytes, Speaker] = {}
        self.latency_ns: list[int] = []
        self.late_ns: list[int] = []
        samples = int(plan.sample_rate * plan.chunk_ms / 1000)
        sound = (np.random.default_rng(0).normal(size=64 * samples) * 2000).astype("<i2")
        self.tails = [
            b"\xa4data" + msgpack.packb(piece.tobytes()) + b"\xa5dtype\xa5int16\xa5shape" + msgpack.packb([samples])
            for piece in np.split(sound, 64)
        ]

    def _connect(self) -> zmq.Socket[bytes]:
        socket = self.context.socket(zmq.DEALER)
        socket.linger = 0
        socket.sndhwm = socket.rcvhwm = 100_000
        socket.connect(self.plan.endpoint)
        return socket

    # --- streams ----------------------------------------------------------------------------------------------------

    def open(self, count: int) -> list[bytes]:
        """Open so many streams, spread over the connections; their ids."""
        streams = [os.urandom(wire.STREAM_ID_BYTES) for _ in range(count)]
        for i, stream in enumerate(streams):
            socket = self.sockets[i % len(self.sockets)]
            socket.send(wire.encode(wire.Open(stream, self.plan.model, sample_rate=self.plan.sample_rate)))
            head = (
                bytes((wire.Push.TYPE, wire.VERSION, 0x85)) + b"\xa6stream" + msgpack.packb(stream) + b"\xa3seq\xce"
            )
            self.speakers[stream] = Speaker(socket, head, [])
        self._answers(count, wire.Opened)
        return streams

    def close(self, streams: list[bytes]) -> None:
        """Close streams."""
        for stream in streams:
            self.speakers.pop(stream).socket.send(wire.encode(wire.Close(stream)))
        self._answers(len(streams), wire.Closed)

    def _answers(self, count: int, kind: type[Any]) -> None:
        end = time.monotonic() + PATIENCE_S + count / 100
        while count:
            if time.monotonic() > end:
                raise TimeoutError(f"{count} answers are missing")
            for socket, _ in self.poller.poll(1000):
                reply = wire.decode_reply(socket.recv())
                if isinstance(reply, wire.Error):
                    raise RuntimeError(reply.message)
                count -= isinstance(reply, kind)

    def say_once(self) -> None:
        """Send one chunk in every stream, and wait for all results."""
        for speaker in self.speakers.values():
            self._push(speaker, 0)
            self.receive(0)
        self._settle(len(self.speakers))
        self.latency_ns.clear()

    # --- the load ---------------------------------------------------------------------------------------------------

    def speak(self) -> int:
        """Send every stream's chunks in real time, starts staggered over a chunk; how many were sent."""
        speakers = list(self.speakers.values())
        chunk_ns = int(self.plan.chunk_ms * 1e6)
        chunks = int(self.plan.seconds * 1000 / self.plan.chunk_ms)
        total, sent = chunks * len(speakers), 0
        start = time.monotonic_ns()
        step = chunk_ns / len(speakers)
        told = start
        while sent < total:
            now = time.monotonic_ns()
            while sent < total and (due := start + int(sent * step)) <= now:
                chunk, i = divmod(sent, len(speakers))
                self.late_ns.append(self._push(speakers[i], chunk + 7 * i) - due)
                sent += 1
            self.receive(GRAIN_MS)
            if now - told > 500_000_000:
                told = now
                say(progress=sent / total)
        self._settle(total)
        return total

    def _push(self, speaker: Speaker, piece: int) -> int:
        """Send the stream's next chunk; when that was (ns)."""
        message = speaker.head + struct.pack(">I", len(speaker.sent) + 1) + self.tails[piece % len(self.tails)]
        now = time.monotonic_ns()
        speaker.sent.append(now)
        speaker.socket.send(message)
        return now

    def _settle(self, total: int) -> None:
        end = time.monotonic() + PATIENCE_S
        while len(self.latency_ns) < total and time.monotonic() < end:
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
                    reply = wire.decode_reply(frame)
                    if isinstance(reply, wire.Error):
                        raise RuntimeError(reply.message)
                    continue
                for result in msgpack.unpackb(frame[2:])["results"]:
                    speaker = self.speakers[result["stream"]]
                    while speaker.answered < result["seq"]:
                        self.latency_ns.append(now - speaker.sent[speaker.answered])
                        speaker.answered += 1


def say(**words: object) -> None:
    """A line for the process that started us."""
    print(json.dumps(words), flush=True)


def phase(name: str) -> None:
    """Say where we are, and wait until it has been seen."""
    say(phase=name)
    sys.stdin.readline()


def percentiles(values_ns: list[int]) -> dict[str, float]:
    """p50, p90, p99 and the maximum, in ms."""
    if not values_ns:
        return dict.fromkeys(("p50", "p90", "p99", "max"), 0.0)
    found = np.percentile(np.array(values_ns), (50, 90, 99, 100)) / 1e6
    return dict(zip(("p50", "p90", "p99", "max"), (round(float(each), 3) for each in found), strict=True))


def main() -> None:
    """Do what the plan, the only argument, says."""
    plan = Plan(**json.loads(sys.argv[1]))
    load = Load(plan)
    try:
        phase("before idle")
        idle = load.open(plan.idle)
        load.say_once()
        phase("idle")
        load.close(idle)
        streams = load.open(plan.streams)
        phase("start")
        begin, cpu = time.monotonic(), time.process_time()
        sent = load.speak()
        share = (time.process_time() - cpu) / (time.monotonic() - begin)
        phase("end")
        received = len(load.latency_ns)
        load.close(streams)
        say(
            sent=sent,
            received=received,
            lost=sent - received,
            latency_ms=percentiles(load.latency_ns),
            late_ms=percentiles(load.late_ns),
            client_core_share=round(share, 3),
        )
    except (RuntimeError, TimeoutError) as error:
        say(error=str(error))
    finally:
        load.context.destroy(0)


if __name__ == "__main__":
    main()
