"""What the digit models are, and the batches they learn from."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from ostinato.model.decoders import Ctc
from ostinato.model.layers import Dense, Gru, Layer, Softmax
from ostinato.model.specification import Sequential, Specification
from ostinato.pipeline.score import Errors, align, count
from ostinato.training.batching import Batch, bucketed, pad
from ostinato.training.network import TrainableNetwork
from ostinato.training.recipes.digits.compose import FRONT_END, Example
from ostinato.training.recipes.digits.words import SYMBOLS, labels

Array: TypeAlias = NDArray[np.float32]
Rng: TypeAlias = np.random.Generator

STACK = FRONT_END.stack
MELS = FRONT_END.mels


def specification(direction: str) -> Specification:
    """The model without its card, "uni" or "bi": about 340,000 weights in either direction."""
    layers: tuple[Layer, ...]
    if direction == "uni":
        layers = (Gru(176), Gru(176), Dense(len(SYMBOLS)), Softmax())
    else:
        layers = (
            Gru(104, direction="bidirectional"),
            Gru(104, direction="bidirectional"),
            Dense(len(SYMBOLS)),
            Softmax(),
        )
    return Sequential(f"digits-{direction}", FRONT_END, layers, Ctc(SYMBOLS))


def normalisation(examples: Sequence[Example]) -> tuple[Array, Array]:
    """Mean and scale (1 / deviation) [mels] of the examples' features."""
    rows = np.concatenate([e.features for e in examples]).astype(np.float64)
    return rows.mean(axis=0).astype(np.float32), (1 / rows.std(axis=0)).astype(np.float32)


def warp_matrix(factor: float) -> Array:
    """[mels, mels]: features @ it have their mel axis stretched by ``factor``, as by another vocal tract length."""
    place = np.clip(np.arange(MELS) * factor, 0, MELS - 1)
    low = np.minimum(place.astype(int), MELS - 2)
    matrix = np.zeros((MELS, MELS), np.float32)
    matrix[low, np.arange(MELS)] = 1 - (place - low)
    matrix[low + 1, np.arange(MELS)] += place - low
    return matrix


def disturb(features: Array, mean: Array, rng: Rng) -> Array:
    """Log-mel features [n, mels] with another throat, tempo, microphone and noise floor; parts hidden by ``mean``.

    Cheaper than the same in samples (`augment`), and new in each epoch. Hidden parts: SpecAugment (Park et al. 2019).
    """
    tempo = float(np.exp(np.clip(rng.normal(-0.12, 0.2), -0.6, 0.3)))  # people are faster than synthesisers
    count = max(STACK, round(len(features) * tempo))
    rows = np.linspace(0, len(features) - 1, count)
    low = np.minimum(rows.astype(int), len(features) - 2)
    part = (rows - low)[:, None].astype(np.float32)
    features = (1 - part) * features[low] + part * features[low + 1]
    features = features @ warp_matrix(float(np.exp(rng.normal(0, 0.08))))
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


def stack(features: Array, offset: int = 0) -> Array:
    """Model frames [n // STACK, mels * STACK] of features [n, mels] from row ``offset``, as by the front end."""
    count = (len(features) - offset) // STACK
    return features[offset : offset + count * STACK].reshape(count, MELS * STACK)


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
                frames.append(stack((features - self.mean) * self.scale, int(rng.integers(STACK))))
            yield Batch(*pad(frames), [labels(self.examples[i].digits) for i in chosen])


def best_path(logits: Array) -> list[int]:
    """Digits of one sequence's outputs [T, symbols]: the best label per frame, repeats and blanks dropped."""
    path = logits.argmax(axis=1)
    return [int(k) - 1 for before, k in zip([0, *path[:-1]], path, strict=True) if k not in (0, before)]


def errors(network: TrainableNetwork, frames: Sequence[Array], digits: Sequence[Sequence[int]]) -> Errors:
    """The errors of a network in training on sequences of normalised, stacked frames."""
    found = Errors()
    for chosen in bucketed([len(f) for f in frames], 64):
        padded, lengths = pad([frames[i] for i in chosen])
        for i, logits, length in zip(chosen, network.forward(padded, lengths)["main"], lengths, strict=True):
            found += count(align(digits[i], best_path(logits[:length])))
    return found
