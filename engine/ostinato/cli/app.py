"""The commands and their options. What a command does is in the module that it imports."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ostinato.cli.bench_app import bench
from ostinato.cli.compare_app import compare
from ostinato.cli.data_app import data
from ostinato.cli.generate_app import generate
from ostinato.cli.import_app import import_, verify
from ostinato.cli.listen_app import listen
from ostinato.cli.options import (
    LONGEST_S,
    LOOPBACK,
    AsJson,
    BlockMs,
    HeadName,
    Json,
    LogLevel,
    LookaheadMs,
    ModelArgument,
    ModelsFolder,
    Plot,
)
from ostinato.cli.texts_app import read, translate
from ostinato.cli.train_app import train
from ostinato.cli.usage import EXIT_CODES, App

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
app.command()(listen)
app.command()(compare)


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
