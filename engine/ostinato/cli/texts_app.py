"""``ostinato translate`` and ``ostinato read``: their options. What they do is in the modules that they import."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated

import typer

from ostinato.cli.options import (
    LOOPBACK,
    AsJson,
    Beams,
    BlockMs,
    HeadName,
    LengthPenalty,
    LookaheadMs,
    ModelArgument,
    ModelsFolder,
)
from ostinato.options import MAX_SOURCE
from ostinato.sampling import MAX_LONGEST, MAX_SEED

Texts = Annotated[
    list[str] | None,
    typer.Option("--text", metavar="TEXT", help="A line.", show_default="lines of standard input"),
]
Endpoint = Annotated[
    str | None,
    typer.Option("--connect", metavar="ENDPOINT", help=f"Use the server that runs there, such as {LOOPBACK}."),
]


def translate(
    model: ModelArgument,
    text: Texts = None,
    wait_k: Annotated[
        int | None,
        typer.Option(metavar="K", min=1, max=MAX_SOURCE, help="Begin after K frames of a line.", show_default="all"),
    ] = None,
    temperature: Annotated[
        float | None,
        typer.Option(
            metavar="T",
            min=0.0,
            max=1000.0,
            help="How bold it is: 0 is always the likeliest token.",
            show_default="0",
        ),
    ] = None,
    seed: Annotated[int, typer.Option(metavar="N", min=0, max=MAX_SEED, help="The same seed, the same text.")] = 0,
    beams: Beams = 1,
    length_penalty: LengthPenalty = 0.0,
    longest: Annotated[
        int | None,
        typer.Option(
            metavar="N", min=1, max=MAX_LONGEST, help="Tokens of a line at most.", show_default="the model's"
        ),
    ] = None,
    head: HeadName = None,
    connect: Endpoint = None,
    folder: ModelsFolder = None,
) -> None:
    """Let a model with an encoder make a text of each line, a token at a time."""
    from ostinato.cli.translate import Wanted
    from ostinato.cli.translate import translate as command
    from ostinato.sampling import Sampling

    _check(connect, folder)
    if temperature is None:
        temperature = 0.0 if beams == 1 else 1.0  # a search has none
    sampling = Sampling(seed=seed, temperature=temperature, beams=beams, length_penalty=length_penalty)
    wanted = Wanted(sampling, longest, wait_k, head)
    command(model, _lines(text), wanted, connect, folder)


def read(
    model: ModelArgument,
    text: Texts = None,
    head: HeadName = None,
    block_ms: BlockMs = None,
    lookahead_ms: LookaheadMs = None,
    json: AsJson = False,
    connect: Endpoint = None,
    folder: ModelsFolder = None,
) -> None:
    """Show what a model says of a text, after each token or when a line has ended."""
    from ostinato.cli.read import read as command
    from ostinato.options import Options

    _check(connect, folder)
    command(
        model, _lines(text), Options(head=head, block_ms=block_ms, lookahead_ms=lookahead_ms), json, connect, folder
    )


def _check(connect: str | None, folder: object) -> None:
    if connect and folder:
        raise typer.BadParameter("--models is for a model that runs here: a server has its own")


def _lines(texts: list[str] | None) -> Iterable[str]:
    from ostinato.cli.lines import lines_in

    return lines_in() if texts is None else texts
