"""The options of a stream are written down once, and arrive: through both clients, the wire and the engine, at the
stream, and in its snapshots."""

from __future__ import annotations

import asyncio
import dataclasses
import inspect
import re
from pathlib import Path
from typing import Any

import pytest
from client_fake_server import FakeServer
from engine_models import encoder_decoder, model, models

from ostinato import protocol as wire
from ostinato.engine import Engine
from ostinato.errors import DtypeError, InputError
from ostinato.options import DEFAULT, Options
from ostinato.sampling import Sampling
from ostinato.streaming import Model
from ostinato_client import AsyncClient, Client

GIVEN: dict[str, Any] = {
    "head": "main",
    "decoder": "outputs",
    "sample_rate": 11025,
    "dtype": "int16",
    "end_of_speech_ms": 350.0,
    "trailing_blanks_ms": 450.0,
    "max_utterance_s": 7.5,
    "block_ms": 80.0,
    "lookahead_ms": 50.0,
    "wait_k": 3,
    "sampling": Sampling(seed=4, temperature=0.5, top_p=0.9),
    "hotwords": ("turn on", "žluťoučký"),
    "hotword_boost": 2.5,
}
"""Each option, as none is by itself."""
RARE = ("wait_k", "sampling", "hotwords", "hotword_boost", "trailing_blanks_ms")
HEARD = {n: value for n, value in GIVEN.items() if n not in RARE}
"""Those that a stream of one graph, without a beam or blanks, may have. (Those: test_streaming_hotwords,
test_streaming_trailing_blanks.)"""
OTHERS: dict[str, Any] = {"sample_rate": 8000} | {
    name: 200.0 for name, value in HEARD.items() if type(value) is float
}


def test_whoever_opens_a_stream_can_ask_for_all_of_them() -> None:
    names = {field.name for field in dataclasses.fields(Options)}
    assert GIVEN.keys() == names, "this test knows them all"
    assert Options(**GIVEN).given == GIVEN and DEFAULT.given == {}

    def keywords(function: Any) -> set[str]:
        return {one.name for one in inspect.signature(function).parameters.values() if one.kind is one.KEYWORD_ONLY}

    assert keywords(Client.open) - {"snapshot", "timeout"} == names
    assert keywords(AsyncClient.open) - {"snapshot", "timeout"} == names
    assert keywords(Model.stream) | {"dtype"} == names, "who has the array needs not announce its dtype"
    text = Path("docs/protocol.md").read_text(encoding="utf-8")
    rows = text[text.index("| **OPEN** 02 |") : text.index("| **PUSH** 03 |")]
    documented = set(re.findall(r"(\w+) \?", rows)) - {"snapshot", "part", "parts"}
    assert documented == names


def test_both_clients_send_them_all() -> None:
    async def open_async(endpoint: str) -> None:
        async with AsyncClient(endpoint, timeout=20.0) as client:
            await client.open("echo", **GIVEN)

    with FakeServer() as server:
        with Client(server.endpoint, timeout=20.0) as client:
            client.open("echo", **GIVEN)
        asyncio.run(open_async(server.endpoint))
        opened = [request.options for request in server.requests if isinstance(request, wire.Open)]
    assert opened == [Options(**GIVEN)] * 2


def test_the_engine_gives_them_all_to_the_stream() -> None:
    opened = Engine(models("audio-bi")).open("s", "audio-bi", Options(**HEARD))
    assert opened.options == dataclasses.replace(Options(**HEARD), dtype=None)
    waiting = Options(wait_k=3, sampling=Sampling(seed=4), max_utterance_s=2.0, head="main")
    assert Engine({"letters": encoder_decoder()}).open("s", "letters", waiting).options == waiting


def test_a_snapshot_keeps_them_and_others_are_refused() -> None:
    which = model("audio-bi")
    kept = {name: value for name, value in HEARD.items() if name != "dtype"}
    with which.stream(**kept) as stream:
        snapshot = stream.snapshot()
    for asked in (DEFAULT, Options(**HEARD), Options(dtype="float32")):
        with which.restore(snapshot, asked) as again:
            assert again.options == Options(**kept)
    for name, value in OTHERS.items():
        with pytest.raises(InputError, match=f"^{name} = {value}"):
            which.restore(snapshot, Options(**{name: value}))
    with pytest.raises(DtypeError, match="float64"):
        which.restore(snapshot, Options(dtype="float64"))
    with pytest.raises(DtypeError, match="'f99'"):
        which.open(Options(dtype="f99"))
