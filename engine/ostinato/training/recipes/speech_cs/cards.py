"""What a speech model says of itself: only what exists."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from ostinato.model.specification import Specification
from ostinato.training.recipes.speech_cs.clips import TEST, VALIDATION, Clip, Clips
from ostinato.training.recipes.speech_cs.decoding import GREEDY, Choice
from ostinato.training.recipes.speech_cs.evaluation import Way

LICENCE = "learnt from recordings under the GPL-2 and texts under the GPL-3+: hand it on only as these allow"
DESCRIPTION = {
    "unidirectional": "Czech speech, written character by character while it is spoken",
    "bidirectional": "Czech speech, written character by character once it has ended, or in blocks",
}


def described(model: Specification) -> Specification:
    """With description and licence."""
    return dataclasses.replace(model, description=DESCRIPTION[model.direction], licence=LICENCE)


def card(data: Clips, choice: Choice, found: Sequence[Way], steps: str) -> dict[str, str]:
    """What it does, what it learnt from, how good it is and how that was tested."""
    beam = choice.settings
    rates = [
        f"{_asked(way)}: {_told(way, 'characters')} of characters, {_told(way, 'words')} of words" for way in found
    ]
    return {
        "what it does": (
            "Writes Czech speech in small letters, without punctuation, as two actors speak it in a game. Its first "
            "head searches with a language model of characters, and may be given hotwords; the second, "
            f"{GREEDY!r}, is the best path alone."
        ),
        "training data": (
            f"{len(data.training)} clips ({_minutes(data.training):.0f} min) of fillets-ng-data-cs with their "
            f"transcripts; the language model, {beam.number_of_contexts} contexts, is counted in these and in the "
            f"sayings of fortunes-cs, without sentences of held-out clips. {steps}"
        ),
        "accuracy": f"Wrong on held-out clips, in brackets the 95 % interval. {'; '.join(rates)}.",
        "how it was tested": (
            f"{len(data.test)} clips ({_minutes(data.test):.0f} min) that chose nothing: {TEST:.0%} of all, by the "
            f"SHA-256 of their names; no training clip has the text of one. Another {VALIDATION:.0%} chose the "
            f"weights, and the language model's ({beam.language_weight:g}, with {beam.insertion_bonus:g} for each "
            "character). Through the product's own streams, 40 ms at a time. The voices are those of the training."
        ),
        "limits": "Other speakers, rooms and subjects were neither learnt nor tested: it will hear them badly.",
    }


def _minutes(clips: Sequence[Clip]) -> float:
    return sum(clip.seconds for clip in clips) / 60


def _asked(way: Way) -> str:
    searched = "best path" if way.options.head == GREEDY else "with the language model"
    return f"{way.name}, {searched}" if way.options.block_ms is None else f"look-ahead of {way.name}, {searched}"


def _told(way: Way, unit: str) -> str:
    rate = way.as_dict()[unit]
    between = f" ({rate['low']:.1%} to {rate['high']:.1%})" if rate["low"] is not None else ""
    return f"{rate['rate']:.1%}{between}"
