"""``ostinato listen``: its options. What it does is in the module that it imports."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ostinato.cli.options import (
    LONGEST_S,
    MODEL,
    BlockMs,
    Connect,
    HeadName,
    HotwordBoost,
    Hotwords,
    LookaheadMs,
    ModelsFolder,
    TrailingBlanksMs,
)
from ostinato.cli.usage import complete_model


def listen(
    model: Annotated[str | None, typer.Argument(metavar="MODEL", help=MODEL, autocompletion=complete_model)] = None,
    file: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            help="A recording, a pipe, or - for standard input, instead of the microphone. For models of frames a "
            ".npy, .npz or .csv, or a table that comes through a pipe.",
        ),
    ] = None,
    format: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="How samples without a header are stored, such as s16le; with --rate."),
    ] = None,
    rate: Annotated[
        int | None, typer.Option(metavar="HZ", min=1, max=10_000_000, help="With --format: samples a second.")
    ] = None,
    channels: Annotated[
        int, typer.Option(metavar="N", min=1, max=1024, help="With --format: interleaved channels.")
    ] = 1,
    fast: Annotated[
        bool, typer.Option("--fast", help="With --file: as fast as possible, not at the pace of speech.")
    ] = False,
    text: Annotated[bool, typer.Option("--text", help="Read standard input, for models of text.")] = False,
    device: Annotated[
        str | None, typer.Option(metavar="N", help="Which microphone, by its number or a part of its name.")
    ] = None,
    play: Annotated[
        bool, typer.Option("--play", help="Play the audio that the model makes, with the round trip's delay shown.")
    ] = False,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="WAV", help="Write the audio that the model makes.")
    ] = None,
    list_devices: Annotated[bool, typer.Option("--list-devices", help="List the microphones and exit.")] = False,
    connect: Connect = None,
    folder: ModelsFolder = None,
    seconds: Annotated[
        float | None, typer.Option(metavar="S", min=0.1, max=LONGEST_S, help="Stop after so many seconds of input.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print a JSON object a line instead of text.")] = False,
    head: HeadName = None,
    block_ms: BlockMs = None,
    lookahead_ms: LookaheadMs = None,
    trailing_blanks_ms: TrailingBlanksMs = None,
    hotword: Hotwords = None,
    hotword_boost: HotwordBoost = None,
) -> None:
    """Show what a model recognises, as it comes, from the microphone, a file or standard input.

    A model that waits for the end of the utterance answers after each pause of 0.6 s. Recordings may begin and end in
    the middle of speech. Noise that sets in suddenly is taken for speech, for up to 3 s.

    Words are written on, labels have bars, numbers lines of blocks, onsets and ends of speech a line each. Into a
    pipe all are lines, labels one for each change.

    A model that makes audio of audio, such as an amplifier's, is heard with --play: wear headphones beside a
    microphone.
    """
    from ostinato.cli import listen as command
    from ostinato.cli.output_files import check_writable
    from ostinato.cli.playing import SUFFIXES
    from ostinato.options import Options, phrases
    from ostinato_client import RawFormat

    if list_devices:
        command.show_devices()
        return
    if model is None:
        raise typer.BadParameter("which model? `ostinato models` lists them", param_hint="MODEL")
    if sum((file is not None, text, device is not None)) > 1:
        raise typer.BadParameter("give only one of --file, --text and --device")
    if fast and file is None:
        raise typer.BadParameter("--fast needs --file: a microphone is never faster than speech")
    if connect and folder:
        raise typer.BadParameter("--models is the private server's: one that runs already has its own")
    if file not in (None, "-") and not Path(file).exists():
        raise typer.BadParameter(f"there is no file {file!r}", param_hint="--file")
    if (format is None) != (rate is None) or (format and file is None):
        raise typer.BadParameter("--format, --rate and --file belong together: give all of them")
    if play and fast:
        raise typer.BadParameter("--play is at the pace of sound: leave --fast out, or write a file with --output")
    check_writable(output, SUFFIXES)
    raw = RawFormat(format, rate, channels) if format and rate else None
    command.listen(
        model,
        command.Wanted(
            file=0 if file == "-" else file, raw=raw, fast=fast, text=text, device=device, play=play, output=output
        ),
        connect,
        folder,
        seconds,
        json,
        Options(
            head=head,
            block_ms=block_ms,
            lookahead_ms=lookahead_ms,
            trailing_blanks_ms=trailing_blanks_ms,
            hotwords=phrases(hotword or None),
            hotword_boost=hotword_boost,
        ),
    )
