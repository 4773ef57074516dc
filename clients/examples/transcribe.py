"""Send a recording to a running server and print what it hears.

    .venv/bin/ostinato serve                                    # in another terminal
    .venv/bin/python clients/examples/transcribe.py             # a bundled recording
    .venv/bin/python clients/examples/transcribe.py speech.wav digits-bi
    ffmpeg -loglevel error -i film.mp4 -f wav - | .venv/bin/python clients/examples/transcribe.py -

WAV, FLAC, OGG, MP3 …, of any sample rate. The client needs neither Numba nor the model, only the server does.
"""

import sys
from pathlib import Path

from ostinato.errors import OstinatoError
from ostinato_client import DEFAULT_ENDPOINT, Client, FileSource

BUNDLED = Path(__file__).parents[2] / "engine/ostinato/recordings/phone-number.wav"


def main(recording: str = str(BUNDLED), model: str = "digits-uni", endpoint: str = DEFAULT_ENDPOINT) -> None:
    """Open both, stream one through the other."""
    with (
        # As fast as the server takes it. With realtime=True: at the pace of speech.
        FileSource(0 if recording == "-" else recording, realtime=False) as source,
        Client(endpoint) as client,
        client.open(model, sample_rate=source.sample_rate) as stream,
    ):
        for chunk in source:
            stream.push(chunk)  # waits while the server is busy: nothing is dropped, nothing piles up
            show(stream.results())  # what has come meanwhile
        show(stream.flush())  # the recording is over: what the model has held back, all of it for a bidirectional one


def show(results) -> None:
    """A line for each word. A result comes for every chunk, most of them without words."""
    for result in results:
        for event in result.events:
            # Where it was decided: time_ms counts from the utterance's start, which utterance_ms gives.
            print(f"{(event.utterance_ms + event.time_ms) / 1000:7.2f} s  {event.text}  ({event.probability:.0%})")


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except OstinatoError as error:  # no server, no such model, no audio: the message says which, and the cure
        sys.exit(f"error: {error}")
