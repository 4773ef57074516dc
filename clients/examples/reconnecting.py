"""A stream that goes on after its server was restarted, by snapshots and a little memory.

    .venv/bin/ostinato serve                           # in another terminal: end it and start it again meanwhile
    .venv/bin/python clients/examples/reconnecting.py

A snapshot is a stream's whole state as bytes, 4 KB for this model. The client takes one every second, and keeps the
chunks that it has sent since. When the server is gone, it opens the stream again from the snapshot, on whatever
server has the same model, and sends those chunks once more. The outputs are the same to the bit, so what was shown
already is recognised by counting.

What can be lost: nothing while this process lives and its memory is enough. While no server answers, chunks are kept,
up to KEPT_S seconds; what is spoken after that is lost, and told. If this process dies, what was not shown yet is
lost, unless the snapshot and the chunks are written to a disk.
"""

import sys
import time
from pathlib import Path

from ostinato.errors import CapacityError, ConnectionLostError, DrainingError, OstinatoError, StreamClosedError
from ostinato_client import DEFAULT_ENDPOINT, Client, FileSource

RECORDING = Path(__file__).parents[2] / "engine/ostinato/recordings/phone-number.wav"
SNAPSHOT_S = 1.0
KEPT_S = 60.0
AGAIN_S = 0.5
GONE = (ConnectionLostError, DrainingError, StreamClosedError, CapacityError)
"""It may go better later, or elsewhere. Other errors would only come again."""


FLUSH = object()


class Recovering:
    """A stream that is opened again as often as it must be."""

    def __init__(self, client, model, sample_rate):
        self._client, self._model, self._sample_rate = client, model, sample_rate
        self._stream = None
        self._told, self._next_try = False, 0.0
        self._snapshot = None
        self._inputs = []  # since the snapshot: chunks, and FLUSH
        self._sent = 0  # of these, to the stream that is open
        self._shown = 0  # events since the snapshot
        self._repeated = 0  # events that will come once more

    def push(self, chunk):
        """Send a chunk. Returns the events that have come; none while there is no server."""
        if self._kept_s() > KEPT_S:
            print(f"memory is full: {len(chunk)} samples are lost", file=sys.stderr)
        else:
            self._inputs.append(chunk)
        return self._catch_up()

    def flush(self):
        """End the utterance; its last events. Waits for a server as long as it takes."""
        self._inputs.append(FLUSH)
        events = self._catch_up()
        while self._sent < len(self._inputs):
            time.sleep(AGAIN_S)
            events += self._catch_up()
        return events

    def _catch_up(self):
        """Send what is not sent yet, if there is a server; the new events."""
        events = []
        try:
            if self._stream is None and time.monotonic() >= self._next_try:
                self._open()
            while self._stream is not None and self._sent < len(self._inputs):
                if self._inputs[self._sent] is FLUSH:
                    results = self._stream.flush()
                else:
                    self._stream.push(self._inputs[self._sent])
                    results = self._stream.results()
                self._sent += 1
                events += self._news(results)
            if self._stream is not None and self._kept_s() > SNAPSHOT_S:
                snapshot = self._stream.snapshot()  # after all that was sent, of which all results have come too
                events += self._news(self._stream.results())
                self._snapshot, self._inputs, self._sent, self._shown = snapshot, [], 0, 0
        except GONE as error:
            if not self._told:  # once, not at each attempt
                print(f"no server ({error.code}): input is kept until there is one", file=sys.stderr)
            self._stream, self._sent, self._told = None, 0, True
        return events

    def _open(self):
        self._next_try = time.monotonic() + AGAIN_S
        self._stream = self._client.open(
            self._model, sample_rate=self._sample_rate, snapshot=self._snapshot, timeout=AGAIN_S
        )
        self._repeated, self._told = self._shown, False
        print(f"opened; {self._kept_s():.2f} s of audio are sent again", file=sys.stderr)

    def _news(self, results):
        """The events of results, without those that were shown before."""
        events = [event for result in results for event in result.events]
        news = events[self._repeated :]
        self._repeated -= min(self._repeated, len(events))
        self._shown += len(news)
        return news

    def _kept_s(self):
        return sum(len(chunk) for chunk in self._inputs if chunk is not FLUSH) / self._sample_rate


def main(endpoint=DEFAULT_ENDPOINT):
    """Speak the recording at its own pace; print each word once, whatever happens to the server."""
    with FileSource(RECORDING) as source, Client(endpoint, timeout=2.0) as client:
        stream = Recovering(client, "digits-uni", source.sample_rate)
        for chunk in source:
            show(stream.push(chunk))
        show(stream.flush())


def show(events):
    """A line for each word: where it was spoken in the stream, however often that was opened."""
    for event in events:
        print(f"{(event.utterance_ms + event.time_ms) / 1000:7.2f} s  {event.text}", flush=True)


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except OstinatoError as error:
        sys.exit(f"error: {error}")
