"""Send a noisy recording to a running server and write what its denoiser makes of it.

    .venv/bin/ostinato import dtln                              # once: dtln.safetensors, in this folder
    .venv/bin/ostinato serve --models .                         # in another terminal
    .venv/bin/python clients/examples/denoise.py noisy.wav clean.wav dtln

Any model that makes audio of audio. What comes back has the model's own sample rate, whatever the recording's.
"""

import sys

import numpy as np
import soundfile

from ostinato.errors import OstinatoError
from ostinato_client import DEFAULT_ENDPOINT, Client, FileSource


def main(recording: str, target: str, model: str = "dtln", endpoint: str = DEFAULT_ENDPOINT) -> None:
    """Open both, stream one through the other, write what comes back as it comes."""
    with (
        FileSource(recording, realtime=False) as source,
        Client(endpoint) as client,
        client.open(model, sample_rate=source.sample_rate) as stream,
    ):
        rate = stream.head.sample_rate
        if rate is None:
            sys.exit(f"{model} makes no audio")
        with soundfile.SoundFile(target, "w", rate, 1) as written:
            for chunk in source:
                stream.push(chunk)  # waits while the server is busy: nothing is dropped, nothing piles up
                write(written, stream.results())
            write(written, stream.flush())  # the recording is over: what the model has held back
            print(f"{target}: {written.frames / rate:.2f} s at {rate} Hz")


def write(file: soundfile.SoundFile, results) -> None:
    """The samples that came."""
    for result in results:
        file.write(np.clip(result.audio, -1, 1))


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except (OstinatoError, OSError) as error:  # no server, no such model, no file: the message says which
        sys.exit(f"error: {error}")
