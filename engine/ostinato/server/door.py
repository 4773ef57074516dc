"""Lets in who speaks ZMTP 3, by a handler of ZeroMQ's authentication protocol (ZAP, rfc.zeromq.org/spec/27).

While there is one, ZeroMQ itself turns away whoever speaks an older protocol or none, such as a browser: such peers
have no properties by which to know their connection. All others are let in, as there are no keys yet, and numbered:
ZeroMQ adds the number to each of their messages.
"""

from __future__ import annotations

from collections.abc import Callable

import zmq

TURN = 64
"""How many are answered at a time."""


class Door:
    """The handler, for all sockets of a context with a ``zap_domain``. Its `socket` is to be polled."""

    def __init__(self, context: zmq.Context[zmq.Socket[bytes]]) -> None:
        self.next = 0
        """The number of who is let in next."""
        self.socket = context.socket(zmq.REP)
        self.socket.linger = 0
        self.socket.bind("inproc://zeromq.zap.01")

    def answer(self, look: Callable[[], None]) -> None:
        """Let in who knocks. ``look``: take note of who has connected, before they get their numbers."""
        for _ in range(TURN):
            try:
                version, request, *_ = self.socket.recv_multipart(zmq.DONTWAIT)
            except zmq.Again:
                return
            look()
            self.socket.send_multipart([version, request, b"200", b"", b"%d" % self.next, b""], zmq.DONTWAIT)
            self.next += 1

    @staticmethod
    def number(frame: zmq.Frame) -> int:
        """The number of who has sent a frame."""
        return int(frame.get("User-Id"))

    def close(self) -> None:
        """Let nobody in any more."""
        self.socket.close(0)
