"""``ostinato listen``: input goes to a server as it comes, and what is recognised is shown as it comes back.

A thread of its own sends, so that a result is shown when it arrives, not when the next chunk is due.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ostinato.cli.console import note, out, table
from ostinato.cli.display import Display, Progress, display, level_db
from ostinato.cli.serving import serving
from ostinato.errors import InputError, OstinatoError
from ostinato.events import Event
from ostinato.protocol import ModelInfo
from ostinato_client import Client, Stream

END_OF_SPEECH_MS = 600.0
"""Silence after which a bidirectional model answers."""
REFRESH_S = 0.1
TIMEOUT_S = 10.0


@dataclass(frozen=True)
class Source:
    """Where the input comes from: a file, standard input, or (neither) a microphone."""

    file: Path | None = None
    fast: bool = False
    text: bool = False
    device: str | None = None


def listen(
    model: str, source: Source, connect: str | None, folder: Path | None, seconds: float | None, as_json: bool
) -> None:
    """Send the source to ``model`` and show its results, until the source ends, ``seconds`` of it are over, or Ctrl-C."""
    with serving([model], connect, folder) as (endpoint, (name,)), Client(endpoint, timeout=TIMEOUT_S) as client:
        info = _info(client, name)
        with _chunks_of(source, info) as chunks:
            audio = info.unit == "sample"
            bidirectional = info.direction == "bidirectional"
            stream = client.open(
                name,
                sample_rate=chunks.sample_rate if audio else None,
                end_of_speech_ms=END_OF_SPEECH_MS if audio and bidirectional else None,
            )
            with stream:
                Listening(stream, chunks, source, seconds, display(as_json, info.separator)).run()
