"""What synthetic voices that nothing was learnt from are heard through: the test, and what it found.

Each speaker that is kept apart for tests (`voice.Voice.part`) says with one voice of each synthesiser the ten
digits one by one, strings of them, and other words, as in `sentences`. Each is heard under every condition, with
0.3 s of quiet around; other words one after the other, with pauses. Noise is so much under the power of the louder
half of what is heard.

    python -m ostinato.training.recipes.digits.conditions MODEL FOLDER [PACKAGE…]

tests a model file, or a bundled model, by the voices that have spoken into FOLDER, and by recordings of people in
unpacked packages (`real`), a clone of the Free Spoken Digit Dataset among them, and prints what results.json has.
"""

from __future__ import annotations

import json
import sys
import zlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ostinato.model.network import Network
from ostinato.streaming import Model, load
from ostinato.training.recipes.digits import augment, clips, evaluation, real, voices
from ostinato.training.recipes.digits.augment import RATE, Rng, Samples
from ostinato.training.recipes.digits.words import OTHER
from ostinato.training.recipes.recipe import Progress

Heard = Callable[[Samples, Samples, Rng], tuple[Samples, int]]
"""What becomes of samples at 16 kHz, while another voice says other samples: samples, and their rate."""

CLEAN, PEOPLE = "clean", "people"

CONDITIONS: Mapping[str, Heard] = {
    CLEAN: lambda said, other, rng: (augment.add_noise(said, _white(len(said), rng), 50.0), RATE),
    "noise 10 dB": lambda said, other, rng: (augment.add_noise(said, augment.noise(len(said), rng), 10.0), RATE),
    "room and noise 15 dB": lambda said, other, rng: (
        augment.add_noise(augment.room(said, rng), augment.noise(len(said), rng), 15.0),
        RATE,
    ),
    "telephone": lambda said, other, rng: (augment.resample(augment.telephone(said, rng), RATE, 8000), 8000),
    "another voice 10 dB": lambda said, other, rng: (
        augment.add_noise(said, np.resize(other, len(said)), 10.0),
        RATE,
    ),
}
WAYS: Mapping[str, Sequence[tuple[str, float | None, float | None]]] = {
    "unidirectional": (("at once", None, None),),
    "bidirectional": (("look-ahead 300 ms", 120.0, 300.0), ("after the utterance", None, None)),
}
"""How a model of each direction is asked: a name, and ``block_ms`` and ``lookahead_ms`` of its streams."""
EDGE = int(0.3 * RATE)
PAUSE = int(0.2 * RATE)


def _white(count: int, rng: Rng) -> Samples:
    return np.asarray(rng.standard_normal(count), np.float32)


def testing(folder: Path, seed: int) -> list[Path]:
    """The files of the voices to test by: the first one of each speaker and synthesiser that has spoken."""
    first: dict[tuple[str, str], Path] = {}
    for voice in voices.all_voices(voices.SYNTHESISERS, seed):
        path = folder / "testing" / f"{voice.name}.npz"
        if voice.part == "testing" and path.exists():
            first.setdefault((voice.synthesiser, voice.speaker or voice.name), path)
    return list(first.values())


def items(paths: Sequence[Path], condition: str, seed: int = 7) -> list[real.Item]:
    """What is to be recognised of voices: single digits, strings, and all other words as one item without digits."""
    made = []
    spoken = [clips.load(path) for path in paths]
    for n, (path, own) in enumerate(zip(paths, spoken, strict=True)):
        rng = np.random.default_rng([seed, zlib.crc32(f"{path.stem} {condition}".encode())])
        other, talk = (
            [np.pad(c.samples, (0, PAUSE)) for c in some if set(c.said) == {OTHER}] for some in (spoken[n - 1], own)
        )
        said = [(c.said, c.samples) for c in own if OTHER not in c.said]
        said += [((), np.concatenate(talk))] if talk else []
        for digits, samples in said:
            heard, rate = CONDITIONS[condition](np.pad(samples, EDGE), np.concatenate(other), rng)
            kind: real.Kind = ("other", "isolated")[len(digits)] if len(digits) < 2 else "string"
            level = 0.5 / max(float(np.abs(heard).max(initial=0.0)), 1e-6)
            made.append(real.Item(path.stem, kind, digits, (heard * level).astype(np.float32), rate))
    return made


Found = dict[str, dict[str, evaluation.Report]]
"""By the way that a model was asked, what it heard under each condition, and of people."""


def test(
    network: Network, paths: Sequence[Path], people: Sequence[real.Item], progress: Progress | None = None
) -> Found:
    """Let the network hear voices (of these files) and people, in all ways that it can be asked."""
    model = Model(network)
    sets = {condition: items(paths, condition) for condition in CONDITIONS} if paths else {}
    return {
        name: {
            which: evaluation.evaluate(model, some, progress, block_ms=block, lookahead_ms=ahead)
            for which, some in ({PEOPLE: people} | sets).items()
        }
        for name, block, ahead in WAYS[network.specification.direction]
    }


def figures(found: Found, paths: Sequence[Path]) -> dict[str, Any]:
    """For results.json: what share of digits was wrong, and how many were heard in a minute of other words. Of
    people, without those that choose a checkpoint."""
    ways = {name: {which: _figures(one) for which, one in under.items()} for name, under in found.items()}
    return {"voices": [path.stem for path in paths], "ways": ways}


def _figures(report: evaluation.Report) -> dict[str, Any]:
    fair = [r for r in report.results if r.kind != "other" and r.voice not in real.SELECTION]
    return {
        "digits": sum(r.digits for r in fair),
        "voices": len({r.voice for r in fair}),
        "wrong": report.error_rate(),
        "interval": report.interval(),
        "false_per_minute": report.false_per_minute(),
        "other_seconds": sum(r.seconds for r in report.results if r.kind == "other"),
    }


def main() -> None:
    """Print the figures of a model as JSON."""
    name, folder, *packages = sys.argv[1:]
    fsdd = next((Path(package) for package in packages if any(Path(package).glob("recordings/*.wav"))), None)
    people = real.items(real.recordings([Path(package) for package in packages], fsdd))
    model, paths = load(name), testing(Path(folder), 1)
    found = test(model.network, paths, people)
    print(json.dumps({"model": model.name} | figures(found, paths), indent=1))


if __name__ == "__main__":
    main()
