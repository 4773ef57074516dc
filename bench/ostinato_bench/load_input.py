"""What the streams of a load send: a user's own data, or noise, in chunks that come at the model's pace."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ostinato.data import FORMATS, Utterance, read
from ostinato.errors import InputError
from ostinato.model.front_ends import Frames, FrontEnd, Tokens
from ostinato_client import FileSource

CHUNK_MS = 40.0
SAMPLE_RATE = 16000
CHUNKS = 64
"""Of noise; then it begins anew."""


@dataclass(frozen=True)
class LoadInput:
    """``file`` holds it for the client: an array int16 [samples] or float32 [frames, size] (.npy), or a list of texts
    (.json). A chunk is ``units`` of it, or a text, every ``chunk_ms``. ``about`` says what it is."""

    file: str
    units: int
    chunk_ms: float
    sample_rate: int | None
    about: str


def load_input(front_end: FrontEnd, data: Path | None, chunk_ms: float | None, folder: Path, model: str) -> LoadInput:
    """What streams of a model with this front end send: what ``data`` (a file or a folder) holds, one utterance after
    the other, or noise. A chunk is of ``chunk_ms`` in whole frames, of text a token. Writes its file into ``folder``.

    Raises InputError for data that the model cannot take.
    """
    span = CHUNK_MS if chunk_ms is None else chunk_ms
    if isinstance(front_end, Tokens):
        texts = _noise_of_tokens(front_end) if data is None else _pieces(front_end, data, model)
        file = folder / "input.json"
        file.write_text(json.dumps(texts), encoding="utf-8")
        return LoadInput(str(file), 1, span, None, _about(data, "tokens", len(texts)))
    file = folder / "input.npy"
    if isinstance(front_end, Frames):
        units = max(1, round(span / front_end.frame_ms))
        rng = np.random.default_rng(0)
        frames = (
            rng.normal(size=(CHUNKS * units, front_end.size)).astype(np.float32)
            if data is None
            else np.concatenate(list(_frames(front_end, data, model)))
        )
        np.save(file, frames)
        return LoadInput(str(file), units, units * front_end.frame_ms, None, _about(data, "frames", len(frames)))
    rate, sound = SAMPLE_RATE, _noise(int(CHUNKS * SAMPLE_RATE * span / 1000))
    if data is not None:
        with FileSource(data, realtime=False) as recording:
            rate, sound = recording.sample_rate, (recording.read() * 32767).astype(np.int16)
    np.save(file, sound)
    return LoadInput(str(file), max(1, int(rate * span / 1000)), span, rate, _about(data, "samples", len(sound)))


def _about(data: Path | None, what: str, count: int) -> str:
    return f"random {what}, as no data were given" if data is None else f"{count:,} {what} of {data.name}, in turns"


def _noise(samples: int) -> npt.NDArray[np.int16]:
    return (np.random.default_rng(0).normal(size=samples) * 2000).astype(np.int16)


def _noise_of_tokens(front_end: Tokens) -> list[str]:
    words = [front_end.vocabulary[i] for i in np.random.default_rng(0).integers(0, len(front_end.vocabulary), CHUNKS)]
    return [f"{word} " for word in words] if front_end.in_words else words


def _utterances(data: Path, model: str) -> Iterator[Utterance]:
    """Those of a file, or of all files of a folder. Raises InputError if there are none."""
    paths = [data] if data.is_file() else sorted(p for p in data.rglob("*") if p.suffix.lower() in FORMATS)
    if not paths:
        raise InputError(f"{data.name} has no data for {model}: its files end in {', '.join(FORMATS)}")
    for path in paths:
        yield from read(path)


def _frames(front_end: Frames, data: Path, model: str) -> Iterator[npt.NDArray[np.float32]]:
    for each in _utterances(data, model):
        if isinstance(each.input, str):
            raise InputError(f"{each.name} holds text, {model} takes frames")
        if each.input.shape[1] != front_end.size:
            raise InputError(
                f"{each.name} has {each.input.shape[1]} values in a frame, {model} takes {front_end.size}"
            )
        yield each.input


def _pieces(front_end: Tokens, data: Path, model: str) -> list[str]:
    """A token each; lines stay lines."""
    pieces: list[str] = []
    for each in _utterances(data, model):
        if not isinstance(each.input, str):
            raise InputError(f"{each.name} holds frames, {model} takes text")
        pieces += [f"{word} " for word in each.input.split()] if front_end.in_words else each.input
    return pieces
