"""``ostinato generate``: its options. What it does is in the module that it imports."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ostinato.cli.options import LOOPBACK, Beams, HeadName, LengthPenalty, ModelArgument, ModelsFolder
from ostinato.sampling import MAX_LONGEST, MAX_SEED, MAX_TOP_K


def generate(
    model: ModelArgument,
    prompt: Annotated[
        str, typer.Option(metavar="TEXT", help="What the model goes on with.", show_default="its start token")
    ] = "",
    temperature: Annotated[
        float, typer.Option(metavar="T", min=0.0, max=1000.0, help="How bold it is: 0 is always the likeliest token.")
    ] = 1.0,
    top_k: Annotated[
        int | None, typer.Option(metavar="N", min=1, max=MAX_TOP_K, help="Draw among the N likeliest tokens alone.")
    ] = None,
    top_p: Annotated[
        float | None,
        typer.Option(metavar="P", min=0.0, max=1.0, help="Draw among the likeliest, until they have P together."),
    ] = None,
    seed: Annotated[
        int | None,
        typer.Option(metavar="N", min=0, max=MAX_SEED, help="The same seed, the same text.", show_default="another"),
    ] = None,
    beams: Beams = 1,
    length_penalty: LengthPenalty = 0.0,
    longest: Annotated[
        int | None,
        typer.Option(metavar="N", min=1, max=MAX_LONGEST, help="Tokens at most.", show_default="the model's"),
    ] = None,
    continuations: Annotated[
        int, typer.Option(metavar="N", min=1, max=15, help="Go on in N ways, with seeds that follow each other.")
    ] = 1,
    shared: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            min=0,
            max=MAX_LONGEST,
            help="With --continuations: tokens that they begin with.",
            show_default="32",
        ),
    ] = None,
    output: Annotated[
        list[Path] | None,
        typer.Option("--output", "-o", metavar="FILE", help="Of a tune: an .abc, .mid or .wav file."),
    ] = None,
    tempo: Annotated[
        int | None,
        typer.Option(metavar="N", min=20, max=400, help="Of its files, in beats a minute.", show_default="112"),
    ] = None,
    head: HeadName = None,
    connect: Annotated[
        str | None,
        typer.Option(metavar="ENDPOINT", help=f"Use the server that runs there, such as {LOOPBACK}."),
    ] = None,
    folder: ModelsFolder = None,
) -> None:
    """Let a language model go on with a text, a token at a time; with a tune, as ABC, MIDI and sound too."""
    import secrets

    from ostinato.cli.generate import Wanted
    from ostinato.cli.generate import generate as command
    from ostinato.cli.tunes import TuneFiles
    from ostinato.sampling import Sampling

    if connect and folder:
        raise typer.BadParameter("--models is for a model that runs here: a server has its own")
    seed = secrets.randbelow(1_000_000) if seed is None else seed
    sampling = Sampling(
        seed=seed, temperature=temperature, top_k=top_k, top_p=top_p, beams=beams, length_penalty=length_penalty
    )
    if beams > 1 and continuations > 1:
        raise typer.BadParameter("--beams finds one text: leave it out where --continuations are to differ")
    if shared is not None and continuations == 1:
        raise typer.BadParameter("--shared is for --continuations")
    shared = 32 if shared is None else shared
    if continuations > 1 and longest is not None and longest <= shared:
        raise typer.BadParameter(f"--longest {longest} leaves nothing behind the {shared} tokens that are shared")
    files = TuneFiles(output or (), tempo)
    files.check(continuations)
    command(model, Wanted(prompt, sampling, longest, head, shared, continuations), connect, folder, files)
