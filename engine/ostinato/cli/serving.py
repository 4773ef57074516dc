"""The server that a command talks to: one that runs already, or a private one for as long as the command."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from ostinato.cli.console import err
from ostinato.model import read, resolve
from ostinato.server import served_name, spawn_server


@contextmanager
def serving(
    models: Sequence[str], connect: str | None, folder: Path | None, max_utterance_s: float | None = None
) -> Iterator[tuple[str, list[str]]]:
    """An endpoint, and the models' names there. A private server's utterances may have ``max_utterance_s``.

    ``models``: names or paths; with ``connect`` names that the server there knows. Raises UnknownModelError,
    BadModelFileError, ConnectionLostError.
    """
    if connect is not None:
        yield connect, list(models)
        return
    folders = [] if folder is None else [folder]
    paths = [resolve(model, folders) for model in models]
    for path in paths:
        read(path)  # what is wrong with a model file is better said by this process than by the server's
    with err.status("[dim]starting a private server on this machine[/]"):
        server = spawn_server(list(dict.fromkeys(paths)), max_utterance_s=max_utterance_s)
    with server:
        yield server.endpoint, [served_name(path) for path in paths]
