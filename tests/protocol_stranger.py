"""A client written from docs/protocol.md alone, with only pyzmq and msgpack. Run by test_protocol_stranger.

    python protocol_stranger.py ENDPOINT < samples     (int16, little-endian, 16 kHz)

prints one JSON object: what the server said.
"""

import json
import os
import struct
import sys

import msgpack
import zmq

MODELS, OPEN, PUSH, FLUSH, MARK, SNAPSHOT, RESET, CLOSE, PING = range(1, 10)
OPENED, RESULTS, CLOSED, PONG, ERROR = 0x82, 0x83, 0x88, 0x89, 0x8F
ANSWER = 0x80
KINDS = (
    "output", "label", "symbol", "class", "end-of-speech", "peak", "audio", "speech-start", "speech-end", "beat",
    "token", "end-of-generation",
)  # fmt: skip

socket = zmq.Context.instance().socket(zmq.DEALER)
socket.linger = 0
socket.connect(sys.argv[1])


def send(kind, version=1, **fields):
    socket.send(bytes([kind, version]) + msgpack.packb(fields))


def receive():
    if not socket.poll(20_000):
        sys.exit("no answer")
    frame = socket.recv()
    if frame[1] != 1 or len(frame) > 65536:
        sys.exit("not version 1")
    return frame[0], msgpack.unpackb(frame[2:])


def expect(kind):
    got, fields = receive()
    if got != kind:
        sys.exit(f"0x{got:02x} {fields.get('message')} instead of 0x{kind:02x}")
    return fields


def event(raw):
    kind, frame, time_ms, text, index, probability = [*raw, "", -1, 0.0] if len(raw) == 3 else raw[:6]
    values = list(struct.unpack(f"<{len(raw[6]) // 4}f", raw[6])) if len(raw) == 7 else None
    return [KINDS[kind], frame, time_ms, text, index, probability, values]


class Stream:
    def __init__(self, model, **options):
        self.id = os.urandom(16)
        send(OPEN, stream=self.id, model=model, **options)
        self.opened = expect(OPENED)
        self.seq = self.sent = self.processed = self.answered = 0
        self.events = []
        self.utterances = []

    def input(self, kind, **fields):
        self.seq += 1
        send(kind, stream=self.id, seq=self.seq, **fields)

    def push(self, samples):
        count = len(samples) // 2
        while (
            self.sent + count - self.processed > self.opened["credit"]
            or self.seq - self.answered >= self.opened["inputs"]
        ):
            self.take(expect(RESULTS))
        self.input(PUSH, data=samples, dtype="int16", shape=[count])
        self.sent += count

    def take(self, fields):
        for result in fields["results"]:
            if result["stream"] != self.id or result["first"] != len(self.events):
                sys.exit("a result that was not due")
            self.events += [event(raw) for raw in result["events"]]
            self.processed = result["processed"]
            self.answered = result["seq"]
            if result["final"]:
                self.utterances.append(result["utterance"])
            last = result
        return last

    def until(self, seq, final=False):
        while True:
            last = self.take(expect(RESULTS))
            if last["seq"] >= seq and (last["final"] or not final):
                return last

    def ask(self, kind, **fields):
        """An input that has an answer of its own; results may come before it."""
        self.input(kind, **fields)
        while True:
            got, fields = receive()
            if got == kind | ANSWER:
                self.answered = fields["seq"]
                return fields
            if got != RESULTS:
                sys.exit(f"0x{got:02x} {fields}")
            self.take(fields)


def pieces(samples, size):
    return [samples[i : i + size] for i in range(0, len(samples), size)]


def refusal():
    fields = expect(ERROR)
    return {key: fields.get(key) for key in ("code", "seq", "expected")} | {"whose": "stream" in fields}


told = {}
samples = sys.stdin.buffer.read()

send(MODELS)
told["models"] = {model["name"]: [model["direction"], model["unit"]] for model in expect(MODELS | ANSWER)["models"]}
send(PING, token=b"hello")
told["pong"] = expect(PONG)["token"].decode()

for name, options in {
    "audio": {}, "audio-bi": {}, "audio-bi in blocks": {"block_ms": 100, "lookahead_ms": 50.0}
}.items():  # fmt: skip
    stream = Stream(name.split()[0], sample_rate=16000, **options)
    for piece in pieces(samples, 3210):
        stream.push(piece)
    stream.input(FLUSH)
    last = stream.until(stream.seq, final=True)
    told[name] = {
        "before the end": last["first"] > 0,
        "events": stream.events, "processed": last["processed"], "utterances": stream.utterances,
        "times": [last["waiting_ms"] >= 0, last["computing_ms"] > 0, last["buffered_ms"] > 0],
        "delay": [stream.opened["head"].get("delay_frames"), stream.opened["head"].get("delay_ms")],
    }  # fmt: skip
    send(CLOSE, stream=stream.id)
    told[name]["closed"] = expect(CLOSED)["reason"]

# A snapshot in the middle goes on under another id.
half = len(samples) // 4 * 2
stream = Stream("audio", sample_rate=16000)
stream.push(samples[:half])
told["token"] = stream.ask(MARK, token=b"here")["token"].decode()
snapshot = stream.ask(SNAPSHOT)["data"]
resumed = Stream("audio", sample_rate=16000, snapshot=snapshot)
resumed.push(samples[half:])
resumed.input(FLUSH)
resumed.until(resumed.seq, final=True)
told["resumed"] = stream.events + resumed.events

# After a reset it is as new, and repeats do nothing.
stream.ask(RESET)
before = len(stream.events)
stream.push(samples)
stream.until(stream.seq)
send(PUSH, stream=stream.id, seq=stream.seq, data=samples, dtype="int16", shape=[len(samples) // 2])
told["repeat"] = stream.until(stream.seq)["processed"] == stream.sent
stream.input(FLUSH)
stream.until(stream.seq, final=True)
told["reset"] = stream.events[before:]

# What is wrong is answered, and does no harm.
wrong = told["wrong"] = {}
send(FLUSH, stream=stream.id, seq=stream.seq + 5)
wrong["gap"] = refusal() | {"next": stream.seq + 1}
send(PUSH, stream=stream.id, seq=stream.seq + 1, data=bytes(8), dtype="float64", shape=[1])
wrong["dtype"] = refusal()
stream.seq += 1
send(PUSH, stream=stream.id, seq=stream.seq + 1, data=bytes(8), dtype="int16", shape=[2, 3])
wrong["shape"] = refusal()
send(0x42)
wrong["type"] = refusal()
send(PING, version=9, token=b"")
wrong["version"] = refusal()
socket.send(b"\x01")
wrong["short"] = refusal()
socket.send(bytes([PING, 1]) + msgpack.packb({"token": bytes(70_000)}))
wrong["large"] = refusal()
socket.send_multipart([bytes([PING, 1]), msgpack.packb({"token": b""})])
wrong["frames"] = refusal()
send(FLUSH, stream=bytes(16), seq=1)
wrong["stream"] = refusal()
send(OPEN, stream=stream.id, model="audio")
wrong["in use"] = refusal()
send(OPEN, stream=os.urandom(16), model="nobody")
wrong["model"] = refusal()
send(OPEN, stream=os.urandom(16), model="audio", snapshot=b"junk")
wrong["snapshot"] = refusal()
send(OPEN, stream=os.urandom(16), model="audio", block_ms=100)
wrong["wait"] = refusal()
stream.input(FLUSH)
told["after"] = stream.until(stream.seq, final=True)["final"]
told["clean"] = not [name for name in sys.modules if name.startswith("ostinato")]

json.dump(told, sys.stdout)
