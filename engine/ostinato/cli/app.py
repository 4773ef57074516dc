"""The commands and their options. What a command does is in the module that it imports."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ostinato.cli.bench_app import bench
from ostinato.cli.data_app import data
from ostinato.cli.generate_app import generate
from ostinato.cli.import_app import import_, verify
from ostinato.cli.options import (
    LONGEST_MS,
    LONGEST_S,
    LOOPBACK,
    MODEL,
    AsJson,
    BlockMs,
    Connect,
    HeadName,
    HotwordBoost,
    Hotwords,
    Json,
    LogLevel,
    LookaheadMs,
    ModelArgument,
    ModelsFolder,
    Plot,
    TrailingBlanksMs,
)
from ostinato.cli.texts_app import read, translate
from ostinato.cli.train_app import train
from ostinato.cli.usage import EXIT_CODES, App, complete_model
from ostinato.errors import did_you_mean

app = App(
    name="ostinato",
    help="Serve recurrent neural networks in real time: speech or text streams in, results stream out.",
    epilog=EXIT_CODES,
)
app.add_typer(bench, name="bench")
app.add_typer(train, name="train")


def _version(wanted: bool) -> None:
    if wanted:
        from ostinato import __version__

        typer.echo(f"ostinato {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    pass


@app.command()
def models(folder: ModelsFolder = None, json: AsJson = False) -> None:
    """List the models: those that come with Ostinato, and those of a folder."""
    from ostinato.cli.show import show_models

    show_models(folder, json)


@app.command()
def inspect(model: ModelArgument, folder: ModelsFolder = None, json: AsJson = False, plot: Plot = None) -> None:
    """Show a model: its graph of layers, sizes, delay, memory for each stream, and how it was made and tested."""
    from ostinato.cli.show import show_model

    show_model(model, folder, json, plot)


app.command("import")(import_)
app.command()(verify)
app.command()(data)


@app.command()
def serve(
    folder: ModelsFolder = None,
    bind: Annotated[
        str,
        typer.Option(metavar="ENDPOINT", help="Where to listen; on this machine only."),
    ] = LOOPBACK,
    workers: Annotated[
        int,
        typer.Option(
            metavar="N",
            min=1,
            max=64,
            help="Processes that share the streams. Each has a port of its own, the next ones after --bind's.",
        ),
    ] = 1,
    drain: Annotated[
        float,
        typer.Option(
            metavar="S", min=0.0, max=LONGEST_S, help="After a signal to end, open streams go on for so many seconds."
        ),
    ] = 5.0,
    idle: Annotated[
        float,
        typer.Option(metavar="S", min=1.0, max=LONGEST_S, help="A client that is silent for so long is forgotten."),
    ] = 3600.0,
    max_clients: Annotated[
        int,
        typer.Option(
            metavar="N",
            min=1,
            max=1_000_000,
            help="Clients at once, of each process; fewer where `ulimit -n` says so.",
        ),
    ] = 1024,
    max_memory_mb: Annotated[
        int | None,
        typer.Option(
            metavar="MB",
            min=1,
            max=1_000_000_000,
            help="No stream is opened while a process has more memory.",
            show_default="no limit",
        ),
    ] = None,
    log_level: Annotated[
        LogLevel, typer.Option(metavar="LEVEL", help="What is logged: debug, info, warning or error.")
    ] = LogLevel.info,
) -> None:
    """Serve models over ZeroMQ until Ctrl-C.

    SIGTERM, SIGHUP and Ctrl-C let open streams go on for --drain seconds; a second one ends at once.
    """
    from ostinato.server import Settings, serve

    settings = Settings(drain_s=drain, idle_s=idle, max_clients=max_clients, max_memory_mb=max_memory_mb)
    serve(bind, folders=[folder] if folder else [], settings=settings, workers=workers, log_level=log_level.value)


app.command()(generate)
app.command()(translate)
app.command()(read)


@app.command()
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


@app.command()
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


@app.command()
def evaluate(
    models: Annotated[
        list[str], typer.Argument(metavar="MODEL...", help="Models, by name or path: side by side if several.")
    ],
    data: Annotated[
        Path,
        typer.Option(
            metavar="DATA",
            help="A folder of recordings, each with a .txt of the same name that says what is spoken. For models of "
            "frames or text: a .csv, .npz or .txt with labels or targets, or a folder of them.",
            exists=True,
        ),
    ],
    folder: ModelsFolder = None,
    json: Json = None,
    head: HeadName = None,
    block_ms: BlockMs = None,
    lookahead_ms: LookaheadMs = None,
    everything: Annotated[
        bool, typer.Option("--all", help="Show all recordings with errors, not only the worst twenty; all labels.")
    ] = False,
) -> None:
    """Show what models answer wrongly, and count it: words in transcribed recordings, by folder (one per voice, say)
    and in all; labels or numbers in your own data.

    With --block-ms, bidirectional models are shown with bounded wait, then whole.

    A file that cannot be used is named and left out, and the command ends with 1.
    """
    from ostinato.cli.evaluate import evaluate
    from ostinato_bench.comparison import Wait

    if block_ms is None and lookahead_ms is not None:
        raise typer.BadParameter("--lookahead-ms needs --block-ms")
    wait = None if block_ms is None else Wait(block_ms, lookahead_ms or 0.0)
    evaluate(models, data, folder, json, wait, head, everything)


@app.command()
def quantize(
    model: ModelArgument,
    calibrate: Annotated[
        Path,
        typer.Option(
            metavar="DATA",
            exists=True,
            help="Typical input: a recording, frames (.npy, .npz, .csv), or a folder of them; text for models of it: "
            "of those with an encoder each line is a source.",
        ),
    ],
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="FILE", help="The int8 model, a .safetensors.", dir_okay=False)
    ],
    keep: Annotated[
        list[str] | None,
        typer.Option(metavar="NODE", help="A node to leave as it is, such as one that counts."),
    ] = None,
    folder: ModelsFolder = None,
    json: Json = None,
) -> None:
    """Make an int8 model of a float32 one: a quarter of its size, two to four times as fast."""
    from ostinato.cli.quantize import quantize

    quantize(model, calibrate, output, keep or [], folder, json)


@app.command()
def doctor(
    only: Annotated[
        str | None, typer.Option(metavar="TOPIC", help="Only this one: python, kernels, models, audio or network.")
    ] = None,
    json: AsJson = False,
) -> None:
    """Check whether all works here: Python, processor, kernels, models, microphones, network."""
    from ostinato.cli.doctor import examine

    raise typer.Exit(examine(only, json))
