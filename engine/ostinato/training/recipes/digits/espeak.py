"""Voices of espeak-ng: formant synthesis, any number of accents, variants and pitches."""

from __future__ import annotations

import functools
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ostinato.training.recipes.digits.augment import Rng, Samples
from ostinato.training.recipes.digits.voice import Voice, command, respelt, sentence
from ostinato.training.recipes.digits.words import SPELLINGS

ACCENTS = (
    "en-us", "en-us", "en-us", "en-us-nyc", "en-gb", "en-gb", "en-gb-scotland",
    "en-gb-x-gbclan", "en-gb-x-rp", "en-gb-x-gbcwmd", "en-029",
)  # fmt: skip
VARIANTS = (  # noqa: SIM905
    "Alex Alicia Andrea Andy Annie Denis Diogo Gene Gene2 Henrique Hugo Jacky Lee Marco Mario Michael Mike "
    "Nguyen adam anika antonio aunty belinda benjamin boris caleb david ed edward edward2 f1 f2 f3 f4 f5 "
    "grandma grandpa gustave iven iven2 iven3 iven4 john kaukovalta klatt klatt2 klatt3 klatt4 klatt5 klatt6 "
    "linda m1 m2 m3 m4 m5 m6 m7 m8 marcelo max michel miguel norbert pablo paul pedro quincy rob robert "
    "sandro shelby steph steph2 steph3 travis victor zac"
).split()


CHANGED = 120


def voices(rng: Rng) -> list[Voice]:
    """Each variant in one of the accents of English, some in foreign ones; then other speakers, made by changing
    variants that are learnt from."""

    def voice(n: int, accent: str, variant: str, change: int | None = None) -> Voice:
        speed, pitch = int(rng.integers(110, 230)), int(rng.integers(20, 80))
        settings = {"accent": accent, "variant": variant, "speed": speed, "pitch": pitch, "change": change}
        return Voice("espeak-ng", f"espeak-ng-{n:03d}", settings, f"espeak-ng {variant}")

    native = [(str(rng.choice(ACCENTS)), str(v)) for v in rng.permutation(np.array(VARIANTS))]
    foreign = [(language, str(v)) for language in SPELLINGS for v in rng.choice(VARIANTS, 6)]
    made = [voice(n, *kind) for n, kind in enumerate(native + foreign)]
    learnt = [each.settings["variant"] for each in made if each.part == "learning"]
    return made + [
        voice(n, str(rng.choice(ACCENTS)), str(rng.choice(learnt)), n) for n in range(len(made), len(made) + CHANGED)
    ]


def changed(variant: str, rng: Rng) -> str:
    """A variant's description with other formants, pitch, flutter and roughness: another speaker's."""
    size, height = np.exp(rng.normal(0, 0.08)), np.exp(rng.normal(0, 0.2))
    found: dict[str, list[float]] = {f"formant {n}": [100.0] * 3 for n in range(6)} | {"pitch": [80.0, 118.0]}
    others = []
    for line in variant.splitlines():
        name, *given = line.split() or [""]
        if name == "formant":
            found[f"formant {given[0]}"] = [float(v) for v in given[1:4]]
        elif name == "pitch":
            found[name] = [float(v) for v in given[:2]]
        elif name not in ("flutter", "roughness", ""):
            others.append(line)
    for name, values in found.items():
        if name == "pitch":
            found[name] = [v * height for v in values]
        else:
            found[name] = [
                v * each for v, each in zip(values, np.exp(rng.normal(0, [0.06, 0.25, 0.2])), strict=False)
            ]
            found[name][0] *= size
    others += [f"{name} {' '.join(str(round(v)) for v in values)}" for name, values in found.items()]
    others += [f"flutter {rng.integers(0, 15)}", f"roughness {rng.integers(0, 5)}"]
    return "\n".join(others) + "\n"


@functools.cache
def _data() -> Path:
    """Where espeak-ng has its data."""
    told = subprocess.run(["espeak-ng", "--version"], text=True, check=True, capture_output=True, timeout=60)
    return Path(told.stdout.split("Data at:")[1].strip())


def _data_with(folder: Path, variant: str) -> None:
    """In ``folder`` espeak-ng's data, with one variant, ``changed``."""
    variants = folder / "espeak-ng-data" / "voices" / "!v"
    variants.mkdir(parents=True)
    (variants / "changed").write_text(variant, encoding="utf-8")
    for each in _data().iterdir():
        if each.name != "voices":
            (folder / "espeak-ng-data" / each.name).symlink_to(each)


def speak(voice: Voice, words: Sequence[str], rng: Rng) -> tuple[Samples, int]:
    """Samples of the words, and their rate."""
    accent, variant, change = (voice.settings[name] for name in ("accent", "variant", "change"))
    speed = int(voice.settings["speed"] * rng.uniform(0.85, 1.2))
    text = sentence(respelt(words, accent), rng)
    options = ["-s", str(speed), "-p", str(voice.settings["pitch"]), "-w", "{wav}", text]
    if change is None:
        return command(["espeak-ng", "-v", f"{accent}+{variant}", *options])
    given = (_data() / "voices" / "!v" / variant).read_text(encoding="utf-8")
    with tempfile.TemporaryDirectory() as folder:
        _data_with(Path(folder), changed(given, np.random.default_rng(change)))
        return command(["espeak-ng", f"--path={folder}", "-v", f"{accent}+changed", *options])


def found() -> bool:
    """Whether it is installed."""
    return shutil.which("espeak-ng") is not None
