"""Ctrl-C at any moment, and processes that were started without standard streams."""

from __future__ import annotations

import os
import shlex
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from ostinato.cli.files import bundled_recording
from ostinato.cli.usage import DONE, INTERRUPTED
from ostinato.errors import ConnectionLostError
from ostinato.server import Server
from ostinato.streaming import load
from ostinato_client import Client

MAIN = "from ostinato.cli import main; main()"
LISTEN = ("listen", "digits-uni", "--file", str(bundled_recording()))
SERVE = ("serve", "--bind", "tcp://127.0.0.1:*")


@pytest.mark.parametrize("after_s", [0.15, 0.5, 1.0])
@pytest.mark.parametrize("arguments", [LISTEN, SERVE, ("doctor", "--only", "kernels")], ids=lambda one: one[0])
def test_ctrl_c_while_starting_says_nothing(arguments: tuple[str, ...], after_s: float) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", "from ostinato.cli import main; print(flush=True); main()", *arguments],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
    ) as process:  # fmt: skip
        assert process.stdout is not None
        process.stdout.readline()  # Python itself has started, which may take longer
        time.sleep(after_s)
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does: to all that share it
        _, complaints = process.communicate(timeout=30)
    assert "Traceback" not in complaints and "Error" not in complaints, complaints
    assert process.returncode in (INTERRUPTED, DONE, -signal.SIGINT), "it was interrupted, or had ended"
    if process.returncode == INTERRUPTED:
        assert not complaints


SWALLOWED = """
import ctypes, signal, time
from ostinato.cli import main, app

@app.app.command(name="swallow")
def swallow() -> None:
    "Ctrl-C comes while a library calls us back, which cannot raise it."
    ctypes.CFUNCTYPE(None)(lambda: signal.raise_signal(signal.SIGINT))()
    time.sleep(5)
    print("went on")

@app.app.command(name="wrap")
def wrap() -> None:
    "Ctrl-C comes while a class is made, which wraps it."
    class Descriptor:
        def __set_name__(self, owner, name): signal.raise_signal(signal.SIGINT)
    class Made:
        field = Descriptor()

main()
"""


@pytest.mark.parametrize("command", ["swallow", "wrap"])
def test_an_interrupt_is_never_lost(command: str) -> None:
    done = subprocess.run([sys.executable, "-c", SWALLOWED, command], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (INTERRUPTED, "", "")


@pytest.mark.parametrize("started", [f"-c '{MAIN}' serve", "-m ostinato.server", f"-c '{MAIN}' serve --workers 2"])
def test_a_server_without_standard_streams_serves(started: str) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        endpoint = f"tcp://127.0.0.1:{free.getsockname()[1]}"
    if "--workers" in started:
        endpoint = endpoint[: endpoint.rindex(":")] + f":{30_000 + os.getpid() % 10_000}"  # and the next ones
    with subprocess.Popen(f"exec {sys.executable} {started} --bind {endpoint} 0<&- 1>&- 2>&-", shell=True) as process:
        try:
            assert digits(endpoint)
            for descriptor in range(3):
                assert Path(f"/proc/{process.pid}/fd/{descriptor}").readlink() == Path(os.devnull)
        finally:
            process.terminate()
        assert process.wait(30) == 0


def digits(endpoint: str) -> bool:
    """Whether a server answers there before long."""
    deadline = time.monotonic() + 60
    while True:
        try:
            with Client(endpoint, timeout=30) as client:
                return "digits-uni" in {one.name for one in client.models()}
        except ConnectionLostError:
            assert time.monotonic() < deadline
            time.sleep(0.1)


def test_a_client_without_standard_streams_lets_no_socket_take_their_places() -> None:
    with Server({"digits-uni": load("digits-uni")}) as server:
        script = (
            "import os, sys; from ostinato_client import Client\n"
            f"with Client({server.endpoint!r}) as client:\n"
            "    client.models()\n"
            "    assert all(os.readlink(f'/proc/self/fd/{n}') == os.devnull for n in range(3))\n"
            "os._exit(7)"
        )
        command = f"exec {sys.executable} -c {shlex.quote(script)} 0<&- 1>&- 2>&-"
        assert subprocess.run(command, shell=True, timeout=60).returncode == 7
