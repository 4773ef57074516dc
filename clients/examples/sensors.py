"""Fifty sensors and one model of ready-made frames, over one asyncio connection; one of the sensors comes and goes.

    .venv/bin/python clients/examples/sensors.py               # starts a server of its own
    .venv/bin/python clients/examples/sensors.py --write models/trend.safetensors
    .venv/bin/ostinato serve --models models                   # or, in another terminal, serve that file
    .venv/bin/python clients/examples/sensors.py tcp://127.0.0.1:7077

Models need not hear audio: one with the front end `Frames` takes float32 vectors [frames, size] as they are. This one
is a recurrent network of two units whose weights are plain to see, no training needed: a fast and a slow moving
average of a temperature. Where the fast one is clearly above the slow one, the temperature rises.
"""

import asyncio
import contextlib
import sys
import tempfile
from collections import Counter
from pathlib import Path

import numpy as np

from ostinato.errors import OstinatoError
from ostinato_client import AsyncClient

SENSORS, FRAMES, RECONNECTING = 50, 200, 7


def write_model(path):
    """h<t> = W x<t> + R h<t-1>, then softmax(V h<t> + b) over three labels."""
    from ostinato.model import Network, Sequential, write
    from ostinato.model.activation import Activation
    from ostinato.model.decoders import Labels
    from ostinato.model.front_ends import Frames
    from ostinato.model.layers import Dense, Rnn, Softmax

    specification = Sequential(
        name=Path(path).stem,
        front_end=Frames(size=1, frame_ms=1000.0),  # one reading a second
        layers=(Rnn(2, activation=Activation("identity")), Dense(3), Softmax()),
        decoder=Labels(("falling", "steady", "rising")),
    )
    weights = {
        "rnn.forward.W": [[0.5], [0.05]],  # how much of a reading goes into the fast, the slow average
        "rnn.forward.R": [[0.5, 0.0], [0.0, 0.95]],  # how much of each stays
        "rnn.forward.Wb": [0.0, 0.0],
        "rnn.forward.Rb": [0.0, 0.0],
        "dense.W": [[-4.0, 4.0], [0.0, 0.0], [4.0, -4.0]],  # slow above fast: falling; fast above slow: rising
        "dense.b": [0.0, 2.0, 0.0],  # half a degree apart is steady
    }
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    write(path, Network(specification, {name: np.array(each, np.float32) for name, each in weights.items()}))


def readings(number):
    """What a sensor measures, float32 [FRAMES, 1]: around 0 degrees, then up, then down, with noise of its own."""
    curve = np.interp(np.arange(FRAMES), [0, 60, 100, 140, 200], [0, 0, 8, 8, -4])
    noise = np.random.default_rng(number).normal(scale=0.1, size=FRAMES)
    return (curve + noise).astype(np.float32)[:, None]


async def sensor(client, number):
    """Push each reading as it is made. Returns the label of each."""
    labels = []
    stream = await client.open("trend")
    for at, frame in enumerate(readings(number)):
        if number == RECONNECTING and at % 50 == 49:
            # It goes away. Its state, as bytes, may be kept anywhere (a file, a database), and is continued later,
            # here or on another server with the same model, as if nothing had been.
            snapshot = await stream.snapshot()
            labels += said(await stream.results())
            await stream.close()
            await asyncio.sleep(0.2)
            stream = await client.open("trend", snapshot=snapshot)
        await stream.push(frame[None, :])  # [1, 1]: one frame of one value
        labels += said(await stream.results())
        await asyncio.sleep(0.01)  # a hundred times as fast as in truth
    labels += said(await stream.flush())
    await stream.close()
    return labels


def said(results):
    """The labels of results: one for each frame."""
    return [event.text for result in results for event in result.events]


async def main(endpoint):
    """All sensors at once."""
    async with AsyncClient(endpoint) as client:
        everyone = await asyncio.gather(*(sensor(client, number) for number in range(SENSORS)))
    for number in (0, RECONNECTING, SENSORS - 1):
        again = " (went away and came back)" if number == RECONNECTING else ""
        print(f"sensor {number}{again}: {dict(Counter(everyone[number]))}")
    print(f"{sum(map(len, everyone))} labels of {SENSORS} sensors, one for each of {FRAMES} readings")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--write"]:
        write_model(sys.argv[2])
        sys.exit()
    with contextlib.ExitStack() as ending:
        if sys.argv[1:]:
            endpoint = sys.argv[1]
        else:
            from ostinato.server import spawn_server

            model = Path(ending.enter_context(tempfile.TemporaryDirectory())) / "trend.safetensors"
            write_model(model)
            endpoint = ending.enter_context(spawn_server([model])).endpoint
        try:
            asyncio.run(main(endpoint))
        except OstinatoError as error:
            sys.exit(f"error: {error}")
