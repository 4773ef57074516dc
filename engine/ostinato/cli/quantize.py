"""``ostinato quantize``: a float32 model to an int8 one, and what that changes."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import typer
from rich.markup import escape

from ostinato.cli.console import err, note, out, percent, plural, size
from ostinato.cli.files import read_audio
from ostinato.cli.output_files import check_writable, write_json
from ostinato.cli.recordings import LeftOut, tell_unknown
from ostinato.data import OF_FRAMES, read, read_text
from ostinato.data.recordings import AUDIO, UNREADABLE, files_of, transcript_beside
from ostinato.errors import InputError
from ostinato.kernels.integer import MAGNITUDE
from ostinato.model import Network, write
from ostinato.model.decoders import Generation
from ostinato.model.file import SUFFIX
from ostinato.model.front_ends import Audio, Frames, Tokens
from ostinato.model.quantization import Utterance, Written, observe, quantize_for, quantized
from ostinato.model.whole_sequence import whole_sequence
from ostinato.pipeline.confidence import chance
from ostinato.pipeline.score import Errors
from ostinato.sampling import Sampling
from ostinato.streaming import Model, load
from ostinato_bench.comparison import errors_as_dict
from ostinato_bench.recognition import Spoken, Way, recognise, transcribes, vocabulary
from ostinato_bench.terminal import Table

Float32 = npt.NDArray[np.float32]
LONGEST = 1000
"""Tokens that are made of a source, to calibrate on."""


def quantize(
    name: str, data: Path, output: Path, keep: Sequence[str], folder: Path | None, json: Path | None
) -> None:
    """Write the int8 model and show its size, its inputs' ranges, and how far its outputs are from float32's.

    A file of a folder that cannot be used is left out, and the command then ends with 1.
    """
    check_writable(output, (SUFFIX,))
    check_writable(json)
    model = load(name, folders=[] if folder is None else [folder])
    quantized(model.network.specification, keep)  # refuses what cannot be, before anything is read
    paths = _paths(model, data)
    left_out = LeftOut(data)
    with err.status("…") as status:
        utterances, used = [], []
        for done, path in enumerate(paths, 1):
            status.update(f"[dim]{done} of {len(paths)} files read[/]")
            if data.is_file():
                utterances += _utterances(model, path)
                used.append(path)
                continue
            with left_out.trying(path):
                utterances += _utterances(model, path)
                used.append(path)
        if not used:
            left_out.finish(len(paths))
        status.update("[dim]calibrating[/]")
        observed = observe(model.network, utterances)
        made = quantize_for(model.network, observed, keep)
        frames = sum(len(each.source if isinstance(each, Written) else each) for each in utterances)
        source = f"{model.name} ({model.network.digest[:16]})"
        heard = f"{plural(frames, 'frame')} of {plural(len(used), 'file')}"
        about = f"Made by `ostinato quantize` from {source}, calibrated on {heard}."
        about += f" In float32 as they were: {', '.join(keep)}." * bool(keep)
        # What was tested, and found, is not this model.
        card = {f"{heading}, of the float32 model": text for heading, text in made.specification.card.items()}
        card["int8"] = f"{about} Its own accuracy was not tested."
        made = Network(dataclasses.replace(made.specification, card=card), made.weights)
        write(output, made)
        status.update("[dim]comparing[/]")
        figures: dict[str, Any] = {"model": made.specification.name, "frames": frames, "files": len(used)}
        figures["bytes"] = {"float32": model.network.nbytes, "int8": made.nbytes}
        figures["inputs"] = _inputs(made, observed)
        figures["outputs"] = _differences(model.network, made, utterances)
        figures["errors"] = _errors(model, Model(made), used, left_out)
        figures["left_out"] = left_out.as_dict()
    note(f"written: {output}")
    write_json(json, figures)
    out.print(_inputs_table(figures["inputs"]))
    out.print()
    out.print(_summary(figures))
    left_out.finish(len(paths))


def _paths(model: Model, data: Path) -> list[Path]:
    """The files to calibrate on: ``data`` itself, or those below it that the model can read."""
    front = model.reader.specification.front_end
    suffixes = AUDIO | UNREADABLE if isinstance(front, Audio) else {".txt"} if isinstance(front, Tokens) else set()
    if model.writer is None or isinstance(front, Frames):  # a source is pushed, as the front end takes it
        suffixes = {*suffixes, *OF_FRAMES}
    if data.is_file():
        if data.suffix.lower() in suffixes:
            return [data]
        found = []
    else:
        found = files_of(data, suffixes)
    if not found:
        ends = ", ".join(sorted(suffixes - UNREADABLE))
        raise typer.BadParameter(
            f"{data} has nothing that {model.name} reads: its files end in {ends}", param_hint="--calibrate"
        )
    return found


def _utterances(model: Model, path: Path) -> list[Utterance]:
    """What the model's front end makes of a file, at least one frame; those of `ostinato.data` hold what a model of
    ready frames is given, and of other models frames as they are. Of a model with an encoder each line of a text is
    a source.

    Raises InputError, OSError.
    """
    ready = isinstance(model.reader.specification.front_end, Frames)
    width = model.reader.specification.front_end.frame_size if ready else model.front_end.frame_size
    if path.suffix.lower() in OF_FRAMES:
        found: list[Utterance] = []
        for one in read(path):
            if isinstance(one.input, str):
                if not isinstance(model.reader.specification.front_end, Tokens):
                    raise InputError(f"{one.name} is text, {model.name} takes numbers [frames, {width}]")
                found.append(_frames(model, one.input, None))
                continue
            if one.input.shape[1] != width:
                raise InputError(
                    f"{one.name} holds {list(one.input.shape)}, {model.name} takes numbers [frames, {width}]"
                )
            if model.writer is not None:
                found.append(_written(model, one.input))
            else:
                found.append(_frames(model, one.input.astype(np.float32), None) if ready else one.input)
        return found
    contents: list[Any]
    rate = None
    if path.suffix.lower() != ".txt":
        content, rate = read_audio(path)
        contents = [content]
    elif model.writer is None:
        contents = [read_text(path)]
    else:
        contents = [line for line in read_text(path).splitlines() if line.strip()]
    if model.writer is not None:
        found = [_written(model, content, rate) for content in contents]
    else:
        found = [_frames(model, content, rate) for content in contents]
    if not found or not all(len(each.source if isinstance(each, Written) else each) for each in found):
        raise InputError(f"{str(path)!r} is too short: it does not make a single frame for {model.name}")
    return found


def _frames(model: Model, content: Any, rate: int | None) -> Float32:
    state = model.front_end.start(rate)
    parts = [model.front_end.step(state, model.front_end.check(content)), model.front_end.flush(state)]
    made: Float32 = np.concatenate(parts)
    return made


def _written(model: Model, content: Any, rate: int | None = None) -> Written:
    """A source, and the likeliest text that the model makes of it."""
    with model.stream(sample_rate=rate) as stream:
        settings = stream.head.settings
        assert isinstance(settings, Generation)
        stream.push(content)
        text = stream.generate(Sampling(temperature=0), min(LONGEST, settings.longest))
        tokens = [settings.start, *(event.index for event in text if event.kind == "token")]
    return Written(_frames(model, content, rate), np.array(tokens, np.float32)[:, None])


def _inputs(made: Network, observed: dict[str, Float32]) -> dict[str, dict[str, float]]:
    """By matrix: the largest input that has an integer, and the share of those observed that are larger."""
    found = {}
    for name, values in observed.items():
        if f"{name}_input_scale" in made.weights:
            scale = float(made.weights[f"{name}_input_scale"][0])
            beyond = float((np.abs(values) > (MAGNITUDE + 0.5) * scale).mean())
            found[name] = {"up_to": round(MAGNITUDE * scale, 4), "clipped": round(beyond, 6)}
    return found


def _differences(before: Network, after: Network, utterances: list[Utterance]) -> dict[str, dict[str, float | None]]:
    """How far apart the outputs of each head, by its name, are over all frames."""
    heads, frames = before.specification.heads, 0
    total, largest, same = (np.zeros(len(heads)) for _ in range(3))
    for utterance in utterances:
        source, read = utterance if isinstance(utterance, Written) else (None, utterance)
        if not len(read):
            continue
        frames += len(read)
        both = (whole_sequence(network, read, source) for network in (before, after))
        for i, (a, b) in enumerate(zip(*both, strict=True)):
            distance = np.abs(a.astype(np.float64) - b)
            largest[i] = max(largest[i], distance.max())
            total[i] += distance.mean(axis=1).sum()
            same[i] += (a.argmax(axis=1) == b.argmax(axis=1)).sum()
    found: dict[str, dict[str, float | None]] = {}
    for i, head in enumerate(heads):
        # Of one output alone, the greatest is always the same, which tells nothing.
        several = before.specification.wires[head.node].size > 1
        found[head.name] = {
            "mean": float(total[i] / frames),
            "largest": float(largest[i]),
            "same_greatest": float(same[i] / frames) if several else None,
        }
    return found


def _errors(before: Model, after: Model, paths: list[Path], left_out: LeftOut) -> dict[str, Any] | None:
    """Both models' errors in how many symbols, if they have a head that transcribes, and there are transcripts. A bad
    transcript is left out here, though the recording has calibrated."""
    head = next((name for name in before.heads.all if transcribes(before, name)), None)
    if head is None:
        return None
    spoken = []
    for path in paths:
        if path.suffix.lower() in AUDIO:
            with left_out.trying(path):
                text = transcript_beside(path)
                spoken += [] if text is None else [Spoken(path, text, read_audio)]
    tell_unknown({before.name: vocabulary(before, head)}, {one.path: one.transcript for one in spoken}, left_out)
    ways = [Way("float32", before, None, head), Way("int8", after, None, head)]
    errors = [[one.errors for one in results] for results in recognise(ways, spoken, left_out.add)]
    symbols = sum(errors[0], Errors()).symbols
    if not symbols:
        return None
    return {
        "symbols": symbols,
        "p": chance(*errors),
        **{way.name: errors_as_dict(each) for way, each in zip(ways, errors, strict=True)},
    }


def _inputs_table(inputs: dict[str, dict[str, float]]) -> Table:
    listing = Table("int8 matrix", "inputs up to", "clipped", right=("inputs up to", "clipped"))
    for name, found in inputs.items():
        listing.add_row(escape(name), f"{found['up_to']:.3g}", f"{found['clipped']:.3%}")
    return listing


def _summary(figures: dict[str, Any]) -> Table:
    outputs, errors = figures["outputs"], figures["errors"]
    listing = Table("", "float32", "int8", right=("float32", "int8"))
    listing.add_row("weights", *(size(figures["bytes"][precision]) for precision in ("float32", "int8")))
    if errors is not None:
        both = errors["float32"], errors["int8"]
        listing.add_row(f"errors in {errors['symbols']} words", *(str(each["errors"]) for each in both))
        listing.add_row("error rate, 95 % interval", *(percent(each["interval_95"]) for each in both))
    for name, found in outputs.items():
        whose = f"head {escape(name)}: " if len(outputs) > 1 else ""
        if found["same_greatest"] is not None:
            listing.add_row(f"{whose}frames with the same greatest output", "", f"{found['same_greatest']:.2%}")
        listing.add_row(f"{whose}difference of outputs, mean", "", f"{found['mean']:.2g}")
        listing.add_row(f"{whose}difference of outputs, largest", "", f"{found['largest']:.2g}")
    return listing
