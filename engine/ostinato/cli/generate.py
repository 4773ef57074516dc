"""``ostinato generate``: a language model goes on with a text, which is shown as it comes."""

from __future__ import annotations

import contextlib
import dataclasses
import sys
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from ostinato.cli.console import note, plural, say
from ostinato.cli.heads import generating_head
from ostinato.cli.tunes import TuneFiles
from ostinato.errors import InputError
from ostinato.events import Event
from ostinato.model.file import SUFFIX
from ostinato.model.front_ends import Tokens
from ostinato.sampling import MAX_BEAMS, MAX_SEED, Sampling
from ostinato.streaming import Stream, load
from ostinato_client import Client
from ostinato_client import Stream as RemoteStream

TIMEOUT_S = 10.0
MAX_CONTINUATIONS = 15
_Opened: TypeAlias = tuple[Stream | RemoteStream, str, tuple[str, ...]]


@dataclass(frozen=True)
class Wanted:
    """What is asked for. ``longest`` tokens in all; after ``shared`` of them the text goes on in ``continuations``
    ways, each with a seed of its own."""

    prompt: str
    sampling: Sampling
    longest: int | None = None
    head: str | None = None
    shared: int = 0
    continuations: int = 1


def generate(model: str, wanted: Wanted, connect: str | None, folder: Path | None, files: TuneFiles) -> None:
    """Print what ``model`` goes on with, here or on the server at ``connect``; on a terminal behind the prompt. Tunes
    go into ``files`` too.

    Raises OstinatoError for what is wrong with model, prompt or server.
    """
    with contextlib.ExitStack() as opened:
        stream, separator, vocabulary = _opened(opened, model, wanted.head, connect, folder)
        prompt = files.prompt(wanted.prompt, vocabulary)
        stream.push(prompt)
        say(shown := prompt if sys.stdout.isatty() else "")
        if wanted.continuations == 1:
            said, _ = _show(stream.generate(wanted.sampling, wanted.longest), separator, bool(shown), wanted.sampling)
            files.write(separator.join([*[prompt] * bool(prompt), *said]), _title(model, wanted.sampling))
            return
        begun: list[str] = []
        if wanted.shared:
            events = stream.generate(wanted.sampling, wanted.shared)
            begun, end = _show(events, separator, bool(shown), wanted.sampling)
            if end >= 0:
                raise InputError(f"the text ended after {plural(len(begun), 'token')}: share fewer")
        for number in range(wanted.continuations):
            sampling = dataclasses.replace(wanted.sampling, seed=(wanted.sampling.seed + number) % (MAX_SEED + 1))
            fork: Stream | RemoteStream = stream.fork()
            opened.callback(fork.close)
            note(f"continuation {number + 1}:")
            left = None if wanted.longest is None else wanted.longest - wanted.shared
            said, _ = _show(fork.generate(sampling, left), separator, False, sampling)
            text = separator.join([*[prompt] * bool(prompt), *begun, *said])
            files.write(text, _title(model, sampling), number + 1)


def _title(model: str, sampling: Sampling) -> str:
    name = Path(model).name.removesuffix(SUFFIX)
    return f"{name}, seed {sampling.seed}" if sampling.temperature and sampling.beams == 1 else name


def _show(events: Iterable[Event], separator: str, goes_on: bool, sampling: Sampling) -> tuple[list[str], int]:
    """Print tokens as they come; what they were, and the index of the model's end, -1 if it was not that.

    ``goes_on``: something stands before them."""
    how = f"seed {sampling.seed}: " if sampling.temperature else ""
    if sampling.beams > 1:
        how = f"a beam of {sampling.beams}: "
    started, said, end = time.monotonic(), list[str](), -1
    try:
        for event in events:
            if event.kind == "token":
                say(separator * (goes_on or bool(said)) + event.text)
                said.append(event.text)
            else:
                end = event.index
    except KeyboardInterrupt:
        note(f"{how}{plural(len(said), 'token')}, stopped by hand")  # whoever likes it wants to have it again
        raise
    say("" if said and said[-1].endswith("\n") else "\n")
    seconds = time.monotonic() - started
    why = "the model's end" if end >= 0 else "as many as there may be"
    note(f"{how}{plural(len(said), 'token')} in {seconds:.2f} s, {why}")
    return said, end


def _opened(
    opened: contextlib.ExitStack, name: str, head: str | None, connect: str | None, folder: Path | None
) -> _Opened:
    """A stream, what joins its tokens, and these, where they are known."""
    if connect:
        client = opened.enter_context(Client(connect, timeout=TIMEOUT_S))
        for each in client.models():
            if each.name == name and head is None:
                head = generating_head(name, {one.name: one.decoder for one in each.heads})
        remote = opened.enter_context(client.open(name, head=head))
        return remote, remote.head.separator, ()
    model = load(name, folders=[] if folder is None else [folder], max_streams=MAX_CONTINUATIONS + 1 + MAX_BEAMS)
    if head is None:
        head = generating_head(name, {each.name: each.settings.kind for each in model.heads.all.values()})
    stream = opened.enter_context(model.stream(head=head))
    front_end = model.network.specification.front_end
    return stream, stream.head.settings.separator, front_end.vocabulary if isinstance(front_end, Tokens) else ()
