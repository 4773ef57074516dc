"""Several workers: streams spread over processes, which die alone, come back, and drain together."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from engine_models import SPECIFICATIONS, frames, models
from random_models import network
from server_raw import PATIENCE_S, Raw, eventually

from ostinato import load
from ostinato import protocol as wire
from ostinato.errors import AddressError, ConnectionLostError, DrainingError, OstinatoError
from ostinato.model import write
from ostinato.server import Server
from ostinato.server.workers import SETTLING_S, Board, worker_address
from ostinato_client import AsyncClient, Client

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="workers are forked")


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("models") / "frames.safetensors"
    write(made, network(SPECIFICATIONS["frames"]))
    return made


class Shared:
    """A server of two workers."""

    def __init__(self, path: Path) -> None:
        command = ["--model", str(path), "--bind", "tcp://127.0.0.1:*", "--workers", "2", "--drain", "30"]
        self.process = subprocess.Popen(
            [sys.executable, "-m", "ostinato.server", "--with-parent", *command],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert self.process.stdout is not None
        words = self.process.stdout.readline().split()
        assert words[:1] == ["ready"]
        self.endpoint, self.model = words[1], words[2]

    def children(self) -> list[int]:
        """The process ids of the workers and of the front, in the order of their start."""
        with contextlib.suppress(FileNotFoundError):
            listed = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text()
            return [int(each) for each in listed.split()]
        return []

    def end(self) -> str:
        """Let it go; what it said on standard error."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        try:
            self.process.wait(PATIENCE_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise
        finally:
            assert self.process.stdout is not None and self.process.stderr is not None
            self.process.stdout.close()
            said = self.process.stderr.read()
            self.process.stderr.close()
        return said


@pytest.fixture
def shared(path: Path) -> Iterator[Shared]:
    started = Shared(path)
    yield started
    if started.process.stdin is not None and not started.process.stdin.closed:
        started.end()


def test_streams_spread_and_give_the_same_bits(shared: Shared, path: Path) -> None:
    data = frames(50)
    with load(path).stream(decoder="outputs") as alone:
        wanted = np.array([event.values for event in alone.push(data)])
    with Client(shared.endpoint) as client:
        assert [info.name for info in client.models()] == [shared.model]
        assert client.ping() < PATIENCE_S
        streams = [client.open(shared.model, decoder="outputs") for _ in range(6)]
        assert sorted(Counter(stream._core.endpoint for stream in streams).values()) == [3, 3]
        for stream in streams:
            stream.push(data)
        for stream in streams:
            values = [event.values for result in stream.flush() for event in result.events]
            assert np.array(values).tobytes() == wanted.tobytes()
        forked = streams[0].fork()
        assert forked.push(data) > 0 and forked.flush()[-1].final
        streams[1].close()


def test_streams_that_were_closed_count_no_more(shared: Shared) -> None:
    with Client(shared.endpoint) as client:
        first = [client.open(shared.model) for _ in range(20)]
        time.sleep(2 * SETTLING_S)
        left = first[0]._core.endpoint
        for stream in first:
            if stream._core.endpoint == left:
                stream.close()
        again = Counter(client.open(shared.model)._core.endpoint for _ in range(20))
        assert again[left] > 11, "more than half, to make up for those closed"


def test_a_snapshot_in_parts_goes_where_it_is_sent(shared: Shared) -> None:
    with Client(shared.endpoint) as client:
        stream = client.open(shared.model, decoder="outputs")
        stream.push(frames(20))
        snapshot = stream.snapshot()
        stream.results()
        with pytest.raises(OstinatoError, match="damaged"):  # of all parts, by one worker
            client.open(shared.model, snapshot=snapshot + bytes(200_000))
        resumed = client.open(shared.model, snapshot=snapshot)
        found = []
        for each in (stream, resumed):
            each.push(frames(20))
            found.append(np.array([event.values for result in each.flush() for event in result.events]))
        assert len(found[0]) == 20 and found[0].tobytes() == found[1].tobytes()


def test_the_asyncio_client_follows(shared: Shared) -> None:
    async def speak() -> Counter[str]:
        async with AsyncClient(shared.endpoint) as client:
            streams = [await client.open(shared.model) for _ in range(4)]
            for stream in streams:
                await stream.push(frames(10))
            for stream in streams:
                assert (await stream.flush())[-1].final
            return Counter(stream._core.endpoint for stream in streams)

    assert sorted(asyncio.run(speak()).values()) == [2, 2]


def test_what_the_front_says_to_a_stranger(shared: Shared) -> None:
    with Raw(shared.endpoint) as raw:
        moved = raw.ask(wire.Open(b"s" * 16, shared.model), wire.Moved)
        assert moved.stream == b"s" * 16
        assert raw.refused(wire.Push(b"s" * 16, 1, frames(1))).code == "unknown_stream"
        with Raw(moved.endpoint) as worker:
            stream = worker.open(shared.model)
            worker.send(wire.Push(stream, 1, frames(5)))
            assert worker.results(stream, 1)[-1].processed == 5


def test_a_worker_that_is_killed_takes_only_its_own_streams_along(shared: Shared) -> None:
    with Client(shared.endpoint) as client:
        streams = [client.open(shared.model) for _ in range(4)]
        before = shared.children()
        assert len(before) == 3
        os.kill(before[0], signal.SIGKILL)
        lost, kept = [], []
        for stream in streams:
            try:
                stream.push(frames(3))
                stream.flush()
                kept.append(stream)
            except ConnectionLostError:
                lost.append(stream)
        assert len(lost) == len(kept) == 2
        assert len({stream._core.endpoint for stream in lost}) == 1
        eventually(lambda: len(shared.children()) == 3 and before[0] not in shared.children())

        def opens_where_it_was() -> bool:
            try:
                stream = client.open(shared.model)
                stream.push(frames(3))
                stream.flush()
            except OstinatoError:  # it does not listen yet
                return False
            return stream._core.endpoint == lost[0]._core.endpoint

        eventually(opens_where_it_was)
    assert "worker 1 of 2 has ended (signal 9)" in shared.end()


def test_a_signal_drains_all_workers(shared: Shared) -> None:
    with Client(shared.endpoint) as client:
        streams = [client.open(shared.model) for _ in range(2)]
        shared.process.send_signal(signal.SIGTERM)
        eventually(lambda: client.draining_s is not None)
        with pytest.raises(DrainingError):
            client.open(shared.model)
        for stream in streams:
            stream.push(frames(10))
            assert stream.flush()[-1].processed == 10
            stream.close()
        assert shared.process.wait(PATIENCE_S) == 0


def test_a_second_signal_ends_all_at_once(shared: Shared) -> None:
    with Client(shared.endpoint) as client:
        client.open(shared.model)
        shared.process.send_signal(signal.SIGTERM)
        eventually(lambda: client.draining_s is not None)
        shared.process.send_signal(signal.SIGTERM)
        assert shared.process.wait(PATIENCE_S) == 0


def test_workers_end_with_the_first_process(shared: Shared) -> None:
    children = shared.children()
    assert len(children) == 3
    shared.process.kill()
    eventually(lambda: not any(running(child) for child in children))


def running(process: int) -> bool:
    """Whether the process is there, and more than its exit status that nobody has asked for."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_workers_that_die_again_and_again_end_the_server(shared: Shared) -> None:
    def kill_one() -> bool:
        children = shared.children()
        if len(children) == 3:
            os.kill(children[0], signal.SIGKILL)
        return shared.process.poll() is not None

    eventually(kill_one)
    assert shared.process.returncode == 1
    assert "giving up" in shared.end()


def test_addresses_of_workers() -> None:
    assert worker_address("tcp://127.0.0.1:7077", 0) == "tcp://127.0.0.1:7078"
    assert worker_address("tcp://127.0.0.1:*", 1) == "tcp://127.0.0.1:*"
    assert worker_address("ipc:///run/it", 1) == "ipc:///run/it.2"
    with pytest.raises(AddressError, match="ports after it"):
        worker_address("tcp://127.0.0.1:65535", 0)


def test_an_address_in_use_is_named(shared: Shared, path: Path) -> None:
    command = ["--model", str(path), "--bind", shared.endpoint, "--workers", "2"]
    done = subprocess.run(
        [sys.executable, "-m", "ostinato.server", *command], capture_output=True, text=True, timeout=PATIENCE_S
    )
    assert done.returncode == 1 and "cannot listen on" in done.stderr and done.stdout == ""


def test_why_an_address_cannot_be_had_is_said_once() -> None:
    with Server(models("frames")) as server:
        for bind, cure in ((server.endpoint, "choose another port"), ("ipc:///no/where", "choose another path")):
            with pytest.raises(AddressError) as found:
                Server(models("frames"), bind)
            said = str(found.value)
            assert said.count(bind) == 1 and "addr=" not in said and said.endswith(f"; {cure}"), said


def test_the_board_counts_what_it_has_just_placed() -> None:
    board = Board(3)
    with pytest.raises(OstinatoError, match="no worker"):
        board.place()
    for row in range(3):
        board.write(row, 1, f"w{row}")
    board.report(1, 9)
    assert Counter(board.place() for _ in range(10)) == {"w0": 5, "w2": 5}
    board.died(0)
    assert "w0" not in {board.place() for _ in range(10)}
    board.drain()
    with pytest.raises(DrainingError):
        board.place()
