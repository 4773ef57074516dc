"""The model card: what a digit model was made of, and how well it hears whom.

A card says what was done and names what was not: each sentence is made of results that exist.
"""

from __future__ import annotations

import dataclasses
import types
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ostinato.model.specification import Specification
from ostinato.pipeline.score import Errors
from ostinato.training.recipes.digits.compose import Example
from ostinato.training.recipes.digits.conditions import CLEAN, PEOPLE
from ostinato.training.recipes.digits.evaluation import Report
from ostinato.training.recipes.digits.real import SELECTION, VOICES
from ostinato.training.recipes.digits.voice import Synthesiser

LICENCE = "Apache-2.0"

DESCRIPTION = {
    "unidirectional": "English digits zero to nine, recognised while they are spoken",
    "bidirectional": "English digits zero to nine, recognised once the utterance has ended",
}


@dataclass(frozen=True)
class Making:
    """How a model came about. ``heard`` and ``missing``: the recipe's synthesisers that it learnt from, and the
    others. ``steps`` of ``planned`` were taken. ``held_out``: what the model makes of utterances that it has not
    learnt. ``chosen``: whether a checkpoint was chosen at all."""

    learnt: Sequence[Example]
    heard: Sequence[Synthesiser]
    missing: Sequence[Synthesiser]
    steps: int
    planned: int
    held_out: Errors
    chosen: bool = True


def described(model: Specification) -> Specification:
    """With description and licence."""
    return dataclasses.replace(model, description=DESCRIPTION[model.direction], licence=LICENCE)


def card(found: Mapping[str, Report], making: Making, causal: bool) -> dict[str, str]:
    """What the model says of itself: it heard ``found`` of people, and of voices under conditions."""
    report = found[PEOPLE]
    apart = {condition: one for condition, one in found.items() if condition != PEOPLE}
    return {
        "what it does": (
            "Writes the English digits zero to nine that it hears, alone or in strings; 'oh' in a string is to "
            "be zero. Noise and other words should give nothing."
        ),
        "training data": training_data(making),
        "accuracy": accuracy(report, making.held_out, causal, apart),
        "how it was tested": tested(report, making, bool(apart)),
        "limits": limits(report),
    }


def training_data(making: Making) -> str:
    """What was learnt, from which voices, how long; and which voices of the recipe were not there."""
    hours = sum(len(e.features) for e in making.learnt) / 360_000
    text = (
        f"{len(making.learnt)} utterances ({hours:.1f} h) of synthetic voices only: "
        + "; ".join(f"{s.name} ({s.licence})" for s in making.heard)
        + ". Joined with pauses, other words and noise among them, with other vocal tracts, tempo, rooms, "
        "microphones, telephone bands, noise and loudness; other words have a label of their own, which is not told. "
        "No recording of a person was learnt from directly."
    )
    if making.missing:
        text += f" Voices of the recipe that were missing: {', '.join(s.name for s in making.missing)}."
    stopped = f", stopped by hand (of {making.planned})" if making.steps < making.planned else ""
    return f"{text} Steps of learning: {making.steps}{stopped}."


def accuracy(
    report: Report, held_out: Errors, causal: bool, apart: Mapping[str, Report] = types.MappingProxyType({})
) -> str:
    """Error rates by voice, and how long after a digit its symbol comes."""
    spoken = [r for r in report.results if r.error_rate is not None]
    rows = [f"{r.voice} {r.kind}: {r.error_rate:.1%} of {r.digits} digits" for r in spoken]
    text = f"Digit error rate on real voices: {'; '.join(rows) or 'not tested'}."
    if (fair := report.error_rate()) is not None:
        bounds = report.interval()
        between = f" (95 % interval for such voices: {bounds[0]:.1%} to {bounds[1]:.1%})" if bounds else ""
        text += f" Fair test voices together: {fair:.1%}{between}."
    elif spoken:
        text += " Fair test voices: not tested."
    if apart:
        rates = [f"{condition} {_rate(one)}" for condition, one in apart.items()]
        text = f"Digit error rate on synthetic voices that it has never heard: {'; '.join(rates)}. " + text
        if (wrongly := apart[CLEAN].false_per_minute()) is not None:
            text += f" In {_other_seconds(apart[CLEAN]):.0f} s of these voices' other words {wrongly:.1f} digits"
            text += " per minute were heard wrongly."
    if held_out.symbols:
        text += f" Synthetic voices, utterances held out: {held_out.rate:.1%} of {held_out.symbols} digits."
    if (wrongly := report.false_per_minute()) is not None:
        text += (
            f" In {_other_seconds(report):.0f} s of people's other speech {wrongly:.0f} digits per minute were heard"
        )
        text += " wrongly."
    if causal and (waits := report.waits_ms()):
        p50, p90 = np.percentile(waits, [50, 90])
        text += f" A symbol's frame ends {p50:.0f} ms (median; p90 {p90:.0f} ms) after its digit's sound has ended."
    return text


def _rate(report: Report) -> str:
    rate, bounds = report.error_rate(), report.interval()
    between = f" ({bounds[0]:.1%} to {bounds[1]:.1%})" if bounds else ""
    return "not tested" if rate is None else f"{rate:.1%}{between}"


def _other_seconds(report: Report) -> float:
    return sum(r.seconds for r in report.results if r.kind == "other")


def tested(report: Report, making: Making, apart: bool = False) -> str:
    """What the model was tested with, what chose the checkpoint, and which voices were not there."""
    voices = {r.voice for r in report.results}
    digits = {r.voice for r in report.results if r.digits}
    chose = [voice for voice in SELECTION if voice in digits]
    parts = []
    if apart:
        parts.append(
            "Synthetic voices: a tenth of all speakers, by the hash of their names, which neither learning nor any "
            "choice has heard; 95 % intervals in brackets. Noise is so much under the louder half of what is heard."
        )
    if digits:
        whole = " (dhd: one string spoken as such)" if "dhd" in digits else ""
        parts.append(
            "Recordings of single digits, alone with 0.3 s of quiet around, and in strings of 3 to 7 joined from "
            f"one speaker's recordings with pauses of 0 to 0.6 s{whole}, through the product's stream. Error rate: "
            "substitutions, insertions and deletions per spoken digit. The strings are made of few recordings: "
            "their errors repeat."
        )
    if not making.chosen:
        parts.append("No checkpoint was chosen: the weights are those of the last step.")
    elif chose:
        also = ", with utterances of synthetic voices that were held out," if making.held_out.symbols else ""
        parts.append(f"{', '.join(chose)}{also} chose the checkpoint and are no fair test.")
    elif making.held_out.symbols:
        parts.append("Utterances of synthetic voices that were held out chose the checkpoint and are no fair test.")
    else:
        parts.append("The loss in learning chose the checkpoint.")
    if digits - set(chose):
        others = "The others" if chose else "The real voices"
        parts.append(f"{others} did not, though their results were seen while the recipe grew.")
    missing = [name for name in VOICES if not any(voice.startswith(name) for voice in voices)]
    if missing:
        parts.append("Not tested, as they were not there: " + ", ".join(f"{n} ({VOICES[n]})" for n in missing) + ".")
    return " ".join(parts)


def limits(report: Report) -> str:
    """What the numbers do not say."""
    if report.error_rate() is None:
        return (
            "Learnt from synthetic speech. How well it hears people was not tested by fair voices: it may hear "
            "nothing right."
        )
    return (
        "Learnt from synthetic speech and tested on few people: other accents, children and loud noise will "
        "do worse than these numbers."
    )
