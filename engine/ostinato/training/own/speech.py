"""A user's recordings with transcripts as what a network learns from: features, and the symbols that are said."""

from __future__ import annotations

import dataclasses
import hashlib
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from ostinato.data import FORMATS
from ostinato.data.recordings import AUDIO, UNREADABLE, audio_files, files_of, transcript_beside
from ostinato.errors import InputError, OstinatoError, TrainingError
from ostinato.model.decoders import Ctc
from ostinato.model.layers import Dense, Softmax
from ostinato.model.network import Network
from ostinato.model.specification import Sequential
from ostinato.options import UTTERANCE_S
from ostinato.pipeline.score import Errors, align, count
from ostinato.pipeline.transcript import Vocabulary
from ostinato.streaming import Model
from ostinato.training import transcribing
from ostinato.training.batching import Batch, bucketed, pad
from ostinato.training.features import features
from ostinato.training.losses import CtcLoss
from ostinato.training.own.config import Audio, Config
from ostinato.training.own.frames import normalisation
from ostinato.training.own.matter import Matter, Tested
from ostinato.training.packing import Array

Samples: TypeAlias = npt.NDArray[np.float32]
Hear: TypeAlias = Callable[[Path], tuple[Samples, int]]
"""A recording's mono samples and their rate. Raises InputError, naming the file, for what is none."""
MOST_BYTES = 4 << 30
"""Of all features: three days of recordings, at 58 MB an hour (40 bands each 10 ms, float32)."""
UNKNOWN = -1
"""A symbol that no transcript of those learnt from has."""


@dataclass(frozen=True)
class Recording:
    """``name``: its path from where the configuration is; ``text``: its transcript, as people write it."""

    name: str
    path: Path
    text: str


def read(path: Path, beside: Path) -> list[Recording]:
    """A recording, or those in a folder and below it, each with its transcript; none if these are other data. Raises
    InputError for one without a transcript, and for a folder that has other data too."""
    files = audio_files(path) if path.is_dir() else [path] if path.suffix.lower() in AUDIO | UNREADABLE else []
    if not files:
        return []
    if path.is_dir() and (other := _other_data(path, files)) is not None:
        raise InputError(
            f"{_name(other, beside)} is no recording's, and {_name(files[0], beside)} is a recording: give folders "
            "with one kind of data"
        )
    found = []
    for file in files:
        name, text = _name(file, beside), transcript_beside(file)
        if text is None:
            raise InputError(
                f"{name} has no transcript: write what is said in it into {file.stem}.txt beside it, or take it away"
            )
        found.append(Recording(name, file, text))
    return found


def _other_data(folder: Path, recordings: Sequence[Path]) -> Path | None:
    """A file of data that is about none of the recordings; one.txt and one.words.tsv are about one.wav."""
    known = {(each.parent, each.stem) for each in recordings}
    for path in files_of(folder, FORMATS):
        parts = path.name.split(".")
        if not any((path.parent, ".".join(parts[:n])) in known for n in range(1, len(parts))):
            return path
    return None


def _name(path: Path, beside: Path) -> str:
    return str(path.relative_to(beside) if path.is_relative_to(beside) else path)


class Clips:
    """Recordings to learn from, or to judge by: of each the ``frames`` [T, size], normalised, and the symbols
    ``said``."""

    def __init__(self, frames: Sequence[Array], said: Sequence[Sequence[int]]) -> None:
        self.frames, self.said = frames, said
        self.lengths = [len(each) for each in frames]

    def batches(self, size: int, seed: int, epoch: int | None) -> Iterator[Batch]:
        """As `matter.Examples`. Of symbols that are unknown there is no loss."""
        random = None if epoch is None else np.random.default_rng([seed, epoch])
        for chosen in bucketed(self.lengths, size, random):
            labels = [np.array([k for k in self.said[i] if k != UNKNOWN], np.int64) for i in chosen]
            yield Batch(*pad([self.frames[i] for i in chosen]), labels)

    def digest(self) -> str:
        """As `matter.Examples`."""
        found = hashlib.sha256()
        for frames, said in zip(self.frames, self.said, strict=True):
            found.update(frames.tobytes() + b"|" + np.array(said, np.int64).tobytes() + b"|")
        return found.hexdigest()


def matter(
    config: Config,
    hear: Hear,
    learning: Sequence[Recording],
    judged_by: Sequence[Recording],
    test: Sequence[Recording],
) -> Matter:
    """Of recordings. Raises InputError and TrainingError for what does not fit."""
    loss = config.learning.loss or CtcLoss()
    if loss != CtcLoss():
        raise TrainingError(f"learning.loss: {loss.kind} does not fit transcripts: leave it out, it is ctc (blank 0)")
    decoder = _decoder(config.audio, learning)
    known = Vocabulary(decoder)
    said = [[_symbols(each, decoder, known) for each in some] for some in (learning, judged_by, test)]
    heard = _Heard(config.audio, hear)
    frames = [[heard(each) for each in some] for some in (learning, judged_by)]
    for each in test:
        hear(each.path)  # what is wrong with it is told before anything is learnt
    settings = config.audio.front_end
    mean, scale = normalisation([each.reshape(-1, settings.mels) for each in frames[0]])
    for each_frames in (*frames[0], *frames[1]):
        each_frames -= np.tile(mean, settings.stack)
        each_frames *= np.tile(scale, settings.stack)
    seen, held = (Clips(*each) for each in zip(frames, said, strict=False))
    layers = [*config.layers, Dense(len(decoder.symbols)), Softmax()]
    return Matter(
        Sequential(config.name, settings, layers, decoder, description=config.description, licence=config.licence),
        loss,
        seen,
        held,
        f"transcripts in {len(decoder.symbols) - 1} different {config.audio.unit}s",
        f"{sum(seen.lengths) * settings.frame_ms / 60_000:.1f} min of recordings",
        False,
        (lambda network: _tested(network, test, config.audio, hear)) if test else None,
        {"front_end.mean": mean, "front_end.scale": scale},
        lambda network: transcribing.errors(network, held.frames, held.said).rate,
    )


def _decoder(audio: Audio, learning: Sequence[Recording]) -> Ctc:
    """Its symbols are those of the transcripts, read as ``ostinato evaluate`` reads them."""
    separator = "" if audio.unit == "character" else " "
    plain = Vocabulary(Ctc(("", " ") if audio.unit == "character" else ("",), separator=separator))
    return Ctc(("", *sorted({symbol for each in learning for symbol in plain.read(each.text)})), separator=separator)


def _symbols(recording: Recording, decoder: Ctc, known: Vocabulary) -> list[int]:
    said = known.read(recording.text)
    if not said:
        raise InputError(
            f"{recording.name}: nothing is said, by its transcript: write what is said into "
            f"{recording.path.stem}.txt, or take the recording away"
        )
    at = {symbol: number for number, symbol in enumerate(decoder.symbols) if number != decoder.blank}
    return [at.get(symbol, UNKNOWN) for symbol in said]


class _Heard:
    """Features of recordings, as the model's front end makes them, not normalised; no more than `MOST_BYTES`."""

    def __init__(self, audio: Audio, hear: Hear) -> None:
        self._settings, self._hear, self._bytes = dataclasses.replace(audio.front_end, normalise=False), hear, 0

    def __call__(self, recording: Recording) -> Samples:
        samples, rate = self._hear(recording.path)
        try:
            found = features(self._settings, samples, rate)
        except OstinatoError as error:
            raise InputError(f"{recording.name}: {error}") from error
        if not len(found):
            needed = self._settings.window_ms + (self._settings.stack - 1) * self._settings.hop_ms
            raise InputError(
                f"{recording.name} lasts {1e3 * len(samples) / rate:.0f} ms, a frame {needed:.0f}: take it away"
            )
        self._bytes += found.nbytes
        if self._bytes > MOST_BYTES:
            raise InputError(
                f"with {recording.name} features take over {MOST_BYTES >> 30} GiB: give fewer recordings, or less of "
                "them (audio.mels, audio.hop_ms)"
            )
        return found


def _tested(network: Network, recordings: Sequence[Recording], audio: Audio, hear: Hear) -> Tested:
    """Through the model's own stream, counted as ``ostinato evaluate`` counts."""
    model, total = Model(network), Errors()
    decoder: Any = network.specification.heads[0].decoder
    known = Vocabulary(decoder)
    for each in recordings:
        samples, rate = hear(each.path)
        longest = max(UTTERANCE_S, math.ceil(len(samples) / rate) + 1.0)
        with model.stream(sample_rate=rate, max_utterance_s=longest) as stream:
            events = [*stream.push(samples), *stream.flush()]
        heard = known.heard([event.text for event in events if event.kind == "symbol"])
        total += count(align(known.read(each.text), heard))
    return Tested(total.rate, total.symbols, f"share of {audio.unit}s that is wrong")
