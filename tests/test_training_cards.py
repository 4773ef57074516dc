"""The digits recipe: a model's card says what was done, and nothing else."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from ostinato.pipeline.score import Errors
from ostinato.training.recipes.digits import cards, compose, evaluation, learn, voice, voices

NOBODY = evaluation.Report("model", [])
SOME = (learn.specification("uni"), [compose.Example(np.zeros((100, 40), np.float16), (1,))])


def by_name(*names: str) -> list[voice.Synthesiser]:
    return [each for each in voices.SYNTHESISERS if each.name in names]


def making(**changes: Any) -> cards.Making:
    made = cards.Making(SOME[1], by_name("pico"), by_name("kokoro", "piper"), 9, 9, Errors(20, 3))
    return dataclasses.replace(made, **changes)


def test_a_card_says_only_what_was_done() -> None:
    """Each sentence is there if, and only if, what it tells of is."""
    spoke = {
        name: evaluation.VoiceResult(name, "string", 1, 5.0, Errors(20, 1))
        for name in ("dhd", "fsdd-jackson", "fsdd-lucas")
    }
    other = evaluation.VoiceResult("librivox", "other", 1, 30.0, Errors(0, 0, 2))

    def card(*results: evaluation.VoiceResult, **changes: Any) -> dict[str, str]:
        report = evaluation.Report("model", list(results))
        return cards.card({"people": report}, making(**changes), causal=True)

    nobody = card()
    assert "0.0%" not in nobody["accuracy"] and "other speech" not in nobody["accuracy"]
    assert "Synthetic voices, utterances held out: 15.0% of 20 digits." in nobody["accuracy"]
    assert "Synthetic voices" not in card(held_out=Errors())["accuracy"]
    assert "held out chose the checkpoint" in nobody["how it was tested"]
    assert "loss in learning chose" in card(held_out=Errors())["how it was tested"]
    assert "No checkpoint was chosen" in card(chosen=False)["how it was tested"]
    assert "kokoro, piper" in nobody["training data"] and "missing" not in card(missing=[])["training data"]
    assert "stopped by hand (of 9)" in card(steps=4)["training data"]

    chooser = card(spoke["fsdd-jackson"])
    assert (
        "fsdd-jackson string: 5.0%" in chooser["accuracy"] and "Fair test voices: not tested" in chooser["accuracy"]
    )
    assert "fsdd-jackson, with utterances of synthetic voices" in chooser["how it was tested"]
    alone = card(spoke["fsdd-jackson"], held_out=Errors())
    assert "fsdd-jackson chose the checkpoint" in alone["how it was tested"]
    assert "fsdd-theo" not in chooser["how it was tested"] and "fsdd (" not in chooser["how it was tested"]
    assert "dhd:" not in chooser["how it was tested"] and "others did not" not in chooser["how it was tested"]

    fair = card(*spoke.values(), other)
    assert "Fair test voices together: 5.0%" in fair["accuracy"] and "tested on few people" in fair["limits"]
    assert "In 30 s of people's other speech 4 digits per minute" in fair["accuracy"]
    assert "dhd: one string" in fair["how it was tested"] and "The others did not" in fair["how it was tested"]
    assert "allison (" in fair["how it was tested"] and "librivox (" not in fair["how it was tested"]


def test_no_results_are_no_rate() -> None:
    """An empty mean is none, and not the best there can be."""
    assert NOBODY.error_rate() is None and NOBODY.false_per_minute() is None and NOBODY.interval() is None
    assert evaluation.VoiceResult("someone", "other").error_rate is None
