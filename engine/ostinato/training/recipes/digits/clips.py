"""What voices have said: clips, and the file that keeps those of a voice."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ostinato.errors import TrainingError
from ostinato.training.recipes.digits.augment import Samples


@dataclass(frozen=True)
class Clip:
    """Something spoken: samples at 16 kHz without the silence around, and the words in it: digits, `words.OTHER`."""

    samples: Samples
    said: tuple[int, ...]


def written(said: Sequence[int]) -> str:
    """Words as files have them: a digit each, ``a`` for another word."""
    return "".join(f"{word:x}" for word in said)


def read(text: str) -> tuple[int, ...]:
    """What `written` wrote."""
    return tuple(int(word, 16) for word in text)


def save(path: Path, clips: Sequence[Clip]) -> None:
    """Write clips as one .npz: 16-bit samples in a row, where each ends, and the words of each as text."""
    samples = np.concatenate([np.clip(c.samples * 32767, -32768, 32767).astype(np.int16) for c in clips])
    ends = np.cumsum([len(c.samples) for c in clips])
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial.npz")
    np.savez(partial, samples=samples, ends=ends, said=np.array([written(c.said) for c in clips]))
    partial.rename(path)


@contextmanager
def stored(path: Path) -> Iterator[Mapping[str, Any]]:
    """The arrays of a file that the recipe has written before. Raises TrainingError if it is damaged."""
    try:
        with path.open("rb") as raw, np.load(raw, allow_pickle=False) as file:
            yield file
    except (ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise TrainingError(f"{path} is damaged ({error}): delete it, and it is made anew") from error


def load(path: Path) -> list[Clip]:
    """Read what `save` wrote."""
    with stored(path) as file:
        pieces = np.split(file["samples"].astype(np.float32) / 32768, file["ends"][:-1])
        return [Clip(p, read(str(s))) for p, s in zip(pieces, file["said"], strict=True)]
