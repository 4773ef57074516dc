"""The clips: real speech with transcripts, as features and symbols; and which of them are kept apart."""

from __future__ import annotations

import dataclasses
import hashlib
import re
import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Literal, TypeAlias

import numpy as np
import soundfile
from numpy.typing import NDArray

from ostinato.errors import TrainingError
from ostinato.model.front_ends import LogMel
from ostinato.training.corpora import fillets
from ostinato.training.features import features as by_front_end
from ostinato.training.recipes.recipe import Telling

Samples: TypeAlias = NDArray[np.float32]
Part: TypeAlias = Literal["training", "validation", "test"]

LETTERS = "aábcčdďeéěfghiíjklmnňoópqrřsštťuúůvwxyýzž"
"""Of the Czech alphabet, and those of words from abroad."""
SYMBOLS = ("", " ", *LETTERS)
"""What the models write; the first is CTC's blank."""
SPACE = 1
FRONT_END = LogMel(
    convention="kaldi", sample_rate=16000, mels=40, window_ms=25.0, hop_ms=10.0, low_hz=60.0, high_hz=7600.0,
    stack=3, stride=3, normalise=True,
)  # fmt: skip
"""What they hear: a frame each 30 ms."""
LONGEST_S = 20.0
TEST, VALIDATION = 0.10, 0.05
"""The shares of clips that are kept apart."""


@dataclass(frozen=True)
class Clip:
    """``name``: its level's and its own; ``features`` [windows of 10 ms, mels], neither normalised nor stacked;
    ``text`` in the models' characters."""

    name: str
    path: Path
    speaker: str
    features: Samples
    text: str

    @property
    def labels(self) -> list[int]:
        """Its text as symbols."""
        return [SYMBOLS.index(character) for character in self.text]

    @property
    def seconds(self) -> float:
        """How long it is."""
        return len(self.features) * FRONT_END.hop_ms / 1000


@dataclass(frozen=True)
class Clips:
    """The parts, and how many clips were left out, by the reason."""

    training: list[Clip]
    validation: list[Clip]
    test: list[Clip]
    left_out: Mapping[str, int]

    @property
    def digest(self) -> str:
        """SHA-256 of all that is learnt from and chosen by."""
        total = hashlib.sha256()
        for clip in (*self.training, *self.validation):
            total.update(clip.text.encode())
            total.update(clip.features.tobytes())
        return total.hexdigest()


def part(name: str) -> Part:
    """Where a clip of this name belongs: by the SHA-256 of the name, so by nothing that is in it."""
    place = int.from_bytes(hashlib.sha256(name.encode()).digest()[:4], "big") / 2**32
    return "test" if place < TEST else "validation" if place < TEST + VALIDATION else "training"


def plain(transcript: str) -> str:
    """A transcript in small letters, punctuation as spaces."""
    small = unicodedata.normalize("NFC", transcript.lower())
    return " ".join("".join(" " if unicodedata.category(c)[0] == "P" else c for c in small).split())


def sentences(text: str) -> list[str]:
    """The sentences of a text in small letters, without those that have other characters than the models'. Who said
    it, behind two dashes, is one too."""
    found = map(plain, re.split(r"(?<=[.!?:;])\s+|\n\s*--", text))
    return [each for each in found if each and not set(each) - set(SYMBOLS)]


def samples(path: Path) -> tuple[Samples, int]:
    """A recording's mono samples and their rate. Raises RuntimeError (soundfile's) if it cannot be read."""
    with soundfile.SoundFile(path) as file:
        read = file.read(int((LONGEST_S + 1) * file.samplerate), dtype="float32", always_2d=True)
        return read.mean(axis=1).astype(np.float32), file.samplerate


def features(heard: Samples, rate: int) -> Samples:
    """Log-mel features [n, mels] by the product's front end, resampler included."""
    return by_front_end(dataclasses.replace(FRONT_END, stack=1, stride=1, normalise=False), heard, rate)


def frames_needed(labels: Sequence[int]) -> int:
    """The fewest frames in which CTC can say them: one each, and a blank between equal neighbours."""
    return len(labels) + sum(one == other for one, other in pairwise(labels))


def read(spoken: Sequence[fillets.Spoken], telling: Telling, most: int | None = None) -> Clips:
    """The clips of a corpus; of each part the first ``most`` (None: all).

    Left out and counted are those without a transcript, with characters that are none of the models', longer than 20
    s, or of more text than CTC can align with their frames; and of the training clips those whose text is a held-out
    clip's. What cannot be read is told. Raises TrainingError if a part is left empty.
    """
    found: dict[Part, list[Clip]] = {"training": [], "validation": [], "test": []}
    left_out: Counter[str] = Counter()
    for done, each in enumerate(spoken):
        if done % 50 == 0:
            telling.progress("reading recordings", done, len(spoken))
        name = f"{each.level}/{each.path.stem}"
        if most is not None and len(found[part(name)]) >= most:
            continue
        text = plain(each.text)
        if not text:
            left_out["no transcript"] += 1
        elif set(text) - set(SYMBOLS):
            left_out["characters that the models do not write"] += 1
        else:
            try:
                heard, rate = samples(each.path)
            except (RuntimeError, OSError) as error:
                left_out["not readable"] += 1
                if telling.left_out is not None:
                    telling.left_out(each.path, error)
                continue
            clip = Clip(name, each.path, each.speaker, features(heard, rate), text)
            if clip.seconds > LONGEST_S:
                left_out[f"longer than {LONGEST_S:g} s"] += 1
            elif len(clip.features) // FRONT_END.stack < frames_needed(clip.labels):
                left_out["more text than CTC can align with so few frames"] += 1
            else:
                found[part(name)].append(clip)
    telling.progress("reading recordings", len(spoken), len(spoken))
    apart = {clip.text for held in ("validation", "test") for clip in found[held]}
    training = [clip for clip in found["training"] if clip.text not in apart]
    left_out["training clips with a held-out clip's text"] = len(found["training"]) - len(training)
    made = Clips(training, found["validation"], found["test"], {why: n for why, n in left_out.items() if n})
    for held, some in (("train", training), ("choose", made.validation), ("test", made.test)):
        if not some:
            raise TrainingError(f"no clip is left to {held} with ({_told(made.left_out)}): give more recordings")
    for why, count in made.left_out.items():
        telling.note(f"{count} clips left out: {why}")
    return made


def _told(left_out: Mapping[str, int]) -> str:
    return "; ".join(f"{count} left out: {why}" for why, count in left_out.items()) or "none was left out"
