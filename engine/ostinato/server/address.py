"""Which addresses a server listens on: only this machine's own, until there are keys."""

from __future__ import annotations

import ipaddress
import re

from ostinato.errors import AddressError

_TCP = re.compile(r"tcp://(\[[^\]]*\]|[^:\[\]]*):(\d{1,5}|\*)")


def check_address(bind: str) -> str:
    """``bind`` as ZeroMQ takes it: ``tcp://``, a loopback address and a port (``*``: any), or ``ipc://`` and a path.

    Raises AddressError, with the reason, for anything else.
    """
    if bind.startswith("ipc://") and len(bind) > len("ipc://") and not bind.startswith("ipc://@"):
        return bind
    match = _TCP.fullmatch(bind)
    if match is None:
        raise AddressError(f"{bind!r} is no address to listen on: use tcp://127.0.0.1:7077 or ipc:///some/path")
    host, port = match[1].strip("[]"), match[2]
    try:
        loopback = host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        loopback = False
    if not loopback:
        raise AddressError(
            f"{bind} would be reachable from other machines, and there are no keys yet by which to tell friends from "
            "strangers: listen on tcp://127.0.0.1 and let other machines come through an SSH tunnel"
        )
    if port != "*" and not 0 < int(port) < 65536:
        raise AddressError(f"{bind}: the port is not from 1 to 65535")
    return f"tcp://127.0.0.1:{port}" if host == "localhost" else bind
