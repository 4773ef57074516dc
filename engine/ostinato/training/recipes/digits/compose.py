"""Utterances from spoken clips: digits with pauses, other words, noise; heard through rooms, telephones and noise.

No two voices meet in one utterance, but for the murmur of others in the background. An utterance's features are those
of the product's front end, before normalisation and stacking, so that both can be chosen at training.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Iterable, Sequence
from concurrent.futures import as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from ostinato import children
from ostinato.model.front_ends import LogMel
from ostinato.training.features import features as by_front_end
from ostinato.training.recipes.digits import augment, clips
from ostinato.training.recipes.digits.augment import RATE, Rng, Samples
from ostinato.training.recipes.digits.clips import Clip
from ostinato.training.recipes.digits.words import OTHER
from ostinato.training.recipes.recipe import Progress

Features: TypeAlias = NDArray[np.float32]

FRONT_END = LogMel(
    convention="kaldi", sample_rate=RATE, mels=40, window_ms=25.0, hop_ms=10.0, low_hz=60.0, high_hz=3800.0,
    stack=3, stride=3, normalise=True,
)  # fmt: skip
"""What the models hear: up to 3.8 kHz, so that recordings at 8 kHz sound the same; 30 ms per frame."""

SHARES = {
    "kokorojs": 0.36,
    "kokoro": 0.10,
    "piper": 0.05,
    "hibari": 0.03,
    "pico": 0.12,
    "flite": 0.09,
    "festival": 0.03,
    "espeak-ng": 0.22,
}
"""How often each synthesiser is heard: the natural ones more often than their number of voices would give."""


@dataclass(frozen=True)
class Speaker:
    """What one voice has said: single digits, strings of them, other words, and digits among these."""

    name: str
    words: list[Clip]
    strings: list[Clip]
    talk: list[Clip]
    mixed: list[Clip]

    @staticmethod
    def load(path: Path) -> Speaker:
        """Read one voice's file."""
        spoken: tuple[list[Clip], ...] = ([], [], [], [])
        for clip in clips.load(path):
            kinds = {word == OTHER for word in clip.said}
            spoken[3 if len(kinds) > 1 else 2 if kinds == {True} else len(clip.said) > 1].append(clip)
        return Speaker(path.stem, *spoken)


@dataclass(frozen=True)
class Example:
    """An utterance as the network meets it: log-mel features [frames of 10 ms, mels], and its words (`Clip`)."""

    features: Features
    said: tuple[int, ...]

    @property
    def digits(self) -> tuple[int, ...]:
        """Those of its words that are."""
        return tuple(word for word in self.said if word != OTHER)


def features(samples: Samples) -> Features:
    """Log-mel features [n, mels] of samples at 16 kHz, neither normalised nor stacked, by the product's front end."""
    return by_front_end(dataclasses.replace(FRONT_END, stack=1, stride=1, normalise=False), samples)


def _pause(rng: Rng) -> int:
    """Samples of a pause between two words: none to long."""
    low, high = [(0.0, 0.03), (0.03, 0.25), (0.2, 0.6), (0.5, 1.4)][int(rng.choice(4, p=[0.25, 0.3, 0.3, 0.15]))]
    return int(rng.uniform(low, high) * RATE)


def _pick(these: Sequence[Clip], rng: Rng) -> Clip:
    return these[int(rng.integers(len(these)))]


def say(speaker: Speaker, rng: Rng) -> list[Clip]:
    """What the speaker says in one utterance: strings, single digits, digits among other words, others, nothing."""
    kind = rng.choice(
        ["string", "words", "mixed", "among", "talk", "nothing"], p=[0.32, 0.34, 0.08, 0.08, 0.14, 0.04]
    )
    if kind == "string":
        return [_pick(speaker.strings, rng) for _ in range(1 + (rng.random() < 0.25))]
    if kind == "words":
        count = 1 if rng.random() < 0.3 else int(rng.integers(2, 8))
        return [_pick(speaker.words, rng) for _ in range(count)]
    if kind == "mixed":
        said = [_pick(speaker.words, rng) for _ in range(int(rng.integers(1, 4)))]
        said += [_pick(speaker.talk, rng) for _ in range(int(rng.integers(1, 3)))]
        return [said[i] for i in rng.permutation(len(said))]
    if kind == "among":
        return [_pick(speaker.mixed, rng) for _ in range(int(rng.integers(1, 3)))]
    if kind == "talk":
        return [_pick(speaker.talk, rng) for _ in range(int(rng.integers(1, 4)))]
    return []


def _silence(rng: Rng, longest: float) -> int:
    """Samples before or after the speech. Often next to none after it: so a model learns not to wait for more."""
    return int((rng.uniform(0.0, 0.06) if rng.random() < 0.25 else rng.uniform(0.05, longest)) * RATE)


def join(said: Sequence[Clip], rng: Rng) -> Samples:
    """The clips one after another with pauses, silence before and after; at least 0.4 s."""
    pieces = [np.zeros(_silence(rng, 0.9), np.float32)]
    gated = rng.random() < 0.3
    for n, clip in enumerate(said):
        samples = augment.gate(clip.samples, rng) if gated else clip.samples
        level = 10 ** (rng.normal(0, 1.5) / 20) / max(float(np.abs(samples).max()), 1e-3)
        pieces += [np.zeros(_pause(rng) if n else 0, np.float32), samples * np.float32(level)]
    pieces.append(np.zeros(_silence(rng, 0.9), np.float32))
    joined = np.concatenate(pieces)
    wanted = int((0.4 if said else rng.uniform(0.8, 3.0)) * RATE)
    return np.pad(joined, (0, max(0, wanted - len(joined))))


def hear(samples: Samples, others: Sequence[Clip], rng: Rng) -> Samples:
    """The samples after throat, room, noise, microphone and telephone. ``others`` murmur in the background."""
    if samples.any():
        samples = augment.throat(samples, rng) if rng.random() < 0.85 else samples
        samples = augment.room(samples, rng) if rng.random() < 0.45 else samples
    if others:
        murmur = np.zeros(len(samples), np.float32)
        for clip in others:
            at = int(rng.integers(max(1, len(samples) - 1600)))
            piece = clip.samples[: len(samples) - at]
            murmur[at : at + len(piece)] += piece
        samples = augment.add_noise(samples, murmur, rng.uniform(6, 28))
    if rng.random() < 0.92:
        below = rng.uniform(3, 20) if rng.random() < 0.4 else float(np.clip(rng.normal(28, 11), 4, 60))
        samples = augment.add_noise(samples, augment.noise(len(samples), rng), below)
    samples = augment.colour(samples, rng) if rng.random() < 0.7 else samples
    samples = augment.telephone(samples, rng) if rng.random() < 0.35 else samples
    return augment.quantise(augment.loudness(samples, rng))


def example(speaker: Speaker, crowd: Sequence[Speaker], rng: Rng) -> Example:
    """A random utterance of the speaker."""
    said = say(speaker, rng)
    others = [_pick(_pick_speaker(crowd, rng).talk, rng) for _ in range(int(rng.integers(2, 7)))]
    heard = hear(join(said, rng), others if rng.random() < 0.2 else [], rng)
    return Example(features(heard), tuple(word for clip in said for word in clip.said))


def _pick_speaker(crowd: Sequence[Speaker], rng: Rng) -> Speaker:
    return crowd[int(rng.integers(len(crowd)))]


def _make_shard(path: Path, folder: Path, count: int, seed: int) -> None:
    rng = np.random.default_rng([seed, int(path.stem)])
    crowd = [Speaker.load(p) for p in sorted(folder.glob("*.npz"))]
    groups = {kind: [s for s in crowd if s.name.startswith(f"{kind}-")] for kind in SHARES}
    groups = {kind: group for kind, group in groups.items() if group}
    shares = np.array([SHARES[kind] for kind in groups])
    kinds = rng.choice(list(groups), count, p=shares / shares.sum())
    save(path, [example(_pick_speaker(groups[str(kind)], rng), crowd, rng) for kind in kinds])


def save(path: Path, examples: Sequence[Example]) -> None:
    """Write examples as one .npz: features in a row in float16, where each ends, and its words as text."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial.npz")
    np.savez(
        partial,
        features=np.concatenate([e.features for e in examples]).astype(np.float16),
        ends=np.cumsum([len(e.features) for e in examples]),
        said=np.array([clips.written(e.said) for e in examples]),
    )
    partial.rename(path)


def load(path: Path) -> list[Example]:
    """Read what `save` wrote; features stay float16."""
    with clips.stored(path) as file:
        pieces = np.split(file["features"], file["ends"][:-1])
        return [Example(p, clips.read(str(s))) for p, s in zip(pieces, file["said"], strict=True)]


def digest(examples: Iterable[Example]) -> str:
    """Of all that is in them."""
    found = hashlib.sha256()
    for each in examples:
        found.update(each.features.tobytes() + bytes(each.said))
    return found.hexdigest()


def make_shards(
    folder: Path, spoken: Path, shards: int, per_shard: int, seed: int, workers: int, progress: Progress
) -> list[Path]:
    """Write ``shards`` files of ``per_shard`` examples from what was spoken; files already there stay.

    The first is of the voices that choose, if there are any, all others of those that are learnt from.
    """
    choosing = any((spoken / "choosing").glob("*.npz"))
    folders = [spoken / ("choosing" if n == 0 and choosing else "learning") for n in range(shards)]
    paths = [folder / f"{n:04d}.npz" for n in range(shards)]
    missing = [path for path in paths if not path.exists()]
    progress("making utterances", shards - len(missing), shards)
    with children.pool(workers) as pool:
        jobs = [pool.submit(_make_shard, path, folders[int(path.stem)], per_shard, seed) for path in missing]
        for done, job in enumerate(as_completed(jobs), shards - len(missing) + 1):
            job.result()
            progress("making utterances", done, shards)
    return paths
