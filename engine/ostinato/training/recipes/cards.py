"""The model card: what a digit model was made of, and how well it hears whom."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from ostinato.model.network import Network
from ostinato.model.specification import Specification
from ostinato.training.recipes.compose import Example
from ostinato.training.recipes.evaluation import Report
from ostinato.training.recipes.real import SELECTION
from ostinato.training.recipes.voices import Synthesiser

LICENCE = "Apache-2.0"

DESCRIPTION = {
    "unidirectional": "English digits zero to nine, recognised while they are spoken",
    "bidirectional": "English digits zero to nine, recognised once the utterance has ended",
}


def with_card(network: Network, report: Report, learnt: Sequence[Example], heard: Sequence[Synthesiser]) -> Network:
    """The network with description, licence and card."""
    hours = sum(len(e.features) for e in learnt) / 360_000
    specification = dataclasses.replace(
        network.specification,
        description=DESCRIPTION[network.specification.direction],
        licence=LICENCE,
        card={
            "what it does": (
                "Writes the English digits zero to nine that it hears, alone or in strings; 'oh' in a string is to "
                "be zero. Noise should give nothing. It knows no other words and may hear digits in them."
            ),
            "training data": (
                f"{len(learnt)} utterances ({hours:.1f} h) of synthetic voices only: "
                + "; ".join(f"{s.name} ({s.licence})" for s in heard)
                + ". Joined with pauses, other words and noise among them, with other vocal tracts, tempo, rooms, "
                "microphones, telephone bands, noise and loudness. No recording of a person was learnt from directly."
            ),
            "accuracy": accuracy(report, network.specification.direction == "unidirectional"),
            "how it was tested": (
                "Recordings of single digits, alone with 0.3 s of quiet around, and in strings of 3 to 7 joined from "
                "one speaker's recordings with pauses of 0 to 0.6 s (dhd: one string spoken as such), through the "
                "product's stream. Error rate: substitutions, insertions and deletions per spoken digit. The strings "
                f"are made of few recordings: their errors repeat. {', '.join(SELECTION)} chose the checkpoint and "
                "are no fair test; the others did not, though their results were seen while the recipe grew."
            ),
            "limits": (
                "Learnt from synthetic speech and tested on few people: other accents, children and loud noise will "
                "do worse than these numbers."
            ),
        },
    )
    return Network(specification, network.weights)


def accuracy(report: Report, causal: bool) -> str:
    """Error rates by voice, and how long after a digit its symbol comes."""
    spoken = [r for r in report.results if r.kind != "other"]
    rows = [f"{r.voice} {r.kind}: {r.error_rate:.1%} of {r.digits} digits" for r in spoken]
    text = f"Digit error rate on real voices: {'; '.join(rows)}. Fair test voices together: {report.error_rate():.1%}"
    if bounds := report.interval():
        text += f" (95 % interval for such voices: {bounds[0]:.1%} to {bounds[1]:.1%})"
    text += "."
    if other := sum(r.seconds for r in report.results if r.kind == "other"):
        text += (
            f" In {other:.0f} s of other speech {report.false_per_minute():.0f} digits per minute were heard wrongly."
        )
    if causal and (waits := report.waits_ms()):
        p50, p90 = np.percentile(waits, [50, 90])
        text += f" A symbol's frame ends {p50:.0f} ms (median; p90 {p90:.0f} ms) after its digit's sound has ended."
    return text


def summary(models: Sequence[Specification]) -> str:
    """MODELS.md: the cards of models, for people."""
    parts = [
        "# Models\n\nMade by `ostinato train digits`. Each model file holds the same text (`ostinato inspect`).\n"
    ]
    for model in models:
        parts.append(f"## {model.name}\n\n{model.description}. Licence: {model.licence}.\n")
        parts += [f"**{heading.capitalize()}.** {text}\n" for heading, text in model.card.items()]
    return "\n".join(parts)
