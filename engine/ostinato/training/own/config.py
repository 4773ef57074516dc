"""What is to be learnt, from what and how: a TOML file.

name = "gestures"
data = {train = ["walks", "runs.npz"], test = ["later"], held_out = 0.2}
layers = [{kind = "gru", hidden = 64}]
learning = {epochs = 30, batch = 32, rate = 3e-3}
"""

from __future__ import annotations

import inspect
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from ostinato.bounded import check_json
from ostinato.errors import BadModelFileError, TrainingError, did_you_mean
from ostinato.model.front_ends import LogMel
from ostinato.model.layers import LAYERS, Layer
from ostinato.model.limits import MAX_CONTAINERS, MAX_VALUES
from ostinato.model.strict_json import decode
from ostinato.training.losses import LOSSES, Loss
from ostinato.training.optimisers import OPTIMISERS, Optimiser
from ostinato.training.schedules import SCHEDULES, Schedule, Warmup

MAX_BYTES = 1 << 20
MAX_NAME_BYTES = 200
UNFIT = '/\\:*?"<>|'
"""Characters that no file's name should have."""


@dataclass(frozen=True)
class Data:
    """Files of frames with labels or numbers, or of texts (`ostinato.data`), recordings with transcripts, or folders
    of them; beside the configuration, unless
    their paths are absolute. Without ``validation``, ``held_out`` of the training utterances are. ``labels`` names
    those of indices, or which names there are."""

    train: tuple[str, ...]
    validation: tuple[str, ...] = ()
    test: tuple[str, ...] = ()
    held_out: float = 0.1
    labels: tuple[str, ...] = ()
    frame_ms: float = 10.0


@dataclass(frozen=True)
class Text:
    """How texts are read. ``unit`` of a token, of which the ``most`` frequent are known; ``embedding``: of one.
    ``answers``: "label", of each text; "tags", a label of each token; "text", another text for each (an
    encoder-decoder, whose ``writer`` and ``keys`` are the writer's units and the values that attention compares);
    "next", none, a language model. By default labels, if there are some. ``longest``: tokens that are written."""

    unit: Literal["character", "word"] = "character"
    most: int = 5000
    lowercase: bool = False
    embedding: int = 32
    answers: Literal["label", "tags", "text", "next"] | None = None
    writer: int = 128
    keys: int = 64
    longest: int = 1024


@dataclass(frozen=True)
class Audio:
    """How recordings are heard and what is written of them. ``unit`` of a symbol. Log-mel features (Kaldi's) of
    ``mels`` bands at ``sample_rate``, to which recordings are resampled; ``stack`` of them stand side by side in a
    frame, which comes as often. ``high_hz`` is by default 7600, or 95 % of what the rate allows."""

    unit: Literal["character", "word"] = "character"
    sample_rate: int = 16000
    mels: int = 40
    window_ms: float = 25.0
    hop_ms: float = 10.0
    low_hz: float = 60.0
    high_hz: float | None = None
    stack: int = 3

    @property
    def front_end(self) -> LogMel:
        """The model's."""
        high_hz = min(7600.0, 0.475 * self.sample_rate) if self.high_hz is None else self.high_hz
        return LogMel(
            convention="kaldi", sample_rate=self.sample_rate, mels=self.mels, window_ms=self.window_ms,
            hop_ms=self.hop_ms, low_hz=self.low_hz, high_hz=high_hz, stack=self.stack, stride=self.stack,
            normalise=True,
        )  # fmt: skip


@dataclass(frozen=True)
class How:
    """``rate`` is the first of the ``schedule``, a table of `SCHEDULES` without rate and total, after ``warmup``
    steps. Each epoch ends with an evaluation; ``patience`` of them without a better one end it. The rest is as `fit`
    and `TrainableNetwork` have it."""

    epochs: int = 20
    batch: int = 32
    rate: float = 1e-3
    warmup: int = 0
    schedule: dict[str, Any] = field(default_factory=lambda: {"kind": "cosine"})
    optimiser: dict[str, Any] = field(default_factory=lambda: {"kind": "adam"})
    clip_norm: float | None = 5.0
    loss: Loss | None = None
    dropout: float = 0.0
    recurrent_dropout: float = 0.0
    own_tokens: float = 0.0
    average: float | None = None
    truncate: int | None = None
    share: int | None = 16
    workers: int | None = None
    patience: int | None = None
    seed: int = 1


@dataclass(frozen=True)
class Config:
    """See the module. ``layers`` are those below the output, which the data decide; of texts those above the
    embedding."""

    name: str
    data: Data
    layers: tuple[Layer, ...]
    learning: How = field(default_factory=How)
    text: Text = field(default_factory=Text)
    audio: Audio = field(default_factory=Audio)
    description: str = ""
    licence: str = ""

    @staticmethod
    def of(path: Path) -> Config:
        """That of a file. Raises TrainingError, naming the place, for what it cannot be, and OSError."""
        with path.open("rb") as file:
            raw = file.read(MAX_BYTES + 1)
        try:
            if len(raw) > MAX_BYTES:
                raise ValueError(f"over {MAX_BYTES} bytes")
            text = raw.decode()
            check_json(text, MAX_VALUES, MAX_CONTAINERS)
            values = tomllib.loads(text)
        except (ValueError, RecursionError) as error:
            raise TrainingError(f"{path.name} is no TOML: {error}") from error
        tables = {
            name: values["learning"].pop(name)
            for name in ("schedule", "optimiser")
            if isinstance(values.get("learning"), dict) and isinstance(values["learning"].get(name), dict)
        }
        try:
            made: Config = decode(Config, values, path.name, {Layer: LAYERS, Loss: LOSSES})
        except (BadModelFileError, TrainingError) as error:
            raise TrainingError(str(error)) from error
        if not _names_a_file(made.name):
            raise TrainingError(
                f"{path.name}: name = {made.name!r} is to be a file's: at most {MAX_NAME_BYTES} bytes, none of "
                f"{UNFIT}, no dot or space at either end"
            )
        how, of_text = made.learning, made.text
        for name, least, value in (
            ("learning.epochs", 1, how.epochs), ("learning.batch", 1, how.batch), ("learning.warmup", 0, how.warmup),
            ("learning.seed", 0, how.seed), ("text.most", 1, of_text.most), ("text.embedding", 1, of_text.embedding),
            ("text.writer", 1, of_text.writer), ("text.keys", 1, of_text.keys),
        ):  # fmt: skip
            if value < least:
                raise TrainingError(f"{path.name}: {name} = {value}: {least} at least")
        if not 0 <= made.data.held_out < 1:
            raise TrainingError(f"{path.name}: data.held_out = {made.data.held_out} is not from 0 up to 1")
        try:
            made.audio.front_end.check()
        except BadModelFileError as error:
            raise TrainingError(f"{path.name}: audio: {str(error).removeprefix('front_end: ')}") from error
        how.schedule.update(tables.get("schedule", {}))
        how.optimiser.update(tables.get("optimiser", {}))
        made.optimiser(1)
        return made

    def optimiser(self, total: int) -> Optimiser:
        """That of a run of ``total`` steps. Raises TrainingError for settings that are none."""
        how = self.learning
        given = {"rate": how.rate, "total": max(1, total - how.warmup)}
        table = dict(how.schedule)
        kind = _known("schedule", table.pop("kind", None), SCHEDULES)
        takes = inspect.signature(SCHEDULES[kind]).parameters
        try:
            schedule: Schedule = SCHEDULES[kind](**{name: v for name, v in given.items() if name in takes} | table)
        except TypeError as error:
            raise TrainingError(f"learning.schedule: {kind} is not so set ({error})") from error
        if how.warmup:
            schedule = Warmup(schedule, how.warmup)
        table = dict(how.optimiser)
        kind = _known("optimiser", table.pop("kind", None), OPTIMISERS)
        try:
            return OPTIMISERS[kind](schedule, clip_norm=how.clip_norm, **table)
        except TypeError as error:
            raise TrainingError(f"learning.optimiser: {kind} is not so set ({error})") from error


def _names_a_file(name: str) -> bool:
    """Whether a model and its run's folder can be called so, here and on other systems."""
    plain = name.isprintable() and not set(name) & set(UNFIT) and name.strip(". ") == name
    return plain and 0 < len(name.encode()) <= MAX_NAME_BYTES


def _known(what: str, kind: Any, table: Any) -> str:
    if not isinstance(kind, str) or kind not in table or kind == "warmup":
        raise TrainingError(
            f"learning.{what}: kind {kind!r} is not one of {', '.join(table)}{did_you_mean(str(kind), table)}"
        )
    return kind
