"""Both clients against the real server, in a process of its own where it has to die."""

from __future__ import annotations

import asyncio
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from engine_models import SPECIFICATIONS, frames, model, models, sound
from random_models import network

from ostinato.errors import ConnectionLostError, DrainingError, ShapeError, UnknownTokenError
from ostinato.events import Event
from ostinato.model import write
from ostinato.model.decoders import Ctc, Decoder, Labels, SequenceClass
from ostinato.model.front_ends import Frames
from ostinato.model.layers import Dense, Gru, Softmax
from ostinato.model.specification import Sequential
from ostinato.pipeline import text
from ostinato.server import Server, Settings, spawn_server
from ostinato.streaming import Model
from ostinato_client import AsyncClient, Client, FileSource, Result

LONG = 30.0


def bits(results: list[Result]) -> list[Event]:
    return [event for result in results for event in result.events]


def in_process(name: str, *pieces: object) -> list[Event]:
    with model(name).stream() as stream:
        return [event for piece in pieces for event in stream.push(piece)] + stream.flush()


@pytest.mark.parametrize(
    ("decoder", "separator"),
    [
        (Labels(("noun", "verb", "other")), " "),
        (Labels(("a", "b", "c")), ""),
        (Ctc(("", "one", "two"), separator="-"), "-"),
        (SequenceClass(("noun", "verb", "other")), " "),
    ],
)
def test_results_have_a_text_whatever_the_decoder_names(decoder: Decoder, separator: str) -> None:
    """The library's text of the same events; symbols, labels and classes alike."""
    made = Sequential("named", Frames(3), (Gru(5), Dense(3), Softmax()), decoder)
    served = Model(network(made))
    with (
        Server({"named": served}) as server,
        Client(server.endpoint, timeout=LONG) as client,
        client.open("named") as stream,
    ):
        stream.push(frames(40))
        results = stream.flush()
        assert stream.head.separator == separator
    assert any(result.text for result in results)
    assert all(result.text == text(result.events, decoder) for result in results)


@pytest.mark.parametrize("name", ["audio", "audio-bi"])
def test_a_long_push_is_cut_and_the_bits_are_the_same(name: str) -> None:
    speech = sound(20.0, 1)
    with Server(models(name)) as server, Client(server.endpoint, timeout=LONG) as client, client.open(name) as stream:
        assert len(speech) > 2 * stream.credit
        stream.push(speech)
        results = stream.flush()
        assert bits(results) == in_process(name, speech)
        assert results[-1].processed == len(speech) and stream.backlog == 0
        assert stream.direction == ("unidirectional" if name == "audio" else "bidirectional")
        assert (stream.delay_ms is None) == (name == "audio-bi")
        assert (results[-1].buffered_ms > 0) == (name == "audio-bi")


def test_frames_one_by_one_are_counted_alike_on_both_sides() -> None:
    given = frames(450)
    with Server(models("frames")) as server, Client(server.endpoint, timeout=5.0) as client:
        stream = client.open("frames")
        assert stream.credit == 400
        for frame in given:
            stream.push(frame)
        stream.mark(timeout=LONG)
        assert stream.backlog == 0
        assert bits(stream.flush(timeout=LONG)) == in_process("frames", given)


def test_bounded_wait_answers_in_blocks_with_the_bits_of_a_stream_in_process() -> None:
    speech, options = sound(3.0, 1), {"block_ms": 200.0, "lookahead_ms": 95}
    with model("audio-bi").stream(**options) as own:
        wanted = own.push(speech) + own.flush()

    async def asynchronous(endpoint: str) -> tuple[float | None, list[Event]]:
        async with AsyncClient(endpoint, timeout=LONG) as client:
            stream = await client.open("audio-bi", **options)
            await stream.push(speech)
            return stream.delay_ms, bits(await stream.flush())

    with Server(models("audio-bi")) as server:
        with Client(server.endpoint, timeout=LONG) as client, client.open("audio-bi", **options) as stream:
            assert stream.delay_ms == 290.0 and stream.direction == "bidirectional"
            stream.push(speech)
            stream.mark()
            early = bits(stream.results())
            assert 250 < len(early) < 300
            assert early + bits(stream.flush()) == wanted
            snapshot = stream.snapshot()
            with client.open("audio-bi", snapshot=snapshot) as resumed:
                assert resumed.delay_ms == 290.0
        assert asyncio.run(asynchronous(server.endpoint)) == (290.0, wanted)


def test_any_number_of_characters() -> None:
    text = "abcd dcba " * 3000
    with Server(models("text")) as server, Client(server.endpoint, timeout=LONG) as client:
        stream = client.open("text")
        stream.push(text)
        assert bits(stream.flush()) == in_process("text", text)
        stream.push("ab?")
        with pytest.raises(UnknownTokenError):
            stream.mark()
        stream.push("ab")
        assert len(bits(stream.flush())) == 2


def test_every_utterance_is_as_the_first() -> None:
    with Server(models("frames-bi")) as server, Client(server.endpoint, timeout=LONG) as client:
        stream = client.open("frames-bi")
        wanted = [event.values.tobytes() for event in in_process("frames-bi", frames(50))]
        for turn in range(3):
            stream.push(frames(50))
            results = stream.flush()
            assert results[-1].utterance == turn
            assert [event.values.tobytes() for event in bits(results)] == wanted
        stream.push(frames(7, 3))
        stream.reset()
        stream.push(frames(50))
        assert [event.values.tobytes() for event in bits(stream.flush())] == wanted
        stream.push(np.zeros((2, 4), np.float32))
        with pytest.raises(ShapeError):
            stream.mark()


def test_a_fork_goes_on_from_the_same_state() -> None:
    first, second = frames(40, 1), frames(40, 2)
    whole = in_process("frames", first, second)
    with Server(models("frames")) as server, Client(server.endpoint, timeout=LONG) as client:
        stream = client.open("frames")
        stream.push(first)
        fork = stream.fork()
        stream.push(frames(9, 9))
        fork.push(second)
        assert bits(fork.flush()) == whole[len(first) :]


def test_a_killed_server_is_noticed_and_the_snapshot_goes_on_elsewhere(tmp_path: Path) -> None:
    path = tmp_path / "audio.safetensors"
    write(path, network(SPECIFICATIONS["audio"]))
    speech = sound(2.0, 5)
    with spawn_server([path]) as dying, Client(dying.endpoint, timeout=LONG) as client:
        stream = client.open(client.models()[0].name)
        stream.push(speech[:16000])
        snapshot = stream.snapshot()
        heard = bits(stream.results())
        stream.push(speech[16000:20000])
        killing = threading.Timer(0.05, dying.process.kill)
        killing.start()
        with pytest.raises(ConnectionLostError, match="gone"):
            while True:
                stream.mark()
        killing.join()
    with Server(models("audio")) as server, Client(server.endpoint, timeout=LONG) as client:
        resumed = client.open("audio", snapshot=snapshot)
        resumed.push(speech[16000:])
        assert heard + bits(resumed.flush()) == in_process("audio", speech)


def test_a_server_that_drains() -> None:
    settings = Settings(drain_s=2.0)
    with Server(models("frames"), settings=settings) as server, Client(server.endpoint, timeout=LONG) as client:
        stream = client.open("frames")
        server.stop(drain=True)
        with pytest.raises(DrainingError, match="opens no more"):
            while True:
                client.open("frames").close()
        assert client.draining_s is not None
        stream.push(frames(3))
        assert len(bits(stream.flush())) == 3, "open streams go on"
        with pytest.raises((ConnectionLostError, DrainingError)):
            while True:
                stream.mark()


def test_everybody_hears_a_server_leave_however_late_they_read() -> None:
    async def talk() -> None:
        with Server(models("frames"), settings=Settings(drain_s=0.1)) as server:
            clients = [AsyncClient(server.endpoint, timeout=LONG) for _ in range(40)]
            streams = [await client.open("frames") for client in clients]
            server.stop(drain=True)
            time.sleep(0.5)  # nobody reads meanwhile, and the connections end
            for stream in streams:
                with pytest.raises(DrainingError, match="closed the stream"):
                    await stream.flush()
            for client in clients:
                await client.close()

    asyncio.run(talk())


def test_the_asyncio_client_with_many_streams() -> None:
    async def talk(endpoint: str) -> list[list[Event]]:
        async with AsyncClient(endpoint, timeout=LONG) as client:

            async def one(seed: int) -> list[Event]:
                async with await client.open("audio") as stream:
                    found: list[Result] = []
                    for piece in np.split(sound(1.0, seed), 25):
                        await stream.push(piece)
                        found += await stream.results()
                    return bits(found + await stream.flush())

            return await asyncio.gather(*(one(seed) for seed in range(32)))

    with Server(models("audio")) as server:
        found = asyncio.run(talk(server.endpoint))
    assert found == [in_process("audio", sound(1.0, seed)) for seed in range(32)]


def test_a_file_into_a_stream(tmp_path: Path) -> None:
    import soundfile

    speech = sound(1.0, 2)
    soundfile.write(tmp_path / "a.wav", speech, 16000)
    with Server(models("audio")) as server, Client(server.endpoint, timeout=LONG) as client:
        with FileSource(tmp_path / "a.wav", realtime=False) as source:
            stream = client.open("audio", sample_rate=source.sample_rate)
            for chunk in source:
                stream.push(chunk)
        assert bits(stream.flush()) == in_process("audio", speech.astype(np.float32) / 32768)
