"""What the speech models are, and the batches they learn from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ostinato.model.decoders import Ctc
from ostinato.model.layers import Convolution, Dense, Gru, Layer, Softmax
from ostinato.model.specification import Sequential, Specification
from ostinato.training.batching import Batch, bucketed, pad
from ostinato.training.recipes.spectrogram import Array, Rng, paced, stack, warp_matrix
from ostinato.training.recipes.speech_cs.clips import FRONT_END, SYMBOLS, Clip

STACK, MELS = FRONT_END.stack, FRONT_END.mels


@dataclass(frozen=True)
class Making:
    """Of one model: its layers, but for the last; how long and how fast it learns, and what share it forgets."""

    layers: tuple[Layer, ...]
    steps: int
    rate: float = 1.5e-3
    dropout: float = 0.2
    recurrent_dropout: float = 0.05

    def specification(self, name: str) -> Specification:
        """The model without its card."""
        layers = (*self.layers, Dense(len(SYMBOLS)), Softmax())
        return Sequential(f"speech-cs-{name}", FRONT_END, layers, Ctc(SYMBOLS, separator=""))


MODELS: Mapping[str, Making] = {
    "uni": Making((Gru(288),) * 3, 4000),
    "bi": Making((Gru(160, direction="bidirectional"),) * 3, 11000),
    "linear": Making((Convolution(64, 9),), 800, 5e-3, 0.0, 0.0),
}
"""``linear`` is the simple one that the others are measured by: a linear function of nine frames, 270 ms."""
SMALL: Mapping[str, Making] = {
    "uni": Making((Gru(64),) * 2, 150),
    "bi": Making((Gru(40, direction="bidirectional"),) * 2, 150),
    "linear": Making((Convolution(64, 9),), 150, 5e-3, 0.0, 0.0),
}
"""Of a trial."""


def disturb(features: Array, mean: Array, rng: Rng) -> Array:
    """Log-mel features [n, mels] with quiet around, and another tempo, throat, microphone and noise floor; parts
    hidden by ``mean`` (SpecAugment: Park et al. 2019)."""
    features = np.concatenate(
        [_quiet(features, rng, int(rng.integers(0, 30))), features, _quiet(features, rng, int(rng.integers(0, 40)))]
    )
    tempo = float(np.exp(np.clip(rng.normal(0, 0.1), -0.22, 0.25)))
    features = paced(features, round(len(features) * tempo))
    features = features @ warp_matrix(float(np.exp(rng.normal(0, 0.07))), MELS)
    place = np.linspace(-1, 1, MELS)
    response = rng.normal(0, 1) + rng.normal(0, 0.7) * place + rng.normal(0, 0.5) * place**2
    features = features + response.astype(np.float32)
    if rng.random() < 0.25:
        floor = np.percentile(features, 95) - rng.uniform(4, 11) + rng.normal(0, 1) * place
        features = np.logaddexp(features, floor + rng.normal(0, 0.6, features.shape)).astype(np.float32)
    for _ in range(2):
        width = int(rng.integers(0, 9))
        first = int(rng.integers(0, MELS - width))
        features[:, first : first + width] = mean[first : first + width]
    for _ in range(max(1, len(features) // 120)):
        width, first = int(rng.integers(0, 18)), int(rng.integers(0, len(features)))
        features[first : first + width] = mean
    return features.astype(np.float32)


def _quiet(features: Array, rng: Rng, count: int) -> Array:
    """So many windows as quiet as the quietest of these."""
    loud = features.mean(axis=1)
    low = np.flatnonzero(loud <= np.percentile(loud, 8))
    quiet: Array = features[rng.choice(low, count)] + rng.normal(0, 0.1, (count, MELS)).astype(np.float32)
    return quiet


class Batches:
    """Batches of clips of similar length, disturbed anew in each epoch: what `fit` asks for."""

    def __init__(self, clips: Sequence[Clip], mean: Array, scale: Array, size: int, seed: int) -> None:
        self.clips, self.mean, self.scale, self.size, self.seed = clips, mean, scale, size, seed
        self.lengths = [len(clip.features) for clip in clips]
        self.labels = [np.array(clip.labels) for clip in clips]

    def __call__(self, epoch: int) -> Iterator[Batch]:
        """The batches of an epoch, the same ones each time."""
        rng = np.random.default_rng([self.seed, epoch])
        for chosen in bucketed(self.lengths, self.size, rng):
            frames = []
            for i in chosen:
                disturbed = disturb(self.clips[i].features, self.mean, rng)
                frames.append(stack((disturbed - self.mean) * self.scale, STACK, int(rng.integers(STACK))))
            yield Batch(*pad(frames), [self.labels[i] for i in chosen])
