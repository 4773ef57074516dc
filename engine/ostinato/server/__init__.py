"""Serving models over ZeroMQ: in this process (`serve`), a thread (`Server`), a private process (`spawn_server`).

    with Server({"digits-uni": load("digits-uni")}) as server:
        client = Client(server.endpoint)

Names are loaded when first used: starting a server process does not load what serves in it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ostinato.engine import Limits
    from ostinato.server.names import served_name
    from ostinato.server.process import Spawned, serve, spawn_server
    from ostinato.server.server import Server
    from ostinato.server.settings import Settings

__all__ = ["Server", "Settings", "Limits", "serve", "spawn_server", "Spawned", "served_name"]

_HOME = {
    "Server": "ostinato.server.server",
    "Settings": "ostinato.server.settings",
    "Limits": "ostinato.engine",
    "serve": "ostinato.server.process",
    "spawn_server": "ostinato.server.process",
    "Spawned": "ostinato.server.process",
    "served_name": "ostinato.server.names",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'ostinato.server' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_HOME[name]), name)
