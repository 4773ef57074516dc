"""How near translations of the test part are to people's: a model's, and those of two ways to do without one."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from ostinato.errors import TrainingError
from ostinato.training.recipes import simultaneous, transduction
from ostinato.training.recipes.translation.descriptions import Text, words_of

DRAWS = 1000
"""Of the bootstrap."""
METRICS = ("chrF", "BLEU")


@dataclass
class Score:
    """Translations, and those of people."""

    made: list[str] = field(default_factory=list)
    right: list[str] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        """ChrF and BLEU (0 to 100), with 95 % intervals by resampling texts (Koehn 2004, "Statistical significance
        tests for machine translation evaluation"). Raises TrainingError without sacrebleu."""
        found: dict[str, Any] = {"texts": len(self.made)}
        for name in METRICS:
            metric = sacrebleu(name)
            score = metric.corpus_score(self.made, [self.right], n_bootstrap=DRAWS)
            told = json.loads(score.format(4, signature=metric.get_signature().format(), is_json=True))
            mean, half = told.get("confidence_mean", score.score), told.get("confidence_var", 0.0)
            found[name], found[f"{name}_interval"] = score.score, [mean - half, mean + half]
        return found


def sacrebleu(name: str) -> Any:
    """A metric as sacrebleu counts it (Post 2018, "A call for clarity in reporting BLEU scores"). Raises
    TrainingError where it is not installed."""
    try:
        from sacrebleu.metrics import BLEU, CHRF
    except ImportError:
        raise TrainingError("sacrebleu, which scores translations, is not installed: pip install sacrebleu") from None
    return BLEU() if name == "BLEU" else CHRF()


def of_pieces(made: Iterable[Sequence[str]], texts: Iterable[Text]) -> Score:
    """Of translations of ``texts``, each by the pieces that were written."""
    return Score(["".join(pieces).strip() for pieces in made], [text.italian for text in texts])


def word_by_word(learnt: Sequence[Text], test: Sequence[Text]) -> Score:
    """Texts word by word, each English word as the Italian one that stands most often beside it, weighed by how
    surprising it is there (Dice's coefficient); words and signs that were not learnt stay as they are."""
    beside: dict[str, Counter[str]] = defaultdict(Counter)
    english, italian = Counter[str](), Counter[str]()
    for text in learnt:
        one, other = (set(words_of(each)) for each in text)
        english.update(one)
        italian.update(other)
        for word in one:
            beside[word].update(other)

    def likely(word: str, other: str) -> tuple[float, bool, str]:
        return 2 * beside[word][other] / (english[word] + italian[other]), other == word, other

    table = {word: max(each, key=partial(likely, word)) for word, each in beside.items()}
    score = Score()
    for text in test:
        score.made.append(" ".join(table.get(word, word) for word in words_of(text.english)))
        score.right.append(text.italian)
    return score


def nearest(learnt: Sequence[Text], test: Sequence[Text]) -> Score:
    """The translation of the learnt text that has most words in common with each, as a share of the words of both:
    how far one comes by looking up."""
    having: dict[str, list[int]] = defaultdict(list)
    sizes = []
    for number, text in enumerate(learnt):
        words = set(words_of(text.english))
        sizes.append(len(words))
        for word in words:
            having[word].append(number)
    score = Score()
    for text in test:
        words = set(words_of(text.english))
        common = Counter(number for word in words for number in having.get(word, ()))
        alike = {number: count / (len(words) + sizes[number] - count) for number, count in common.items()}
        best = max(alike, key=lambda number: (alike[number], -number), default=0)
        score.made.append(learnt[best].italian)
        score.right.append(text.italian)
    return score


BASELINES: Mapping[str, Callable[[Sequence[Text], Sequence[Text]], Score]] = {
    "word by word": word_by_word,
    "the nearest learnt one's": nearest,
}
"""By what they are called in tables."""


def card(
    scores: Mapping[str, Mapping[str, Any]], simple: Mapping[str, Mapping[str, Any]], learnt: str
) -> dict[str, str]:
    """What a model says of itself: ``scores`` by wait, the whole text among them, beside ``simple`` ways."""

    def shown(score: Mapping[str, Any]) -> str:
        return ", ".join(
            "{} {:.1f} ({:.1f} to {:.1f})".format(name, score[name], *score[f"{name}_interval"]) for name in METRICS
        )

    whole = scores[simultaneous.WHOLE]
    accuracy = f"{whole['texts']:,} texts held out, by sacrebleu, with 95 % intervals: {shown(whole)}."
    accuracy += "".join(f" {name.capitalize()}: {shown(score)}." for name, score in simple.items())
    if waiting := transduction.while_reading(scores, shown, "pieces"):
        accuracy += f" While the text goes on: {waiting}."
    return {
        "what it does": (
            "Translates what a package of software is, in a line of English of up to some sixteen words, into "
            "Italian, in lower case. It shows what waiting buys, and is no translator to rely on."
        ),
        "training data": f"Descriptions of Debian 12's packages, and their Italian translations: {learnt}",
        "accuracy": accuracy,
        "how it was tested": (
            "Descriptions of what is alike but for common words (a library, its documentation) were kept together, "
            "and apart from others by a hash: 5 % to test, which chose nothing, 2 % to choose the weights. Greedily, "
            "through the product's own streams, in lower case, one reference each."
        ),
        "limits": "Names that it has not seen it spells after pieces, and sometimes wrongly. No other kind of text.",
    }
