"""Audio in, audio out, over the wire: both clients have the samples that the library gives."""

from __future__ import annotations

import asyncio
from typing import Any

import numpy as np
import pytest
from random_models import bits, network
from sounds import F32, noise

from ostinato.model import Network
from ostinato.model.decoders import Audio, Decoder, InverseSpectrum, SpeechActivity
from ostinato.model.front_ends import FrontEnd, Samples, Spectrum
from ostinato.model.layers import Dense, Gru, Layer, Softmax
from ostinato.model.specification import Sequential
from ostinato.server import Server
from ostinato.streaming import Model
from ostinato_client import AsyncClient, Client, Result

WIDE = Spectrum(16000, 512, 256, window="sqrt-hann", pad=True)
BACK = InverseSpectrum(512, 256, window="sqrt-hann", trim_start=256, block=8192)


def served(front: FrontEnd, layers: tuple[Layer, ...], decoder: Decoder) -> Model:
    made = Sequential("sound", front, layers, decoder)
    return Model(network(made) if layers else Network.random(made))


def heard(results: list[Result]) -> F32:
    return np.concatenate([result.audio for result in results])


@pytest.mark.parametrize(
    ("model", "rate", "block"),
    [
        (served(WIDE, (), BACK), 16000, 8192),
        (served(Samples(48000, 1, 1), (Gru(3), Dense(1)), Audio()), 48000, 64),
    ],
)
def test_the_samples_that_the_library_gives(model: Model, rate: int, block: int) -> None:
    audio = noise(20_000)
    with model.stream() as stream:
        wanted = stream.push(audio) + stream.flush()
    with Server({"sound": model}) as server, Client(server.endpoint, timeout=30) as client:
        assert [head.sample_rate for head in client.models()[0].heads] == [rate]
        with client.open("sound") as stream:
            assert stream.head.sample_rate == rate
            stream.push(audio)
            results = stream.flush()
        assert bits(event for result in results for event in result.events) == bits(wanted)
        lengths = [len(event.values) for event in wanted if event.values is not None]
        assert set(lengths[:-1]) == {block} and lengths[-1] <= block
        assert heard(results).dtype == np.float32 and all(not result.text for result in results)
        asyncio.run(the_same_from_the_other_client(server.endpoint, audio, heard(results)))


async def the_same_from_the_other_client(endpoint: str, audio: F32, wanted: F32) -> None:
    async with AsyncClient(endpoint, timeout=30) as client, await client.open("sound") as stream:
        results: list[Result] = []
        for start in range(0, len(audio), 700):
            await stream.push(audio[start : start + 700])
        results += await stream.flush()
    assert heard(results).tobytes() == wanted.tobytes()


def test_a_push_of_a_whole_message_comes_back() -> None:
    """Audio is twice as long as int16, so it takes several messages: none is too long."""
    samples = (noise(32_000) * 30000).astype(np.int16)
    model = served(WIDE, (), BACK)
    with (
        Server({"sound": model}) as server,
        Client(server.endpoint, timeout=30) as client,
        client.open("sound") as stream,
    ):
        stream.push(samples)
        got = heard(stream.flush())
    assert np.abs(got[: len(samples)] - samples / 32768).max() < 1e-6


def test_speech_starts_and_ends() -> None:
    model = served(
        Samples(16000, 576, 512), (Dense(2), Softmax()), SpeechActivity(threshold=0.5, min_silence_ms=32.0)
    )
    audio = noise(40_000) * np.repeat([0.0, 1, 0, 1, 0], 8000).astype(np.float32)
    with model.stream() as stream:
        wanted = stream.push(audio) + stream.flush()
    with (
        Server({"sound": model}) as server,
        Client(server.endpoint, timeout=30) as client,
        client.open("sound") as stream,
    ):
        stream.push(audio)
        results = stream.flush()
    found = [event for result in results for event in result.events]
    kinds: list[Any] = [event.kind for event in found]
    assert found == wanted and kinds == ["speech-start", "speech-end"] * (len(kinds) // 2) and kinds
