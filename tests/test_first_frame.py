"""A model that is loaded has all its kernels: its first frame, its first text and its first beam wait for none, which
on a fresh machine would be compiled then, while all other streams of a server wait."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

FIRST = """
import sys
import numba.core.config
import numpy as np
import ostinato
from ostinato import Sampling

model = ostinato.load(sys.argv[1])
numba.core.config.DISABLE_JIT = 1  # who loads a kernel now is refused
audio, generates = sys.argv[2] == "audio", sys.argv[2] in ("generation", "pair")
for rate in (16000, 48000) if audio else (None,):
    stream = model.stream(sample_rate=rate) if audio else model.stream()
    for size in (640, 1, 4800):
        stream.push(np.zeros(size, np.int16) if audio else sys.argv[3])
    if not generates:
        stream.flush()
for sampling in (Sampling(temperature=0), Sampling(seed=1, top_k=5), Sampling(beams=3)) if generates else ():
    stream = model.stream()
    stream.push(sys.argv[3])
    print(len(list(stream.generate(sampling, longest=20))))
"""
MODELS = {
    "digits-uni": ["audio"],
    "digits-bi": ["audio"],
    "sentiment-uni": ["text", "a good film "],
    "sentiment-bi": ["text", "a good film "],
    "tunes": ["generation", "M:6/8 L:1/8 K:D |: A"],
    "phonemes-uni": ["pair", "knight"],
    "phonemes-bi": ["pair", "knight"],
}


@pytest.mark.parametrize("model", MODELS)
def test_a_loaded_model_loads_no_more_kernels(model: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", FIRST, model, *MODELS[model]],
        capture_output=True,
        text=True,
        env=os.environ,
        timeout=110,
    )
    assert done.returncode == 0, done.stderr
