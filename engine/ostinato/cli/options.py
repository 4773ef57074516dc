"""Options that several commands have."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from ostinato.cli.usage import complete_model
from ostinato.options import MAX_BOOST
from ostinato.sampling import MAX_BEAMS, MAX_LENGTH_PENALTY

LOOPBACK = "tcp://127.0.0.1:7077"


class LogLevel(StrEnum):
    """From all to little."""

    debug = "debug"
    info = "info"
    warning = "warning"
    error = "error"


LONGEST_S = 10_000_000.0
LONGEST_MS = 60_000.0
MODEL = "A model's name (`ostinato models` lists them), or the path of a model file."

ModelArgument = Annotated[str, typer.Argument(metavar="MODEL", help=MODEL, autocompletion=complete_model)]
ModelsFolder = Annotated[
    Path | None,
    typer.Option(
        "--models",
        metavar="DIR",
        help="A folder of model files, to be used beside the bundled ones.",
        file_okay=False,
        exists=True,
    ),
]
Connect = Annotated[
    str | None,
    typer.Option(
        metavar="ENDPOINT",
        help=f"Use the server that runs there, such as {LOOPBACK}. Without it, one is started for this command.",
    ),
]
Json = Annotated[
    Path | None,
    typer.Option(
        "--json",
        metavar="FILE",
        help="Also write the figures to this file; - is standard output, instead of tables.",
        dir_okay=False,
        allow_dash=True,
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")]
Plot = Annotated[
    Path | None, typer.Option(metavar="FILE", help="Draw a picture: .png, .svg or .pdf.", dir_okay=False)
]

HeadName = Annotated[
    str | None,
    typer.Option(
        "--head",
        metavar="NAME",
        help="Which head of a model that has several.",
        show_default="its first",
    ),
]
BlockMs = Annotated[
    float | None,
    typer.Option(
        metavar="MS",
        min=1.0,
        max=LONGEST_MS,
        help="For bidirectional models: answer so much at a time while input goes on, not only at its end.",
    ),
]
LookaheadMs = Annotated[
    float | None,
    typer.Option(
        metavar="MS", min=0.0, max=LONGEST_MS, help="With --block-ms: wait for so much more before each answer."
    ),
]
TrailingBlanksMs = Annotated[
    float | None,
    typer.Option(
        metavar="MS",
        min=1.0,
        max=LONGEST_MS,
        help="Say where speech ends: after a symbol nothing but blanks for so long, some 1200. For models of symbols "
        "(CTC) that answer while speech goes on.",
    ),
]
Hotwords = Annotated[
    list[str] | None,
    typer.Option(
        "--hotword",
        metavar="WORD",
        help="A word or phrase to expect, of models that search for texts.",
        show_default=False,
    ),
]
HotwordBoost = Annotated[
    float | None,
    typer.Option(
        metavar="X",
        min=0.0,
        max=MAX_BOOST,
        help="With --hotword: it counts e^X times as likely.",
        show_default="the model's",
    ),
]
Beams = Annotated[
    int, typer.Option(metavar="N", min=1, max=MAX_BEAMS, help="Not drawn: the likeliest text, by N hypotheses.")
]
LengthPenalty = Annotated[
    float,
    typer.Option(
        metavar="A", min=0.0, max=MAX_LENGTH_PENALTY, help="Of --beams: favours longer texts; 0.6 is usual."
    ),
]
