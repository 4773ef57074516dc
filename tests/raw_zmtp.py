"""ZMTP 3 over a plain socket (rfc.zeromq.org/spec/23), for tests that do with it what no ZeroMQ library would."""

from __future__ import annotations

import contextlib
import os
import socket
import struct

GREETING = b"\xff" + bytes(8) + b"\x7f\x03\x01" + b"NULL".ljust(20, b"\0") + bytes(32)


def frame(data: bytes, more: bool = False) -> bytes:
    """A message, or a part of one that goes on."""
    if len(data) < 256:
        return bytes((more, len(data))) + data
    return bytes((more | 2,)) + struct.pack(">Q", len(data)) + data


def command(data: bytes) -> bytes:
    if len(data) < 256:
        return bytes((4, len(data))) + data
    return b"\6" + struct.pack(">Q", len(data)) + data


PING = command(b"\x04PING\x00\x00")
"""ZeroMQ's heartbeat, not the protocol's."""


def ready(kind: bytes = b"DEALER", identity: bytes = b"") -> bytes:
    """The handshake's only command."""
    body = b"\x05READY"
    for name, value in ((b"Socket-Type", kind), (b"Identity", identity)):
        body += bytes((len(name),)) + name + struct.pack(">I", len(value)) + value
    return command(body)


class Dialled:
    """A connection on which the handshake is over."""

    def __init__(self, endpoint: str, kind: bytes = b"DEALER", identity: bytes = b"", timeout: float = 20.0) -> None:
        host, _, port = endpoint.removeprefix("tcp://").rpartition(":")
        self.socket = socket.create_connection((host.strip("[]"), int(port)), timeout)
        self.socket.sendall(GREETING + ready(kind, identity))
        self._exactly(64)
        self._exactly(self._exactly(2)[1])

    def _exactly(self, count: int) -> bytes:
        data = b""
        while len(data) < count:
            piece = self.socket.recv(count - len(data))
            if not piece:
                raise ConnectionResetError("cut in the handshake")
            data += piece
        return data

    def send(self, data: bytes) -> bool:
        """Whether all of it could be sent."""
        try:
            self.socket.sendall(data)
        except OSError:
            return False
        return True

    def burst(self, data: bytes) -> None:
        """Send what goes at once."""
        self.socket.setblocking(False)
        with contextlib.suppress(OSError):
            self.socket.send(data)

    def is_cut(self) -> bool:
        """Whether the server ends the connection, now or soon."""
        try:
            while self.socket.recv(65536):
                pass
        except TimeoutError:
            return False
        except OSError:
            pass
        return True

    def reset(self) -> None:
        """Vanish, as a killed process does whose input was not read."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()

    def close(self) -> None:
        self.socket.close()

    def __enter__(self) -> Dialled:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def stream_id() -> bytes:
    return os.urandom(16)
