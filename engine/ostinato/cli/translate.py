"""``ostinato translate``: a model with an encoder makes a text of each line, which is shown as it comes."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from ostinato.cli.console import note, plural, say
from ostinato.cli.heads import generating_head
from ostinato.errors import InputError
from ostinato.events import Event
from ostinato.options import Options
from ostinato.sampling import MAX_BEAMS, Sampling
from ostinato.streaming import Stream, load
from ostinato_client import Client

TIMEOUT_S = 30.0


class Wanted(NamedTuple):
    """How texts are made: after ``wait_k`` frames of the source, if that is given."""

    sampling: Sampling
    longest: int | None
    wait_k: int | None
    head: str | None

    @property
    def early(self) -> Sampling | None:
        """How tokens are drawn while the source goes on, if they are: greedily before a search."""
        if self.wait_k is None:
            return None
        return self.sampling if self.sampling.beams == 1 else Sampling(temperature=0)


class _Translator(NamedTuple):
    """The events of a source, as they come; and what joins its tokens."""

    events: Callable[[str], Iterator[Event]]
    separator: str


def translate(model: str, lines: Iterable[str], wanted: Wanted, connect: str | None, folder: Path | None) -> None:
    """Print what ``model`` makes of each of the ``lines``, a line each, here or on the server at ``connect``.

    Raises OstinatoError for what is wrong with model, server or a line, which is numbered.
    """
    with contextlib.ExitStack() as opened:
        translator = _connected(opened, model, wanted, connect) if connect else _loaded(opened, model, wanted, folder)
        started, count, tokens, cut = time.monotonic(), 0, 0, 0
        for line in lines:
            count, said = count + 1, 0
            for event in _numbered(translator.events(line), count) if line.strip() else ():
                if event.kind == "token":
                    say(translator.separator * bool(said) + event.text)
                    said += 1
                else:
                    cut += event.index < 0
            say("\n")
            tokens += said
    seconds = time.monotonic() - started
    note(f"{plural(count, 'line')}, {plural(tokens, 'token')} in {seconds:.2f} s")
    if cut:
        note(f"{plural(cut, 'text')} had no end of the model's, but as many tokens as there may be: see --longest")


def _numbered(events: Iterator[Event], line: int) -> Iterator[Event]:
    """An error of the input says in which line."""
    try:
        yield from events
    except InputError as error:
        raise type(error)(f"line {line}: {error}") from error


def _loaded(opened: contextlib.ExitStack, name: str, wanted: Wanted, folder: Path | None) -> _Translator:
    model = load(name, folders=[] if folder is None else [folder], max_streams=1 + MAX_BEAMS)
    if model.writer is None:
        raise InputError(
            f"{name!r} has no encoder, so it makes no text of another: ostinato generate goes on with one"
        )
    head = wanted.head or generating_head(name, {each.name: each.settings.kind for each in model.heads.all.values()})
    options = Options(head=head, wait_k=wanted.wait_k, sampling=wanted.early)
    stream: Stream = opened.enter_context(model.open(options))

    def events(source: str) -> Iterator[Event]:
        for piece in source if wanted.wait_k else [source]:  # so that what comes early is seen early
            yield from stream.push(piece)
        yield from stream.generate(wanted.sampling, wanted.longest)
        stream.flush()

    return _Translator(events, stream.head.settings.separator)


def _connected(opened: contextlib.ExitStack, name: str, wanted: Wanted, endpoint: str) -> _Translator:
    client = opened.enter_context(Client(endpoint, timeout=TIMEOUT_S))
    head = wanted.head
    for each in client.models():
        if each.name == name and head is None:
            head = generating_head(name, {one.name: one.decoder for one in each.heads})
    stream = opened.enter_context(client.open(name, head=head, wait_k=wanted.wait_k, sampling=wanted.early))

    def events(source: str) -> Iterator[Event]:
        stream.push(source)
        yield from stream.generate(wanted.sampling, wanted.longest)
        stream.flush()

    return _Translator(events, stream.head.separator)
