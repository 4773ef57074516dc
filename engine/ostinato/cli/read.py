"""``ostinato read``: what a model says of a text, token by token or when a line has ended."""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from ostinato.cli.said import say
from ostinato.errors import InputError
from ostinato.events import Event
from ostinato.options import Options
from ostinato.streaming import load
from ostinato_client import Client

TIMEOUT_S = 30.0
MOST_VALUES = 8
"""Numbers that are shown of one output."""
_WIDTH = 16


class _Reader(NamedTuple):
    """The events of a line, as they come, and whether tokens are characters (or words)."""

    events: Callable[[str], Iterator[Event]]
    characters: bool


def read(
    model: str, lines: Iterable[str], options: Options, as_json: bool, connect: str | None, folder: Path | None
) -> None:
    """Print what ``model`` says of each of the ``lines``, here or on the server at ``connect``. Each line is a text
    by itself; an empty one is passed over.

    Raises OstinatoError for what is wrong with model, server or a line, which is numbered.
    """
    with contextlib.ExitStack() as opened:
        reader = _connected(opened, model, options, connect) if connect else _loaded(opened, model, options, folder)
        for number, text in enumerate(lines, 1):
            if not text.strip():
                continue
            tokens = list(text) if reader.characters else text.split()
            try:
                for event in reader.events(text):
                    _show(number, tokens, event, as_json)
            except InputError as error:
                raise type(error)(f"line {number}: {error}") from error
            if not as_json:
                say("\n")


def _show(line: int, tokens: list[str], event: Event, as_json: bool) -> None:
    token = "" if event.kind == "class" or event.frame >= len(tokens) else tokens[event.frame]
    if as_json:
        values = None if event.values is None else [round(float(value), 6) for value in event.values]
        told: dict[str, Any] = {
            "line": line, "frame": event.frame, "token": token, "kind": event.kind, "text": event.text,
            "probability": round(event.probability, 6), "values": values,
        }  # fmt: skip
        say(json.dumps(told, ensure_ascii=False) + "\n")
        return
    if event.kind == "output" and event.values is not None:
        shown = " ".join(f"{value:+.3f}" for value in event.values[:MOST_VALUES])
        shown += " …" * (len(event.values) > MOST_VALUES)
    else:
        shown = f"{event.text or event.kind} {event.probability:.2f}"
    say(f"{token or '(the line)':{_WIDTH}} {shown}\n")


def _loaded(opened: contextlib.ExitStack, name: str, options: Options, folder: Path | None) -> _Reader:
    model = load(name, folders=[] if folder is None else [folder], max_streams=1)
    front_end = model.reader.specification.front_end
    if front_end.counted_in != "character":
        raise InputError(f"{name!r} takes {front_end.kind}, no text: ostinato listen is for sound")
    if model.writer is not None:
        raise InputError(f"{name!r} makes a text of another: ostinato translate shows that")
    stream = opened.enter_context(model.open(options))

    def events(text: str) -> Iterator[Event]:
        for piece in re.findall(r"\S+\s*|\s+", text):  # a word at a time, so that what is known early is seen early
            yield from stream.push(piece)
        yield from stream.flush()

    return _Reader(events, getattr(front_end, "unit", "") == "character")


def _connected(opened: contextlib.ExitStack, name: str, options: Options, endpoint: str) -> _Reader:
    client = opened.enter_context(Client(endpoint, timeout=TIMEOUT_S))
    stream = opened.enter_context(client.open(name, **options.given))
    if stream.model.unit != "character":
        raise InputError(f"{name!r} takes {stream.model.unit}s, no text: ostinato listen is for sound")

    def events(text: str) -> Iterator[Event]:
        stream.push(text)
        for result in stream.flush():
            yield from result.events

    return _Reader(events, False)
