"""The recipe of tunes, on forty real ones: what is kept apart, what is learnt, how it is judged."""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from ostinato.errors import InputError
from ostinato.model import file
from ostinato.model.decoders import Outputs
from ostinato.model.front_ends import Tokens
from ostinato.model.layers import OneHot
from ostinato.model.network import Network
from ostinato.model.specification import FRAMES, Head, Node, Specification
from ostinato.notation import faults, read
from ostinato.notation.bars import pieces
from ostinato.notation.tune import BARS, Bar, Note, Rest, Tune, Tuplet
from ostinato.sampling import Sampling
from ostinato.streaming import Model, load
from ostinato.training.network import TrainableNetwork
from ostinato.training.recipes import Telling, plan
from ostinato.training.recipes.tunes import gaps, judging, language
from ostinato.training.recipes.tunes import recipe as tunes
from ostinato.training.recipes.tunes.clock import CLOCK, PLACE, UNLIKELY, Clock
from ostinato.training.recipes.tunes.corpus import SIDES, Corpus, chosen, divided, families
from ostinato.training.recipes.tunes.ngram import Ngram
from ostinato_bench.tunes import SETTINGS, judge, run

TUNES = (Path(__file__).parent / "data/tunes.abc").read_text()


@pytest.fixture(scope="module")
def corpus() -> Corpus:
    found = chosen({"book": re.split(r"\n(?=X:)", TUNES)})
    everything = [each for side in found.sides.values() for each in side]
    seen = Counter(token for each in everything for token in set(each.tune.tokens))
    everything.sort(key=lambda each: min(seen[token] for token in each.tune.tokens))  # the usual ones are held out
    sides = {"train": everything[:-8], "validation": everything[-8:-4], "test": everything[-4:]}
    return Corpus({side: tuple(each) for side, each in sides.items()}, found.left_out)


def test_only_tunes_whose_bars_add_up_are_learnt_from(corpus: Corpus) -> None:
    assert corpus.left_out == {"bars that do not add up": 2}
    assert sum(map(len, corpus.sides.values())) == 38
    assert not any(faults(each.tune) for side in SIDES for each in corpus.sides[side])


def test_variants_of_a_tune_are_one_family(corpus: Corpus) -> None:
    everything = [each for side in SIDES for each in corpus.sides[side]]
    first = everything[0]
    moved = language.in_key(first.tune, first.tune.key.sharps + 1)
    assert moved is not None
    variants = [
        type(first)(moved, "another name", ""),
        type(first)(everything[1].tune, f"The {first.title.upper()}!", ""),
    ]
    found = families([first, *variants, *everything[2:]])
    assert sorted(next(each for each in found if 0 in each)) == [0, 1, 2]
    sides = divided([first, *variants])
    assert sorted(map(len, sides.values())) == [0, 0, 3]


def test_tunes_are_moved_to_keys_that_fit() -> None:
    tune = read("M:4/4 L:1/8 K:G G, A, B, C D2 G2 |]")
    for sharps in language.SIGNATURES:
        moved = language.in_key(tune, sharps)
        assert moved is None or min(map(str.count, moved.body, "," * len(moved.body))) >= 0
        if moved is not None:
            assert moved.key.sharps == sharps
    assert language.in_key(tune, 1) == tune


def test_ngrams_are_a_distribution(corpus: Corpus) -> None:
    data = tunes.data_of(corpus, tunes.Options(rare=1))
    ids = [list(map(int, each)) for each in data.ids([each.tune.tokens for each in corpus.sides["train"]])]
    size = len(data.tokens)
    ngram = Ngram(ids, 3, size)
    for before in ([], [5], [1, 4, 9], [7, 7, 7]):
        assert math.isclose(sum(ngram.chance(token, before) for token in range(size)), 1)
    assert ngram.bits(ids[0]) < 0.6 * len(ids[0]) * math.log2(size)
    best = ngram.likeliest(ids[0][:9])
    assert ngram.chance(best, ids[0][:9]) == max(ngram.chance(token, ids[0][:9]) for token in range(size))


def test_gaps_are_whole_bars_with_what_is_around_them(corpus: Corpus) -> None:
    rng = np.random.default_rng(1)
    for each in corpus.sides["train"]:
        tune = each.tune.tokens
        place = gaps.hidden(tune, rng, 2)
        assert place is not None and tune[place.start - 1] in BARS and tune[place.stop] in BARS
        assert sum(token in BARS for token in tune[place]) == 1
    assert gaps.hidden(("K:D", "A", "|", "B", "|]"), rng, 1) is None


# --- the clock ------------------------------------------------------------------------------------------------------


def places(tune: Tune) -> list[tuple[Fraction, Fraction | None]]:
    """After each token of the body: what is left of its bar, and how long the tune's first piece is, once it has
    ended; by another way than the clock's."""
    found: list[tuple[Fraction, Fraction | None]] = []
    into, triplet, opening = Fraction(0), 0, None
    for each in tune.elements():
        match each:
            case Bar():
                opening = into if opening is None and into else opening
                into = Fraction(0)
            case Tuplet():
                triplet = each.notes
            case Note() | Rest():
                into += each.length * (Fraction(2, 3) if triplet else 1)
                triplet = max(0, triplet - 1)
        found.append((tune.bar - into, opening))
    return found


def test_the_clock_counts_what_is_left_of_bars(corpus: Corpus) -> None:
    """Through a stream that is cut, kept and restored on the way, as any state is."""
    everything = [each.tune for side in SIDES for each in corpus.sides[side]]
    tokens = (language.UNKNOWN, language.TUNE, *sorted({token for tune in everything for token in tune.tokens}))
    counting = Clock(tokens, language.TUNE)
    specification = Specification(
        "counting",
        Tokens(tokens, unit="word", unknown=0),
        (Node("token", OneHot(), (FRAMES,)), Node(CLOCK, counting.clock, ("token",)),
         Node(PLACE, counting.place, (CLOCK,))),
        (Head("units", CLOCK, Outputs()), Head("places", PLACE, Outputs())),
    )  # fmt: skip
    model = Model(Network(specification, counting.weights))
    told = {name: counting.sum_of(name) for name in ("left", "opening")}
    assert any(tune.bar - 1 > min(left for left, _ in places(tune)[-2:]) > 0 for tune in everything)  # anacruses
    assert any("(3" in tune.body for tune in everything)
    for tune in everything:
        with model.stream(head="units") as stream, model.stream(head="places") as other:
            events = stream.push(" ".join((language.TUNE, *tune.tokens[:20])) + " ")
            kept = stream.snapshot()
            scales = other.push(" ".join(tune.tokens)) + other.flush()
        with model.restore(kept) as stream:
            events += stream.push(" ".join(tune.tokens[20:])) + stream.flush()
        for event, scale, (left, opening) in zip(events[4:], scales[3:], places(tune), strict=True):
            assert event.values is not None and scale.values is not None
            assert float(told["left"] @ event.values) == pytest.approx(left, abs=1e-4)
            # Half units from 0 to 16, of which the one that is reached in part tells how far.
            assert float(scale.values[:32].sum()) / 2 == pytest.approx(left, abs=1e-4)
            if opening is not None:
                assert float(told["opening"] @ event.values) == pytest.approx(opening, abs=1e-4)


def test_what_does_not_fit_begins_unlikely(corpus: Corpus) -> None:
    """Before anything is learnt: a note that is too long for its bar, or a bar line within it; in no real tune."""
    data = tunes.data_of(corpus, tunes.Options(rare=1))
    specification = language.specification(data.tokens, 16)
    network = TrainableNetwork(specification, weights=language.weights(specification, 1), fixed=language.FIXED)
    for name in ("liked.W", "liked.b"):
        network.parameters[name][:] = 0
    ids = {token: i for i, token in enumerate(data.tokens)}
    for tune in data.test + data.validation:
        tokens = np.array([[ids[token] for token in tune]])
        logits = network.forward(tokens, [len(tune)])["main"][0]
        following = logits[np.arange(2, len(tune) - 1), tokens[0, 3:]]
        assert following.min() > -0.01
    (before,) = (language.ids_of(["M:3/4", "L:1/8", "K:G", "G2", "G2", "|", "G3", "G"], ids, bare=True),)
    last = network.forward(before[None, :-1], [len(before) - 1])["main"][0, -1]
    assert last[ids["G2"]] == 0 and last[ids["G3"]] == last[ids["|"]] == UNLIKELY


@pytest.fixture(scope="module")
def trained(corpus: Corpus, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("tunes")
    options = tunes.Options(
        output=folder, runs=folder / "runs", steps=12, made=4, size=16, batch=8, rare=1, workers=1, quick=True
    )
    told: list[str] = []
    done = plan.learn(tunes.plans(corpus, ("language", "gaps-bi"), options, Telling(note=told.append)), options)
    assert told == ["30 tunes to learn from, 4 to choose by, 4 to test on"] and not done.interrupted
    assert [path.name for path in done.paths] == [
        "tunes-quick.safetensors", "tunes-gaps-bi-quick.safetensors",
    ]  # fmt: skip
    yield folder


def test_the_recipe_learns_and_says_how_good_it_is(trained: Path, corpus: Corpus) -> None:
    results = json.loads((trained / "runs/tunes-quick/results.json").read_text())
    uniform = math.log2(len(load(trained / "tunes-quick.safetensors").network.specification.front_end.vocabulary))
    assert results["test_tunes"] == 4 and results["bits"]["low"] < results["bits"]["value"] < uniform
    assert results["made"] == 4 and set(results["drawn"]) == set(tunes.DRAWING)
    card = file.read(trained / "tunes-quick.safetensors").specification.card
    assert "O'Neill" in card["training data"] and "4 tunes that were held out" in card["accuracy"]
    results = json.loads((trained / "runs/tunes-gaps-bi-quick/results.json").read_text())
    assert results["tunes"] == 4 and 0 <= results["accuracy"]["whole"]["value"] <= 1
    assert list(results["accuracy"]) == ["whole", *map(str, tunes.LOOKAHEADS)]
    assert gaps.specification(gaps.vocabulary(("<unknown>", "A")), "uni").nodes[1].layer.direction == "forward"


def test_streams_tell_gaps_as_the_whole_network_does(trained: Path, corpus: Corpus) -> None:
    model = load(trained / "tunes-gaps-bi-quick.safetensors")
    specification = model.network.specification
    ids = {token: i for i, token in enumerate(specification.front_end.vocabulary)}
    found = judging.gaps_of([each.tune.tokens for each in corpus.sides["test"]], ids, 1)
    network = TrainableNetwork(specification, weights=model.network.weights)
    for gap, told in zip(found, judging.filled_by(model)(found), strict=True):
        logits = network.forward(gap.seen[None], [len(gap.seen)])["main"][0]
        np.testing.assert_array_equal(told, logits[gap.place].argmax(axis=1))
        assert set(gap.seen[gap.place]) == {ids[gaps.GAP]} and (gap.wanted[gap.place] >= 0).all()
    whole = judging.accuracy(judging.filled_by(model), found)
    assert judging.accuracy(judging.filled_by(model, 500), found) == whole  # a look-ahead over all there is
    language_model = load(trained / "tunes-quick.safetensors")
    for fill in (judging.gone_on_by(language_model), judging.counted_on_by(Ngram([[1, 2, 3]], 2, len(ids)))):
        assert [len(told) for told in fill(found)] == [gap.place.stop - gap.place.start for gap in found]
    assert judging.accuracy(lambda of: [gap.wanted[gap.place] for gap in of], found).value == 1


def test_what_is_made_is_the_same_alone_and_together(trained: Path) -> None:
    model = load(trained / "tunes-quick.safetensors")
    sampling = Sampling(seed=4, temperature=0.9)
    texts = judging.generated(model, 3, sampling)
    for number, text in enumerate(texts):
        with model.stream() as stream:
            alone = [e.text for e in stream.generate(Sampling(seed=4 + number, temperature=0.9)) if e.kind == "token"]
        assert text == " ".join(alone)
    assert judging.tunes_among(["K:D A |]", "M:2/4 L:1/8 K:D A4 |]", "no tune"]) == (3, 2, 1)


def test_another_program_judges_too(trained: Path) -> None:
    def lengths(abc: str) -> list[Fraction]:
        if "&" in abc:
            raise ValueError(abc)
        tune = read(abc)
        return [piece.length * tune.unit * 4 for piece in pieces(tune.elements())]

    assert judge("M:2/4 L:1/8 K:D A4 | B4 |]", lengths) == (True, True, True, 2)
    assert judge("M:2/4 L:1/8 K:D A4 | B5 |]", lengths) == (True, False, True, 2)
    assert judge("K:D &", lengths) == (False, False, False, 0)
    told: list[int] = []
    found = run(load(trained / "tunes-quick.safetensors"), 2, 1, lengths, lambda done, *_: told.append(done))
    assert len(found["rows"]) == len(SETTINGS) and told[-1] == 2 * len(SETTINGS)


def test_a_file_that_is_no_tune_is_left_out() -> None:
    found = chosen({"book": ["X:1\nM:3/4\nK:D\n&", "X:1\nM:6/8\nL:1/8\nK:D\nA3 B3 | c6 |]"]})
    assert found.left_out == {"not one plain melody": 1} and sum(map(len, found.sides.values())) == 1
    with pytest.raises(InputError):
        read("")
