"""Silero VAD: a probability of speech for every 32 ms of audio, each seen with 4 ms of what came before."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path

from ostinato.importing import onnx
from ostinato.importing.draft import Draft
from ostinato.importing.named.named import Named, decoded
from ostinato.importing.settings import Settings
from ostinato.model.decoders import SpeechActivity
from ostinato.model.front_ends import Samples
from ostinato.packages import Wheel

PACKAGE = Wheel("silero-vad", "6.2.3", "MIT")
FRONT_END = Samples(sample_rate=16000, size=576, hop=512, pad=True)


def draft(files: Mapping[str, Path], settings: Settings) -> Draft:
    """The network for 16 kHz, and starts and ends of speech as the package's VADIterator gives them."""
    (path,) = files.values()
    known = dataclasses.replace(settings, front_end=FRONT_END, name=settings.name or "silero-vad", licence="MIT")
    return decoded(onnx.draft(path, known), SpeechActivity())


MODELS = {
    "silero-vad": Named(
        "speech activity, 16 kHz",
        PACKAGE,
        ("silero_vad/data/silero_vad_openvino_16k.onnx",),
        "7776b81ad1b0350c15d7f1555943b9232eb53e9ca5d989c6d0cea9ebc8664d87",
        draft,
    )
}
