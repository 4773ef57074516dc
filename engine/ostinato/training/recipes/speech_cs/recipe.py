"""The recipe ``speech-cs``: Czech speech, learnt by CTC from an hour and a quarter of two people and some others.

1. Recordings become features and characters; by their names some are kept apart (`clips`).
2. A unidirectional and a bidirectional network of about equal size learn the characters (`learn`), and a linear one
   that they are measured by.
3. A language model is counted in the training clips' transcripts and, so that it knows more words, in a book's worth
   of sayings; clips that chose the weights choose how much it is worth (`decoding`).
4. Each model is tested on clips that chose nothing, in all ways that it can be asked (`evaluation`).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from ostinato.model.network import Network
from ostinato.streaming import Model
from ostinato.training import transcribing
from ostinato.training.corpora import fillets, fortunes
from ostinato.training.language import Ngram, mixed, ngram
from ostinato.training.losses import CtcLoss
from ostinato.training.network import TrainableNetwork
from ostinato.training.optimisers import AdamW
from ostinato.training.recipes import plan, recipe, spectrogram
from ostinato.training.recipes.plan import Plan, Tested, in_halves
from ostinato.training.recipes.recipe import Option, Recipe, Telling, Trained
from ostinato.training.recipes.speech_cs import cards, clips, decoding, evaluation, learn
from ostinato.training.schedules import Trapezoid, Warmup
from ostinato.training.trainer import History

CORPUS, TEXTS = "fillets-cs", "fortunes-cs"
BATCH = 16
ORDER, TEXT_ORDER = 6, 5
"""Of the n-grams of transcripts, and of other texts."""
TEXT_LEAST = 3
"""Contexts of other texts that are there less often are left out."""
SHARE = 0.6
"""How much the transcripts count."""
FEW = 120
"""Clips of each part that a trial reads."""


@dataclass(frozen=True)
class Options(recipe.Options):
    """What to do. ``most``: clips of each part, None all; ``makings``: what the models are."""

    data: Annotated[Path | None, Option("A folder with the packages, to be read instead of what is kept.", "DIR",
                                        shown="the cache", there=True)] = None  # fmt: skip
    most: int | None = None
    makings: Mapping[str, learn.Making] = dataclasses.field(default_factory=lambda: learn.MODELS)

    @classmethod
    def of(cls, *, quick: bool = False, **given: object) -> Options:
        """As `recipe.Options.of`; quick is some minutes: few clips, small models, few steps."""
        few = {"most": FEW, "makings": learn.SMALL} if quick else {}
        return cls(quick=quick, **few, **given)  # type: ignore[arg-type]


def train(options: Options, telling: Telling) -> Trained:
    """Read the recordings, train, choose, test, and write speech-cs-uni, -bi and -linear .safetensors.

    Raises PackageError if the recordings cannot be had, TrainingError if too few can be used, and as `plan.learn`.
    """
    chosen = options.chosen(tuple(options.makings))
    spoken = fillets.read(options.corpus(CORPUS, telling.progress))
    texts = fortunes.read(options.corpus(TEXTS, telling.progress))[: options.most]
    return plan.learn(_plans(chosen, clips.read(spoken, telling, options.most), texts, options, telling), options)


def _language(data: clips.Clips, texts: Sequence[str]) -> Ngram:
    """What is said in the training clips and, less, in other texts, held-out clips' sentences apart."""
    said = ngram([clip.labels for clip in data.training], len(clips.SYMBOLS), space=clips.SPACE, order=ORDER)
    apart = {clip.text for clip in (*data.validation, *data.test)}
    written = [each for text in texts for each in clips.sentences(text) if each not in apart]
    labels = [[clips.SYMBOLS.index(character) for character in each] for each in written]
    other = ngram(labels, len(clips.SYMBOLS), space=clips.SPACE, order=TEXT_ORDER, least=TEXT_LEAST)
    return mixed(said, other, SHARE)


def _plans(
    chosen: tuple[str, ...], data: clips.Clips, texts: Sequence[str], options: Options, telling: Telling
) -> Iterator[Plan]:
    mean, scale = spectrogram.normalisation([clip.features for clip in data.training])
    language = _language(data, texts)
    frames = [spectrogram.stack((clip.features - mean) * scale, learn.STACK) for clip in data.validation]
    said = [clip.labels for clip in data.validation]
    digest = data.digest
    for name in chosen:
        making = options.makings[name]
        steps = options.steps or making.steps
        specification = options.named(cards.described(making.specification(name)))
        network = TrainableNetwork(
            specification, seed=options.seed, dropout=making.dropout, recurrent_dropout=making.recurrent_dropout
        )
        network.constants = {"front_end.mean": mean, "front_end.scale": scale}
        warmup = min(300, steps // 10)
        finish = _Finish(network, language, frames, said)
        yield Plan(
            network,
            digest,
            learn.Batches(data.training, mean, scale, BATCH, options.seed),
            CtcLoss(),
            AdamW(
                Warmup(Trapezoid(making.rate, steps - warmup, floor=making.rate / 100), warmup),
                weight_decay=1e-2,
                clip_norm=5.0,
            ),
            steps,
            lambda network: {"error rate": transcribing.errors(network, frames, said).rate},
            _tester(data, language, finish, steps, telling),
            {"evaluate_every": min(200, steps)} | in_halves(BATCH),
            finish,
        )


class _Finish:
    """The network with a language model, weighed by what the network makes of clips that it has not learnt."""

    choice: decoding.Choice

    def __init__(
        self, network: TrainableNetwork, language: Ngram, frames: list[spectrogram.Array], said: list[list[int]]
    ) -> None:
        self.network, self.language, self.frames, self.said = network, language, frames, said

    def __call__(self, made: Network) -> Network:
        logits = transcribing.outputs(self.network, self.frames)
        head = self.network.specification.heads[0].name
        outputs = [self.network.activate({head: each[None]})[head][0] for each in logits]
        self.choice = decoding.choose(self.language, outputs, self.said)
        return decoding.finished(made, self.choice.settings, self.language)


def _tester(
    data: clips.Clips, language: Ngram, finish: _Finish, planned: int, telling: Telling
) -> Callable[[Network, History], Tested]:
    learnt = {word for clip in data.training for word in clip.text.split()}

    def tested(made: Network, history: History) -> Tested:
        model = Model(made)
        found = evaluation.test(model, data.test, telling.progress)
        chosen = finish.choice
        results = {
            "minutes": {name: round(sum(c.seconds for c in some) / 60, 1) for name, some in _parts(data).items()},
            "clips": {name: len(some) for name, some in _parts(data).items()},
            "left_out": dict(data.left_out),
            "too_long_for_ctc": history.skipped,
            "language_model": {
                "contexts": len(language.scores),
                "bits_a_character": round(language.bits([[*clip.labels, clips.SPACE] for clip in data.test]), 3),
                "weight": chosen.settings.language_weight,
                "bonus": chosen.settings.insertion_bonus,
            },
            "validation": {"best_path": history.best_score, "beam": chosen.errors.rate},
            "weights": sum(array.size for name, array in made.weights.items() if not name.startswith("head.")),
            "ways": [way.as_dict() for way in found],
            "sessions": evaluation.sessions(model, data.test),
            "hotwords": evaluation.hotwords(model, data.test, learnt, found[-2]),
        }
        return Tested(cards.card(data, chosen, found, plan.steps_taken(history, planned)), results)

    return tested


def _parts(data: clips.Clips) -> dict[str, list[clips.Clip]]:
    return {"training": data.training, "validation": data.validation, "test": data.test}


RECIPE = Recipe(
    "speech-cs",
    """Train speech-cs-uni, -bi and -linear: Czech speech in, its characters out. Takes hours, --quick some minutes.

    Learns from recordings with transcripts out of two Debian packages, 110 MB (`ostinato data fillets-cs`), and how
    words go on from the texts of a third (`ostinato data fortunes-cs`). These are under the GPL-2 and the GPL-3+, so
    think of their licences before you hand on what you make.

    Ctrl-C while a model learns ends that: what it has learnt so far is tested and written; --resume goes on.
    """,
    train,
    Options,
    (CORPUS, TEXTS),
)
