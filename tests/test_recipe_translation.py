"""The recipe translation, cut small: made-up descriptions, as nobody says under which licence translations are."""

from __future__ import annotations

import json
from itertools import product
from pathlib import Path

import pytest

import ostinato
from ostinato.training.corpora.descriptions import Pair
from ostinato.training.encoder_decoder import tokens
from ostinato.training.recipes import Telling
from ostinato.training.recipes.recipe import Options
from ostinato.training.recipes.translation import descriptions, pieces, recipe, scoring
from ostinato_bench import waiting

KINDS = {"library": "libreria", "tool": "strumento", "game": "gioco", "editor": "editor"}
NAMES = ("xapian", "ogre", "flac", "gimp", "tar", "lua", "zip", "ruby", "qt", "mesa", "mpv", "hydrogen")
PAIRS = [
    Pair(f"lib{name}{role}", f"{name.title()} {kind}{role}", f"{KINDS[kind]} {name.title()}{role}")
    for name, kind, role in product(NAMES, KINDS, ("", " (dev)", " (doc)"))
]


def test_what_is_about_the_same_is_in_one_part(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(descriptions, "COMMON", 20)
    parts = descriptions.divided(PAIRS)
    common = descriptions.common_words([text.english for some in parts.values() for text in some])
    assert set(KINDS) | {"dev", "doc"} == common
    subjects = [{descriptions.subject(text.english, common) for text in some} for some in parts.values()]
    assert sum(map(len, subjects)) == len(set().union(*subjects)) == len(NAMES)
    assert sum(map(len, parts.values())) == len(PAIRS)
    assert descriptions.subject("doc (dev)", common) == "dev doc" and descriptions.subject("42!", common) == "42!"


def test_pieces_are_what_stands_together_most_often() -> None:
    found = pieces.found(["low lower lowest"] * 5 + ["new"], 20)
    assert found[:2] == ("<unk>", " ") and " low" in found and "n" not in found
    reads = pieces.reading(found)
    (ids,) = tokens(reads, ["Lowest  slow new"])
    made = [found[token] for token in ids]
    assert made[0] == " lowest" and "".join(made) == " lowest slow <unk>ew"
    assert pieces.found(["aaaa aaaa"] * 9, 9)[3:] == ("aa", " aa", " aaaa")


def test_the_whole_recipe_in_small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Options, "corpus", lambda *_: {})
    monkeypatch.setattr(recipe.descriptions, "read", lambda _: PAIRS)
    monkeypatch.setattr(descriptions, "COMMON", 20)
    options = Options(output=tmp_path / "models", runs=tmp_path / "runs", steps=4)
    (_, bi), interrupted = recipe.train(options, Telling())
    assert not interrupted
    folders = [tmp_path / "runs" / f"translation-{model}" for model in ("uni", "bi")]
    results = json.loads((folders[0] / "results.json").read_text())
    assert list(results["scores"]) == ["1", "3", "5", "7", "whole"]
    for score in (*results["scores"].values(), *results["baselines"].values()):
        assert 0 <= score["BLEU"] <= 100 and score["chrF_interval"][0] <= score["chrF"] + 1 and score["texts"] == 12
    card = ostinato.load(bi).network.specification.card
    assert "Word by word: chrF" in card["accuracy"] and "Debian" in card["training data"]
    gathered = waiting.gathered(folders, 1.0)
    table = waiting.table(gathered)
    assert "| `translation-uni`, 3 behind |" in table and "| word by word |" in table
    waiting.draw(gathered, tmp_path / "waiting.png")
    assert (tmp_path / "waiting.png").stat().st_size > 10_000


def test_baselines() -> None:
    """Words by what stands beside them, names as they are; or what the nearest text became."""
    texts = [descriptions.Text(pair.english.lower(), pair.italian.lower()) for pair in PAIRS]
    test = [descriptions.Text("joy tool (dev)", "strumento joy (dev)")]
    assert scoring.word_by_word(texts, test).made == ["joy strumento ( dev )"]
    assert scoring.nearest(texts, test).made == ["strumento xapian (dev)"]
    assert scoring.nearest(texts, test).right == ["strumento joy (dev)"]
    assert scoring.Score(["a b c d e"], ["a b c d e"]).as_dict()["BLEU"] == pytest.approx(100)
