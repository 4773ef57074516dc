"""The recipe phonemes, cut small: every 450th word of the real dictionary (its licence stands beside it)."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import ostinato
from ostinato.sampling import Sampling
from ostinato.training.corpora import cmudict
from ostinato.training.recipes import Telling
from ostinato.training.recipes.phonemes import recipe, scoring
from ostinato.training.recipes.phonemes.dictionary import PHONEMES, Entry, divided, part_of
from ostinato.training.recipes.recipe import Options
from ostinato.training.recipes.simultaneous import average_lagging, reads_of, written

CUT = {cmudict.DICTIONARY: Path(__file__).parent / "data" / "cmudict" / "cut.dict"}


def test_words_are_kept_apart_by_a_hash() -> None:
    words = cmudict.read(CUT)
    parts = divided(words)
    assert {part: len(entries) for part, entries in parts.items()} == {"learnt": 268, "validation": 4, "test": 5}
    for part, entries in parts.items():
        assert all(part_of(entry.word) == part for entry in entries)
    assert part_of("dog's") == part_of("dog")
    assert all(
        phoneme in PHONEMES for entries in parts.values() for e in entries for said in e.said for phoneme in said
    )


def test_the_whole_recipe_in_small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Options, "corpus", lambda *_: CUT)
    options = Options(output=tmp_path / "models", runs=tmp_path / "runs", steps=4)
    told: list[str] = []
    (uni, bi), interrupted = recipe.train(options, Telling(lambda what, done, total: told.append(what)))
    assert not interrupted and "phonemes-uni: words written, 3 letters behind" in told
    results = json.loads((tmp_path / "runs" / "phonemes-uni" / "results.json").read_text())
    assert list(results["scores"]) == ["1", "3", "5", "7", "whole"]
    lags = [score["average_lagging"] for score in results["scores"].values()]
    assert lags == sorted(lags) and results["baselines"]["letter by letter"]["words"] == 5
    card = ostinato.load(bi).network.specification.card
    assert "Of 5 words held out" in card["accuracy"] and "while the word goes on" not in card["accuracy"]
    assert "Carnegie Mellon" in card["training data"] and "Steps of learning: 4;" in card["training data"]
    with ostinato.load(uni).stream(wait_k=3, sampling=Sampling(temperature=0)) as stream:
        events = [*stream.push("a"), *stream.push("nd"), *stream.generate(Sampling(temperature=0))]
        assert all(event.text in (*PHONEMES, "") for event in events)


def test_the_bundled_model_says_words_that_it_did_not_learn() -> None:
    """One has no entry in the dictionary, one was held out."""
    model = ostinato.load("phonemes-bi")
    assert part_of("streaming") == "validation"
    for word, said in (("metronome", "M EH T R AH N OW M"), ("streaming", "S T R IY M IH NG")):
        assert " ".join(PHONEMES[token] for token in written(model, word, None)) == said
    assert "BSD-2-Clause" in model.network.specification.licence


def test_a_word_is_right_as_anybody_says_it() -> None:
    score = scoring.Score()
    entry = Entry("either", (("IY", "DH", "ER"), ("AY", "DH", "ER")))
    for said in (("AY", "DH", "ER"), ("AY", "D", "ER")):
        score.add(entry, said)
    found = score.as_dict()
    assert found["words_wrong"] == 0.5 and found["phonemes_wrong"] == pytest.approx(1 / 6)
    table = scoring.letter_by_letter(
        [Entry("no", (("N", "OW"),)), Entry("on", (("AA", "N"),)), Entry("go", (("G", "OW"),))]
    )
    assert table == {"n": "N", "o": "OW", "g": "G"}


def test_average_lagging() -> None:
    """Of equally long texts wait-k lags k behind (Ma et al. 2019); who waits for the end, the whole source."""
    assert average_lagging(reads_of(3, 10, 10), 10, 10) == pytest.approx(3)
    assert average_lagging(reads_of(None, 10, 10), 10, 10) == 10
    assert average_lagging(reads_of(2, 4, 8), 4, 8) == pytest.approx((2 + 2.5 + 3) / 3)
    assert average_lagging(reads_of(5, 8, 2), 8, 2) == pytest.approx((5 + 2) / 2)
