"""What the digit models are, and the batches they learn from."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from ostinato.model.decoders import Ctc
from ostinato.model.layers import Dense, Gru, Softmax
from ostinato.model.specification import Sequential, Specification
from ostinato.pipeline.score import Errors, align, count
from ostinato.training import transcribing
from ostinato.training.batching import Batch, bucketed, pad
from ostinato.training.network import TrainableNetwork
from ostinato.training.recipes.digits.compose import FRONT_END, Example
from ostinato.training.recipes.digits.words import DIGITS, OTHER, SILENT, SYMBOLS, labels
from ostinato.training.recipes.spectrogram import Array, Rng, paced, stack, warp_matrix

GAINS = (-1.0, -0.5, 0.0, 0.5)
STACK = FRONT_END.stack
MELS = FRONT_END.mels


def specification(direction: str) -> Specification:
    """The model without its card, "uni" or "bi": about 1.2 million weights in either direction."""
    layer = Gru(272) if direction == "uni" else Gru(160, direction="bidirectional")
    layers = (layer, layer, layer, Dense(len(SYMBOLS)), Softmax())
    return Sequential(f"digits-{direction}", FRONT_END, layers, Ctc(SYMBOLS, silent=(SILENT,)))


def lean(network: TrainableNetwork, frames: Sequence[Array], said: Sequence[Sequence[int]]) -> tuple[float, float]:
    """Make blanks and other words as likely as is best for sequences of frames in which the ``said`` words are: the
    fewest errors on the best paths, by what the outputs' biases gain. Returns how much, in nats."""
    logits = transcribing.outputs(network, frames)
    wanted = [labels([word for word in one if word != OTHER]) for one in said]

    def errors(gains: tuple[float, float]) -> tuple[int, float]:
        added = np.zeros(len(SYMBOLS), np.float32)
        added[[0, -1]] = gains
        heard = [[k for k in transcribing.best_path(one + added) if k <= len(DIGITS)] for one in logits]
        counted = sum((count(align(one, other)) for one, other in zip(wanted, heard, strict=True)), Errors())
        return counted.total, sum(map(abs, gains))

    best = min(((blank, other) for blank in GAINS for other in GAINS), key=errors)
    network.parameters["dense.b"][[0, -1]] += best
    return best


def disturb(features: Array, mean: Array, rng: Rng) -> Array:
    """Log-mel features [n, mels] with another throat, tempo, microphone and noise floor; parts hidden by ``mean``.

    Cheaper than the same in samples (`augment`), and new in each epoch. Hidden parts: SpecAugment (Park et al. 2019).
    """
    tempo = float(np.exp(np.clip(rng.normal(-0.12, 0.2), -0.6, 0.3)))  # people are faster than synthesisers
    count = max(STACK, round(len(features) * tempo))
    features = paced(features, count) @ warp_matrix(float(np.exp(rng.normal(0, 0.08))), MELS)
    place = np.linspace(-1, 1, MELS)
    response = rng.normal(0, 1.3) + rng.normal(0, 1.3) * place + rng.normal(0, 0.8) * place**2
    features = features + response.astype(np.float32)
    if rng.random() < 0.35:
        floor = np.percentile(features, 95) - rng.uniform(3.0, 11.0) + rng.normal(0, 1) * place
        features = np.logaddexp(features, floor + rng.normal(0, 0.6, features.shape)).astype(np.float32)
    for _ in range(2):
        if rng.random() < 0.6:
            width = int(rng.integers(1, 9))
            first = int(rng.integers(0, MELS - width))
            features[:, first : first + width] = mean[first : first + width]
        if rng.random() < 0.3:
            first = int(rng.integers(0, len(features)))
            features[first : first + int(rng.integers(2, 11))] = mean
    return features


class Batches:
    """Batches of examples of similar length, disturbed anew in each epoch: what `fit` asks for."""

    def __init__(self, examples: Sequence[Example], mean: Array, scale: Array, size: int, seed: int) -> None:
        self.examples, self.mean, self.scale, self.size, self.seed = examples, mean, scale, size, seed
        self.lengths = [len(e.features) for e in examples]

    def __call__(self, epoch: int) -> Iterator[Batch]:
        """The batches of an epoch, the same ones each time."""
        rng = np.random.default_rng([self.seed, epoch])
        for chosen in bucketed(self.lengths, self.size, rng):
            frames = []
            for i in chosen:
                features = disturb(self.examples[i].features.astype(np.float32), self.mean, rng)
                frames.append(stack((features - self.mean) * self.scale, STACK, int(rng.integers(STACK))))
            yield Batch(*pad(frames), [labels(self.examples[i].said) for i in chosen])
