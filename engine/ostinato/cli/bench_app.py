"""``ostinato bench``: its commands and their options. What a command does is in the module that it imports."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, TypeVar

import typer

from ostinato.cli.options import LONGEST_MS, Json, ModelsFolder, Plot
from ostinato.cli.usage import App, complete_model
from ostinato.sampling import MAX_SEED

bench = App(help="Measure this machine: networks beside other engines, or a server under load.")

Named = TypeVar("Named")


@bench.command()
def kernels(
    cell: Annotated[list[str] | None, typer.Option(metavar="KIND", help="Kind of layer: rnn, gru or lstm.")] = None,
    input: Annotated[list[int] | None, typer.Option(metavar="N", min=1, max=4096, help="Size of a frame.")] = None,
    hidden: Annotated[list[int] | None, typer.Option(metavar="N", min=1, max=4096, help="Units of a layer.")] = None,
    layers: Annotated[list[int] | None, typer.Option(metavar="N", min=1, max=16, help="Number of layers.")] = None,
    direction: Annotated[
        list[str] | None, typer.Option(metavar="WAY", help="forward, or bidirectional (500 frames).")
    ] = None,
    batch: Annotated[
        list[int] | None, typer.Option(metavar="N", min=1, max=4096, help="Streams computed together.")
    ] = None,
    precision: Annotated[list[str] | None, typer.Option(metavar="TYPE", help="Of weights: float32 or int8.")] = None,
    peer: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="Another engine, such as onnxruntime.", show_default="all installed"),
    ] = None,
    json: Json = None,
    plot: Plot = None,
    quick: Annotated[bool, typer.Option("--quick", help="Fewer networks: under a minute instead of five.")] = False,
) -> None:
    """Time recurrent networks beside other engines and this processor's limits, on one thread.

    Without options a choice of networks is measured, causal convolutions, and layers over the positions of a frame;
    with options all combinations of what they name.
    """
    from ostinato.cli.bench import kernels
    from ostinato_bench import convolutions, positions
    from ostinato_bench.cells import CELLS, QUICK, grid, one_of
    from ostinato_bench.peers import NAMES

    if cell or input or hidden or layers or direction or batch or precision:
        cells = _named(lambda: grid(cell, input, hidden, layers, direction, batch, precision))
        causal: tuple[convolutions.Causal, ...] = ()
        along: tuple[positions.Along, ...] = ()
    elif quick:
        cells, causal, along = QUICK, convolutions.QUICK, positions.QUICK
    else:
        cells, causal, along = CELLS, convolutions.CONVOLUTIONS, positions.POSITIONS
    wanted = _named(lambda: [one_of(NAMES, name) for name in peer or NAMES])
    kernels(cells, causal, along, 0.8 if quick else 1.2, wanted, json, plot)


def _named(read: Callable[[], Named]) -> Named:
    """What ``read`` returns; a name that it does not know is wrong usage."""
    from ostinato.errors import InputError

    try:
        return read()
    except InputError as error:
        raise typer.BadParameter(str(error)) from error


@bench.command()
def music(
    minutes: Annotated[float, typer.Option(metavar="N", min=0.25, max=16, help="How much music, at least.")] = 12.0,
    json: Json = None,
    plot: Plot = None,
    alone: Annotated[bool, typer.Option("--alone", help="Without madmom's own programs beside.")] = False,
) -> None:
    """Find onsets and beats in music, as they happen, with bounded wait and with the whole piece, beside madmom's own
    programs for the same networks.

    Scores with known onsets and beats are rendered by fluidsynth (some seconds a piece, the first time). Then every
    way hears all of them: a minute of computing for 3 minutes of music.
    """
    from ostinato.cli.bench import music

    music(minutes, not alone, json, plot)


@bench.command()
def training(
    cell: Annotated[list[str] | None, typer.Option(metavar="KIND", help="Kind of layer: rnn, gru or lstm.")] = None,
    hidden: Annotated[
        list[int] | None, typer.Option(metavar="N", min=1, max=4096, help="Units of the layer.")
    ] = None,
    seconds: Annotated[
        float | None, typer.Option(metavar="S", min=0.1, max=600, help="For each network.", show_default="8")
    ] = None,
    json: Json = None,
    alone: Annotated[bool, typer.Option("--alone", help="Without PyTorch beside.")] = False,
    quick: Annotated[bool, typer.Option("--quick", help="Two networks, 3 seconds each.")] = False,
) -> None:
    """Time learning: frames a second of forward, backward and optimiser's step, beside PyTorch where it is installed.

    Batches of 32 sequences of 200 frames, on one thread and on two. Without --cell and --hidden a choice of networks
    is measured.
    """
    from ostinato.cli.bench import training
    from ostinato_bench.training import QUICK, SECONDS, TASKS, tasks

    chosen = _named(lambda: tasks(cell, hidden)) if cell or hidden else QUICK if quick else TASKS
    training(chosen, seconds or (3.0 if quick else SECONDS), not alone, json)


@bench.command()
def tunes(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="A model of tunes.", autocompletion=complete_model)],
    made: Annotated[int, typer.Option(metavar="N", min=2, max=100_000, help="Tunes in each way of drawing.")] = 400,
    seed: Annotated[int, typer.Option(metavar="N", min=0, max=MAX_SEED, help="Of the first.")] = 1,
    json: Json = None,
    folder: ModelsFolder = None,
) -> None:
    """Let a model make tunes, drawn more and less boldly: does music21 read them, do all bars add up?

    Some seconds for 400 tunes, and a tenth of a second each for music21 (extra `music`).
    """
    from ostinato.cli.bench import tunes

    tunes(model, made, seed, folder, json)


@bench.command()
def generation(
    seconds: Annotated[
        float | None, typer.Option(metavar="S", min=0.1, max=600, help="For each row.", show_default="12")
    ] = None,
    json: Json = None,
    alone: Annotated[bool, typer.Option("--alone", help="Without other engines beside.")] = False,
    quick: Annotated[bool, typer.Option("--quick", help="A third of the rows, 3 seconds each.")] = False,
) -> None:
    """Time how language models generate: tokens a second of 1 and of 64 streams, likeliest, drawn, by a beam of 4.

    Two GRU layers of 256 units, vocabularies of 64 and of 2,000 tokens, on one thread, beside ONNX Runtime and
    PyTorch, called a token at a time.
    """
    from ostinato.cli.bench import generation
    from ostinato_bench.generation import QUICK, SECONDS, TASKS

    generation(QUICK if quick else TASKS, seconds or (3.0 if quick else SECONDS), not alone, json)


@bench.command()
def load(
    model: Annotated[
        str,
        typer.Argument(
            metavar="MODEL",
            help="A name, a path, or random weights such as gru-2x160: 2 GRU layers of 160 units.",
            show_default="digits-uni",
            autocompletion=complete_model,
        ),
    ] = "digits-uni",
    data: Annotated[
        Path | None,
        typer.Option(
            metavar="DATA",
            help="What the streams send, at its own pace: a .npy, .npz, .csv or .txt, a folder of them, or a "
            "recording.",
            show_default="noise",
            exists=True,
        ),
    ] = None,
    chunk_ms: Annotated[
        float | None,
        typer.Option(
            metavar="MS",
            min=1.0,
            max=LONGEST_MS,
            help="How much is sent at a time; of text, a token comes so often.",
            show_default="40, a frame at least",
        ),
    ] = None,
    streams: Annotated[int, typer.Option(metavar="N", min=1, max=100_000, help="Streams at once.")] = 200,
    seconds: Annotated[float, typer.Option(metavar="S", min=1, max=86_400, help="For how long.")] = 20.0,
    workers: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            min=1,
            max=64,
            help="Processes of the server.",
            show_default="1; as many as cores from 300 streams on",
        ),
    ] = None,
    endings: Annotated[
        int,
        typer.Option(
            metavar="N",
            min=0,
            max=10_000,
            help="So many utterances of 30 s end at once midway (digits-bi).",
        ),
    ] = 0,
    find: Annotated[
        bool, typer.Option("--find", help="Search for the most streams of which 99 % of results come within 50 ms.")
    ] = False,
    json: Json = None,
    plot: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="With --find: draw latency against streams, as .png, .svg or .pdf.", dir_okay=False
        ),
    ] = None,
) -> None:
    """Time a server under many streams, paced in real time: of speech, or of your own data for your own model.

    What is measured is from sending a chunk of samples, frames or text to its result. Without --data the streams send
    noise, which takes as long.
    """
    from ostinato.cli.bench import load

    if plot is not None and not find:
        raise typer.BadParameter("--plot needs --find: it draws what the search has tried")
    load(streams, seconds, model, data, chunk_ms, workers, endings, find, json, plot)


@bench.command()
def chunk(
    model: Annotated[
        str,
        typer.Argument(
            metavar="MODEL",
            help="A name, a path, or random weights such as gru-2x256-int8.",
            show_default="digits-uni",
            autocompletion=complete_model,
        ),
    ] = "digits-uni",
    data: Annotated[
        Path | None,
        typer.Option(
            metavar="DATA", help="What the streams send, as of bench load.", show_default="noise", exists=True
        ),
    ] = None,
    chunk_ms: Annotated[
        float | None,
        typer.Option(metavar="MS", min=1.0, max=LONGEST_MS, help="How much is sent at a time.", show_default="40"),
    ] = None,
    streams: Annotated[int, typer.Option(metavar="N", min=1, max=100_000, help="Streams at once.")] = 400,
    seconds: Annotated[float, typer.Option(metavar="S", min=1, max=3600, help="Of each of four loads.")] = 10.0,
    json: Json = None,
) -> None:
    """What a chunk costs the server, by part: receiving, decoding, front end, packing, network, results, sending.

    A server under load, chunks of many streams in a message and each in its own; as it is, and with timers around its
    parts. Choose so many streams that one process holds them.
    """
    from ostinato.cli.bench import chunk

    chunk(streams, seconds, model, data, chunk_ms, json)


@bench.command()
def published(
    models: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="Of silero-vad, dtln, nsnet2, gtcrn, rnnoise.", show_default="all"),
    ] = None,
    seconds: Annotated[float, typer.Option(metavar="S", min=2, max=3600, help="Of speech for each file.")] = 60.0,
    streams: Annotated[
        int, typer.Option(metavar="N", min=1, max=4096, help="Streams of silero-vad at once, in real time.")
    ] = 200,
    json: Json = None,
    plot: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Draw noisy speech before and after, as .png, .svg or .pdf; recordings (.wav) come beside it.",
            dir_okay=False,
        ),
    ] = None,
) -> None:
    """Measure published models beside ONNX Runtime with the same files: do they give the same, and what is faster.

    Voice activity and noise removal, on speech that the bench makes itself. Files that are neither installed nor kept
    from earlier are downloaded, 60 MB in all.
    """
    from ostinato.cli.bench import published

    published(models, seconds, streams, json, plot)
