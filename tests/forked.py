"""Programs as processes of their own, forked from one that has loaded NumPy, Numba and the kernels already.

From nothing, `ostinato` computes for most of a second before it begins. What a process is stays: arguments,
descriptors, folder, exit code; and the command's own modules are loaded by each anew. test_cli_app compares the two.
Run as a program, this file is the process that is forked.
"""

from __future__ import annotations

import gc
import importlib
import io
import json
import os
import signal
import socket
import struct
import subprocess
import sys
import threading
import types
from collections.abc import Mapping
from pathlib import Path
from typing import Any

FREE = {"COLUMNS", "LINES", "PYTEST_CURRENT_TEST"}
"""What of the environment nothing reads that is loaded before the fork."""
LOADED = ("ostinato.engine", "ostinato.streaming", "ostinato_client", "rich.console", "rich.table", "typer")
NUMBER = struct.Struct("<i")


class Forked:
    """Runs programs, one at a time: ``python -c``, like ``subprocess.run`` with its output as text."""

    def __init__(self) -> None:
        self.environment = dict(os.environ)
        self.socket, theirs = socket.socketpair()
        with theirs:
            self.process = subprocess.Popen(
                [sys.executable, __file__, str(theirs.fileno())], stdin=subprocess.DEVNULL, pass_fds=[theirs.fileno()]
            )

    def takes(self, environment: Mapping[str, str]) -> bool:
        """Whether what was loaded would be no other in this environment."""
        names = {*environment, *self.environment} - FREE
        return all(environment.get(name) == self.environment.get(name) for name in names)

    def run(
        self,
        code: str,
        arguments: list[str],
        env: Mapping[str, str],
        timeout: float,
        stdin: Any = subprocess.DEVNULL,
        stdout: Any = subprocess.PIPE,
        stderr: Any = subprocess.PIPE,
        input: str | None = None,
        cwd: Path | None = None,
    ) -> subprocess.CompletedProcess[str]:
        """The exit code, and what was written. Raises TimeoutExpired after having killed the process."""
        wanted = {"code": code, "arguments": arguments, "env": dict(env), "cwd": str(cwd or Path.cwd())}
        said = json.dumps(wanted).encode()
        (source, sent), (out, write_out), (err, write_err) = [os.pipe() for _ in range(3)]
        given = [source, write_out, write_err]
        for i, other in enumerate((stdin, stdout, stderr)):
            if other not in (None, subprocess.DEVNULL, subprocess.PIPE):
                given[i] = other if isinstance(other, int) else other.fileno()
        socket.send_fds(self.socket, [NUMBER.pack(len(said))], given)
        self.socket.sendall(said)
        for end in (source, write_out, write_err):
            os.close(end)
        written = {out: b"", err: b""}
        threads = [threading.Thread(target=_write, args=(sent, (input or "").encode()), daemon=True)]
        threads += [threading.Thread(target=_read, args=(end, written), daemon=True) for end in written]
        for thread in threads:
            thread.start()
        pid = _number(self.socket)
        self.socket.settimeout(timeout)
        try:
            status = _number(self.socket)
        except TimeoutError:
            os.kill(pid, signal.SIGKILL)
            self.socket.settimeout(None)
            _number(self.socket)
            raise subprocess.TimeoutExpired([code, *arguments], timeout) from None
        self.socket.settimeout(None)
        for thread in threads:
            thread.join(timeout)
        said_out, said_err = (written[end].decode() for end in (out, err))
        return subprocess.CompletedProcess([code, *arguments], os.waitstatus_to_exitcode(status), said_out, said_err)

    def close(self) -> None:
        """End the process that is forked."""
        self.socket.close()
        self.process.wait(10)


def _read(end: int, written: dict[int, bytes]) -> None:
    with open(end, "rb") as stream:
        written[end] = stream.read()


def _write(end: int, data: bytes) -> None:
    try:
        with open(end, "wb", buffering=0) as stream:
            stream.write(data)
    except BrokenPipeError:
        pass  # who was to read it has ended


def _number(sock: socket.socket) -> int:
    return int(NUMBER.unpack(_exactly(sock, NUMBER.size))[0])


def _exactly(sock: socket.socket, count: int) -> bytes:
    data = b""
    while len(data) < count:
        more = sock.recv(count - len(data))
        if not more:
            raise ConnectionError("the other process is gone")
        data += more
    return data


# --- the process that is forked -------------------------------------------------------------------------------------


def _next_program(sock: socket.socket) -> dict[str, Any] | None:
    """In each process that is forked, what it is to run; here, None at the end."""
    while True:
        header, descriptors, _, _ = socket.recv_fds(sock, NUMBER.size, 3)
        if not header:
            return None
        wanted: dict[str, Any] = json.loads(_exactly(sock, NUMBER.unpack(header)[0]))
        pid = os.fork()
        if not pid:
            sock.close()
            for number, descriptor in enumerate(descriptors):
                os.dup2(descriptor, number)
                os.close(descriptor)
            return wanted
        for descriptor in descriptors:
            os.close(descriptor)
        sock.sendall(NUMBER.pack(pid))
        sock.sendall(NUMBER.pack(os.waitpid(pid, 0)[1]))


def _become(wanted: dict[str, Any]) -> None:
    """What Python makes as it starts."""
    os.environ.clear()
    os.environ.update(wanted["env"])
    os.chdir(wanted["cwd"])
    sys.argv, sys.path[0] = ["-c", *wanted["arguments"]], ""
    sys.modules["__main__"] = types.ModuleType("__main__")
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        old: Any = getattr(sys, name)
        raw = io.FileIO(number, "r" if number == 0 else "w", closefd=False)
        buffer: Any = io.BufferedReader(raw) if number == 0 else io.BufferedWriter(raw)
        stream = io.TextIOWrapper(buffer, old.encoding, old.errors, line_buffering=number == 2)
        setattr(sys, name, stream)
        setattr(sys, f"__{name}__", stream)


def main() -> None:
    """Load what takes long, and be forked until nobody asks any more."""
    sock = socket.socket(fileno=int(sys.argv[1]))
    for name in LOADED:
        importlib.import_module(name)
    assert threading.active_count() == 1
    gc.freeze()
    wanted = _next_program(sock)
    if wanted is not None:
        _become(wanted)
        exec(compile(wanted["code"], "<string>", "exec"), vars(sys.modules["__main__"]))


if __name__ == "__main__":
    main()
