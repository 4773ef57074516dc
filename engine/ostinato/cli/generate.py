"""``ostinato generate``: a language model goes on with a text, which is shown as it comes."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from ostinato.cli.console import note, plural
from ostinato.errors import InputError
from ostinato.events import Event
from ostinato.model.decoders import Generation
from ostinato.sampling import Sampling
from ostinato.streaming import load
from ostinato_client import Client

TIMEOUT_S = 10.0


def generate(
    model: str,
    prompt: str,
    sampling: Sampling,
    longest: int | None,
    head: str | None,
    connect: str | None,
    folder: Path | None,
) -> None:
    """Print what ``model`` goes on with, here or on the server at ``connect``; on a terminal behind the prompt.

    Raises OstinatoError for what is wrong with model, prompt or server.
    """
    with contextlib.ExitStack() as opened:
        begun = _connected if connect else _loaded
        separator, events = begun(opened, model, prompt, sampling, longest, head, connect or folder)
        started, tokens, end = time.monotonic(), 0, -1
        shown = prompt if sys.stdout.isatty() else ""
        _write(shown)
        for event in events:
            if event.kind == "token":
                _write((separator if shown else "") + event.text)
                shown, tokens = event.text, tokens + 1
            else:
                end = event.index
        _write("" if shown.endswith("\n") else "\n")
    seconds = time.monotonic() - started
    seed = f"seed {sampling.seed}: " if sampling.temperature else ""
    why = "the model's end" if end >= 0 else "as many as there may be"
    note(f"{seed}{plural(tokens, 'token')} in {seconds:.2f} s, {why}")


def _loaded(
    opened: contextlib.ExitStack,
    name: str,
    prompt: str,
    sampling: Sampling,
    longest: int | None,
    head: str | None,
    folder: Path | str | None,
) -> tuple[str, Iterator[Event]]:
    """What joins the tokens, and what comes, of a model that runs here."""
    model = load(name, folders=[] if folder is None else [folder], max_streams=1)
    if head is None:
        head = _first(name, {each.name: each.settings.kind for each in model.heads.all.values()})
    stream = opened.enter_context(model.stream(head=head))
    stream.push(prompt)
    return stream.head.settings.separator, stream.generate(sampling, longest)


def _connected(
    opened: contextlib.ExitStack,
    name: str,
    prompt: str,
    sampling: Sampling,
    longest: int | None,
    head: str | None,
    endpoint: Path | str | None,
) -> tuple[str, Iterator[Event]]:
    """The same of one that a server has."""
    client = opened.enter_context(Client(str(endpoint), timeout=TIMEOUT_S))
    for each in client.models():
        if each.name == name and head is None:
            head = _first(name, {one.name: one.decoder for one in each.heads})
    stream = opened.enter_context(client.open(name, head=head))
    stream.push(prompt)
    return stream.head.separator, stream.generate(sampling, longest)


def _first(model: str, kinds: dict[str, str]) -> str:
    """The name of the first head that generates, of decoders by the heads' names."""
    for name, kind in kinds.items():
        if kind == Generation.kind:
            return name
    raise InputError(
        f"{model!r} does not generate: only a language model does, one of whose heads has the decoder "
        f"{Generation.kind!r}; it has {', '.join(kinds.values())}"
    )


def _write(text: str) -> None:
    """As it is, but for control characters: a vocabulary is somebody else's, and must not steer the terminal."""
    shown = "".join(c if c.isprintable() or c in "\n\t" else "\N{REPLACEMENT CHARACTER}" for c in text)
    print(shown, end="", flush=True)
