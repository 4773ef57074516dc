"""``ostinato compare``: its options. What it does is in the module that it imports."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ostinato.cli.options import (
    LONGEST_MS,
    Connect,
    HeadName,
    Json,
    ModelsFolder,
    Plot,
)
from ostinato.cli.usage import complete_model
from ostinato.errors import did_you_mean


def compare(
    models: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="MODEL...",
            help="Models to compare, by name or path.",
            show_default="digits-uni digits-bi",
            autocompletion=complete_model,
        ),
    ] = None,
    file: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="The recording. Where its words end is read from NAME.words.tsv beside it, or found in it.",
            show_default="the first of --data, or a bundled one",
            exists=True,
            dir_okay=False,
        ),
    ] = None,
    transcript: Annotated[
        str | None, typer.Option(metavar="TEXT", help="What is said in it.", show_default="the .txt beside FILE")
    ] = None,
    json: Json = None,
    plot: Plot = None,
    connect: Connect = None,
    folder: ModelsFolder = None,
    head: HeadName = None,
    block_ms: Annotated[
        float | None,
        typer.Option(
            metavar="MS",
            min=1.0,
            max=LONGEST_MS,
            help="For bidirectional models: answer so much at a time while input goes on, not only at its end.",
            show_default="120; of your own data 4 frames",
        ),
    ] = None,
    lookahead_ms: Annotated[
        float | None,
        typer.Option(
            metavar="MS",
            min=0.0,
            max=LONGEST_MS,
            help="And wait for so much more before each answer.",
            show_default="300",
        ),
    ] = None,
    sweep_ms: Annotated[
        str | None,
        typer.Option(
            metavar="MS,MS,...",
            help="Values of --lookahead-ms to count errors at.",
            show_default="0 to 900 in nine steps; of your own data 0 to 64 frames",
        ),
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option(
            metavar="DATA",
            help="Recordings to count errors in, each with a .txt of the same name that says what is spoken. For "
            "models of frames or text: a .csv, .npz or .txt with labels or targets, or a folder of them.",
            show_default="those bundled, or FILE",
            exists=True,
        ),
    ] = None,
    show: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Which recording of --data is played and drawn.", show_default="the first"),
    ] = None,
    task: Annotated[
        str | None,
        typer.Option(
            metavar="TASK",
            help="Compare the bundled models of speech, sentiment, phonemes, tunes, or all, in the same columns.",
        ),
    ] = None,
    text: Annotated[
        list[str] | None,
        typer.Option(
            metavar="TEXT",
            help="A text for models of text: what each says, and when.",
            show_default="those bundled",
        ),
    ] = None,
) -> None:
    """Compare models on one recording, spoken in real time: what each says, and how long one waits for it.

    Latencies count from the end of each word in the recording, the same for every model; a model may know a word
    before it ends.

    Bidirectional models are shown with bounded wait, then whole; what waiting buys is their errors against delay.

    Models of frames or text are compared on your own data: how right, how late, and what computing takes.
    """
    from ostinato.cli.compare import Wanted, compare

    if connect and folder:
        raise typer.BadParameter("--models is the private server's: one that runs already has its own")
    if connect and (data or sweep_ms):
        raise typer.BadParameter("errors against delay are computed here, not by a server: leave --connect out")
    if show is not None and (data is None or file is not None):
        raise typer.BadParameter("--show names one of the recordings in --data, and --file another: give one of them")
    tasks = ("speech", "sentiment", "phonemes", "tunes", "all")
    if task is not None and task not in tasks:
        near = did_you_mean(task, tasks)
        raise typer.BadParameter(f"{task!r} is none of {', '.join(tasks)}{near}", param_hint="--task")
    others = (models, file, transcript, data, text, connect, folder, head, block_ms, lookahead_ms, sweep_ms, show)
    if task is not None and any(each not in (None, []) for each in others):
        raise typer.BadParameter("--task compares bundled models on what is bundled: leave all else out")
    if text and (file or data or connect):
        raise typer.BadParameter("--text is read here, by models of text: leave --file, --data and --connect out")
    wanted = Wanted(
        models or (), file, transcript, block_ms, lookahead_ms, data, _numbers(sweep_ms), show, head, task, text or ()
    )
    compare(wanted, json, plot, connect, folder)


def _numbers(text: str | None) -> list[float] | None:
    try:
        numbers = None if text is None else [float(part) for part in text.split(",")]
    except ValueError:
        numbers = [-1.0]
    if numbers is not None and not all(0 <= number <= LONGEST_MS for number in numbers):
        raise typer.BadParameter(
            "give milliseconds with commas between them, such as 0,100,300", param_hint="--sweep-ms"
        )
    return numbers
