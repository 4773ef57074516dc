"""Clients of an Ostinato server, synchronous and asyncio, and sources for them. Never loads Numba."""

from __future__ import annotations

from ostinato_client.aio import AsyncClient, AsyncStream
from ostinato_client.client import Client, Stream
from ostinato_client.driving import DEFAULT_ENDPOINT
from ostinato_client.frames import FramesSource
from ostinato_client.loudspeaker import Loudspeaker
from ostinato_client.microphone import Microphone, MicrophoneSource, find_microphone, microphones
from ostinato_client.recording import FileSource, RawFormat
from ostinato_client.results import ChunkClock, Result
from ostinato_client.sources import Source, TextSource

__all__ = [
    "Client", "Stream", "AsyncClient", "AsyncStream", "Result", "ChunkClock", "DEFAULT_ENDPOINT",
    "Source", "Microphone", "MicrophoneSource", "microphones", "find_microphone", "FileSource", "RawFormat",
    "Loudspeaker",    "FramesSource", "TextSource",
]  # fmt: skip
