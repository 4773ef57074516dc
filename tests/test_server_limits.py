"""A server at its limits of descriptors and of memory: it says so, makes room and goes on."""

from __future__ import annotations

import contextlib
import os
import resource
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
import zmq
from engine_models import models
from raw_zmtp import Dialled, frame, stream_id
from server_process import Process, small_model
from server_raw import PATIENCE_S, Bystander, Raw, eventually

from ostinato import protocol as wire
from ostinato.engine import Engine
from ostinato.errors import CapacityError
from ostinato.server import Server, Settings
from ostinato.server.connections import Connection, Connections
from ostinato.server.door import Door
from ostinato.zeromq import free_descriptors


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_model(tmp_path_factory.mktemp("models"))


def test_silent_connections_keep_nobody_out() -> None:
    with Server(models("frames"), settings=Settings(max_clients=4)) as server:
        bystander = Bystander(server.endpoint)
        crowd = [Dialled(server.endpoint) for _ in range(150)]
        eventually(lambda: server.connections <= server.max_connections)
        assert crowd[0].is_cut(), "the first to come"
        bystander.go_on()
        with Raw(server.endpoint) as raw:
            raw.open("frames")
        bystander.finish()
        for each in crowd:
            each.close()
        eventually(lambda: server.connections == 0)


def test_who_asks_for_much_work_holds_up_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    """Messages that take the server long, many from one connection: another's are answered between them."""
    taken = []

    def long(*_: object, **__: object) -> None:
        time.sleep(0.01)
        taken.append(time.monotonic())
        raise CapacityError("full")

    with Server(models("frames")) as server, Raw(server.endpoint) as busy, Raw(server.endpoint) as other:
        other.ask(wire.Ping(b"first"), wire.Pong)
        monkeypatch.setattr(Engine, "open", long)
        busy.send(*[wire.Open(bytes([i]) * 16, "frames") for i in range(100)])
        eventually(lambda: len(taken) > 2)
        other.ask(wire.Ping(b"between"), wire.Pong)
        assert len(taken) < 60
        assert all(isinstance(busy.receive(), wire.Error) for _ in range(100))


def test_descriptors_bound_clients(path: Path) -> None:
    """Everybody is served or told so; and nothing spins."""
    with Process(path, limit=128) as server:
        raws = [Raw(server.endpoint) for _ in range(140)]
        for raw in raws:
            raw.send(wire.Ping(b""))
        served: list[Raw] = []

        def hear() -> bool:
            for raw in raws:
                while raw.socket.poll(0):
                    served.extend([raw] if isinstance(raw.receive(), wire.Pong) else [])
            return len(served) > 50

        eventually(hear)
        quietest = 1.0  # the first seconds may still hold what everybody sent at once
        for _ in range(5):
            cpu = cpu_s(server.process.pid)
            time.sleep(1)
            quietest = min(quietest, cpu_s(server.process.pid) - cpu)
        assert quietest < 0.3
        for raw in served[:20]:
            raw.open(server.name)
        for raw in raws:
            raw.close()
        with Raw(server.endpoint) as raw:
            raw.open(server.name)
        said = server.end()
    assert "clients at most, not 1024" in said and "ulimit -n" in said


def test_where_no_descriptor_is_left_a_connection_can_still_be_cut() -> None:
    """Else nobody could make room: ZeroMQ would try to accept whoever waits, without end."""
    with zmq.Context() as context, context.socket(zmq.ROUTER) as router, contextlib.ExitStack() as taken:
        door = taken.enter_context(contextlib.closing(Door(context)))
        connections = taken.enter_context(contextlib.closing(Connections(router, door, 10)))
        ours, theirs = map(taken.enter_context, socket.socketpair())
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        taken.callback(resource.setrlimit, resource.RLIMIT_NOFILE, (soft, hard))
        resource.setrlimit(resource.RLIMIT_NOFILE, (theirs.fileno() + 8, hard))
        with contextlib.suppress(OSError):
            while True:
                taken.callback(os.close, os.dup(ours.fileno()))
        connections.cut(Connection(ours.fileno(), os.fstat(ours.fileno()).st_ino, 0))
        theirs.settimeout(PATIENCE_S)
        assert theirs.recv(1) == b""


def cpu_s(process: int) -> float:
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def test_at_the_limit_of_descriptors_a_server_says_so(path: Path) -> None:
    code = (
        "import resource, sys; from ostinato.errors import CapacityError; from ostinato.server import Server; "
        "import ostinato.server.server, ostinato.engine\n"
        "hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]\n"
        "for limit in range(3, 120):\n"
        "    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))\n"
        "    try:\n"
        "        with Server({}): print('well with', limit); break\n"
        "    except CapacityError as error: assert 'ulimit' in str(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr.replace("WARNING", "")) == (0, "") or "clients at most" in done.stderr
    assert done.stdout.startswith("well with")


def test_memory_above_its_limit_opens_no_stream(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    used = [50 << 20]
    monkeypatch.setattr("ostinato.server.shortage.resident_bytes", lambda: used[0])
    with Server(models("frames"), settings=Settings(max_memory_mb=100)) as server, Raw(server.endpoint) as raw:
        bystander = Bystander(server.endpoint)
        used[0] = 101 << 20
        eventually(lambda: bool(server.full))
        time.sleep(1.2)
        error = raw.refused(wire.Open(stream_id(), "frames"))
        assert (error.code, error.retry_ms) == ("at_capacity", 1000)
        bystander.go_on()
        assert caplog.text.count("101 MiB in use, the limit is 100") == 1
        used[0] = 90 << 20
        eventually(lambda: not server.full)
        raw.open("frames")
        assert "opened again" in caplog.text
        bystander.finish()


def test_a_memory_limit_that_is_reached_before_the_first_stream_is_refused() -> None:
    with pytest.raises(CapacityError, match="set a higher one"):
        Server(models("frames"), settings=Settings(max_memory_mb=1))


def test_no_descriptor_is_left_behind() -> None:
    def rounds(count: int) -> None:
        for _ in range(count):
            with Server(models("frames")) as server, Raw(server.endpoint) as raw:
                raw.open("frames")
                with Dialled(server.endpoint, identity=b"x") as end:
                    end.send(frame(b"x"))

    rounds(2)
    time.sleep(0.2)
    before = free_descriptors()
    rounds(5)
    eventually(lambda: free_descriptors() == before)
