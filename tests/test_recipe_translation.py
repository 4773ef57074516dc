"""The recipe translation, cut small: made-up pairs, as the dictionary's licence keeps it out of here."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import ostinato
from ostinato.training.corpora import trans_de_en
from ostinato.training.recipes import Telling
from ostinato.training.recipes.translation import recipe, scoring
from ostinato.training.recipes.translation.sentences import divided, pieces_read, tokenised
from ostinato_bench import waiting

WORDS = {"hund": "dog", "katze": "cat", "schläft": "sleeps", "rennt": "runs", "heute": "today", "der": "the"}
PAIRS = [
    trans_de_en.Pair(number, f"Der {a} {b} {c}.", f"The {WORDS[a]} {WORDS[b]} {WORDS[c]}.")
    for number, (a, b, c) in enumerate(
        [(a, b, c) for a in ("hund", "katze") for b in ("schläft", "rennt") for c in ("heute", "hund", "katze")] * 6
    )
] + [trans_de_en.Pair(900 + n, f"alter Hund {n}", f"old dog {n}") for n in range(40)]


def test_texts_are_kept_apart_by_their_entries() -> None:
    parts = divided(PAIRS)
    german = [{text.german for text in some} for some in parts.values()]
    assert all(german) and not (german[0] & german[1] or german[0] & german[2] or german[1] & german[2])
    assert all(text.sentence for part in ("test", "validation") for text in parts[part])  # type: ignore[literal-required,index]
    assert tokenised("Er (sie) geht/läuft heim, nicht wahr?") == "er geht heim , nicht wahr ?"


def test_pieces_are_words_and_parts_of_rare_ones() -> None:
    pieces = pieces_read(["der hund", "der hund", "hundehütte hundeleine"], 2, 3)
    assert pieces[:3] == ("<unk>", "der", "hund") and set("hundeütlir") <= set(pieces)
    assert any(len(piece) > 3 and "hundehütte".startswith(piece) for piece in pieces[3:6])


def test_the_whole_recipe_in_small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recipe.Options, "corpus", lambda *_: {})
    monkeypatch.setattr(trans_de_en, "read", lambda _: PAIRS)
    monkeypatch.setattr(scoring, "DRAWS", 20)
    options = recipe.Options(output=tmp_path / "models", runs=tmp_path / "runs", steps=4)
    (_, bi), interrupted = recipe.train(options, Telling())
    assert not interrupted
    folders = [tmp_path / "runs" / f"translation-{model}" for model in ("uni", "bi")]
    scores = json.loads((folders[0] / "results.json").read_text())["scores"]
    assert list(scores) == ["1", "3", "5", "7", "whole"]
    for score in scores.values():
        assert 0 <= score["BLEU"] <= 100 and score["chrF_interval"][0] <= score["chrF"] + 1e-9
    card = ostinato.load(bi).network.specification.card
    assert "Word by word: BLEU" in card["accuracy"] and "GPL-2+" in card["training data"]
    gathered = waiting.gathered(folders, 1.0)
    assert "| `translation-uni`, 3 behind |" in waiting.table(gathered) and "word by word" in waiting.table(gathered)
    waiting.draw(gathered, tmp_path / "waiting.png")
    assert (tmp_path / "waiting.png").stat().st_size > 10_000


def test_words_are_found_by_what_stands_beside_them() -> None:
    table = scoring.word_by_word(divided(PAIRS)["learnt"])
    assert all(table[german] == english for german, english in WORDS.items())
    score = scoring.Score(["the dog sleeps today ."], ["the dog sleeps today ."])
    assert score.as_dict()["BLEU"] == pytest.approx(100)
