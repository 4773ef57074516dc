"""``ostinato read``: what a model says of a text, token by token or when a line has ended."""

from __future__ import annotations

import contextlib
import json
import re
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import accumulate
from pathlib import Path
from typing import Any, NamedTuple

from ostinato.cli.console import say
from ostinato.cli.heads import check_reading
from ostinato.errors import InputError
from ostinato.events import Event
from ostinato.options import Options
from ostinato.streaming import load
from ostinato_client import Client

TIMEOUT_S = 30.0
MOST_VALUES = 8
"""Numbers that are shown of one output."""
_WIDTH = 16


class Told(NamedTuple):
    """An event, and the word or character of the line that it is of, the ``number``-th; "": of all."""

    event: Event
    token: str
    number: int


Reader = Callable[[str], Iterator[Told]]
"""What is said of a line, as it comes."""


def read(
    model: str, lines: Iterable[str], options: Options, as_json: bool, connect: str | None, folder: Path | None
) -> None:
    """Print what ``model`` says of each of the ``lines``, here or on the server at ``connect``. Each line is a text
    by itself; an empty one is passed over.

    Raises OstinatoError for what is wrong with model, server or a line, which is numbered.
    """
    with contextlib.ExitStack() as opened:
        told = _connected(opened, model, options, connect) if connect else _loaded(opened, model, options, folder)
        for number, text in enumerate(lines, 1):
            if not text.strip():
                continue
            try:
                before = None
                for each in told(text):
                    _show(number, each, as_json, each.number == before)
                    before = each.number
            except InputError as error:
                raise type(error)(f"line {number}: {error}") from error
            if not as_json:
                say("\n")


def _words(text: str) -> list[str]:
    """With the spaces around them, so that together they are the text."""
    return re.findall(r"\s*\S+\s*", text)


def _told(event: Event, tokens: Sequence[str], ends: Sequence[int]) -> Told:
    """An event with the one that it is of, of ``tokens``, after which so many frames had come: a word may have
    several."""
    at = bisect_right(ends, event.frame)
    return Told(event, "", -1) if event.kind == "class" or at >= len(tokens) else Told(event, tokens[at], at)


def _show(line: int, each: Told, as_json: bool, again: bool) -> None:
    """``again``: of the same word as the one before, which is written once."""
    event, token, _ = each
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
    say(f"{'' if again else token or '(the line)':{_WIDTH}} {shown}\n")


def _loaded(opened: contextlib.ExitStack, name: str, options: Options, folder: Path | None) -> Reader:
    model = load(name, folders=[] if folder is None else [folder], max_streams=1)
    front_end = model.reader.specification.front_end
    if front_end.counted_in != "character":
        raise InputError(f"{name!r} takes {front_end.kind}, no text: ostinato listen is for sound")
    stream = opened.enter_context(model.open(options))
    check_reading(name, stream.head.settings.kind)
    characters = getattr(front_end, "unit", "") == "character"

    def told(text: str) -> Iterator[Told]:
        before, tokens, ends = stream.frames_in, list[str](), list[int]()
        for piece in text if characters else _words(text):  # so that what is known early is seen early
            tokens.append(piece if characters else piece.strip())
            events = stream.push(piece)
            ends.append(stream.frames_in - before)
            yield from (_told(event, tokens, ends) for event in events)
        last = stream.flush()
        ends[-1] = max(ends[-1], 1 + max((event.frame for event in last), default=0))  # a word that the end completed
        yield from (_told(event, tokens, ends) for event in last)

    return told


def _connected(opened: contextlib.ExitStack, name: str, options: Options, endpoint: str) -> Reader:
    client = opened.enter_context(Client(endpoint, timeout=TIMEOUT_S))
    stream = opened.enter_context(client.open(name, **options.given))
    if stream.model.unit != "character":
        raise InputError(f"{name!r} takes {stream.model.unit}s, no text: ostinato listen is for sound")
    check_reading(name, stream.head.decoder)

    def told(text: str) -> Iterator[Told]:
        words = _words(text)
        for word in words:
            stream.push(word)
        words = [word.strip() for word in words]
        results = stream.flush()
        ends = list(accumulate(result.frames for result in results))
        ends[len(words) - 1 :] = ends[-1:]  # a word that the end completed
        if not ends[-1:] or ends[-1] == len(words) or len(results) < len(words):
            ends = list(range(1, len(words) + 1))
        elif ends[0] == 0:  # it waited: which word an event is of is not known here
            words = []
        yield from (_told(event, words, ends) for result in results for event in result.events)

    return told
