"""How near a model's translations of the test part are to the dictionary's, through the product's own streams."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ostinato.errors import TrainingError
from ostinato.model.front_ends import Tokens
from ostinato.streaming import Model
from ostinato.training.recipes import simultaneous
from ostinato.training.recipes.recipe import Progress
from ostinato.training.recipes.translation.sentences import Text, tokens

EVERY, DRAWS, SEED = 50, 200, 1
"""Sentences after which one is told how far it is; drawings of the bootstrap."""
METRICS = ("BLEU", "chrF")


@dataclass
class Score:
    """Translations, and the dictionary's."""

    made: list[str] = field(default_factory=list)
    right: list[str] = field(default_factory=list)
    lags: list[float] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        """BLEU and chrF (0 to 100), with 95 % intervals by resampling sentences (Koehn 2004, "Statistical
        significance tests for machine translation evaluation"). Raises TrainingError without sacrebleu."""
        found: dict[str, Any] = {"sentences": len(self.made)}
        random = np.random.default_rng(SEED)
        draws = random.integers(0, len(self.made), (DRAWS, len(self.made)))
        for name in METRICS:
            metric = sacrebleu(name)
            found[name] = metric.corpus_score(self.made, [self.right]).score
            scores = [
                metric.corpus_score([self.made[i] for i in draw], [[self.right[i] for i in draw]]).score
                for draw in draws
            ]
            found[f"{name}_interval"] = [float(each) for each in np.percentile(scores, [2.5, 97.5])]
        found["average_lagging"] = sum(self.lags) / len(self.lags) if self.lags else None
        return found


def sacrebleu(name: str) -> Any:
    """A metric as sacrebleu counts it (Post 2018, "A call for clarity in reporting BLEU scores"). Raises
    TrainingError where it is not installed."""
    try:
        from sacrebleu.metrics import BLEU, CHRF
    except ImportError:
        raise TrainingError("sacrebleu, which scores translations, is not installed: pip install sacrebleu") from None
    return BLEU(force=True) if name == "BLEU" else CHRF()  # signs stand apart in both texts, and are meant to


def through_streams(model: Model, texts: Sequence[Text], wait: int | None, progress: Progress) -> Score:
    """Each sentence written greedily: once it is there, or ``wait`` pieces of its words behind."""
    score, what = Score(), f"{model.name}: sentences written" + ("" if wait is None else f", {wait} pieces behind")
    words, reader = model.network.specification.front_end, model.reader.specification.front_end
    assert isinstance(words, Tokens) and isinstance(reader, Tokens)
    for number, text in enumerate(texts):
        made = simultaneous.written(model, text.german, wait)
        score.made.append(" ".join(words.vocabulary[token] for token in made))
        score.right.append(text.english)
        pieces = len(tokens(reader, text.german))
        reads = simultaneous.reads_of(wait, pieces, len(made) + 1)
        score.lags.append(simultaneous.average_lagging(reads, pieces, len(reads)))
        if number % EVERY == 0:
            progress(what, number, len(texts))
    progress(what, len(texts), len(texts))
    return score


def word_by_word(learnt: Sequence[Text]) -> dict[str, str]:
    """The English word that stands most often beside each German one, weighed by how surprising it is there (Dice's
    coefficient): a simple baseline."""
    beside: dict[str, Counter[str]] = defaultdict(Counter)
    german, english = Counter[str](), Counter[str]()
    for text in learnt:
        one, other = set(text.german.split()), set(text.english.split())
        german.update(one)
        english.update(other)
        for word in one:
            beside[word].update(other)
    return {
        word: max(counts, key=lambda each: (2 * counts[each] / (german[word] + english[each]), each))
        for word, counts in beside.items()
    }


def baseline(learnt: Sequence[Text], test: Sequence[Text]) -> Score:
    """Sentences word by word; words that were not learnt are left out."""
    table, score = word_by_word(learnt), Score()
    for text in test:
        score.made.append(" ".join(table[word] for word in text.german.split() if word in table))
        score.right.append(text.english)
    return score


def card(scores: Mapping[str, Mapping[str, Any]], simple: Mapping[str, Any], learnt: str) -> dict[str, str]:
    """What a model says of itself: ``scores`` by wait, the whole sentence among them, beside a ``simple`` way."""

    def shown(score: Mapping[str, Any]) -> str:
        return ", ".join(
            "{} {:.1f} ({:.1f} to {:.1f})".format(name, score[name], *score[f"{name}_interval"]) for name in METRICS
        )

    whole = scores[simultaneous.WHOLE]
    accuracy = f"{whole['sentences']:,} sentences held out, by sacrebleu, with 95 % intervals: {shown(whole)}."
    accuracy += f" Word by word: {shown(simple)}."
    waiting = [
        f"{wait} pieces behind {shown(score)}, average lagging {score['average_lagging']:.1f} pieces"
        for wait, score in scores.items()
        if wait != simultaneous.WHOLE
    ]
    if waiting:
        accuracy += f" While the sentence goes on: {'; '.join(waiting)}."
    return {
        "what it does": (
            "Translates German sentences of up to a dozen words into English, in lower case, with spaces around "
            "signs. Its vocabulary is small: it shows what waiting buys, and is no translator to rely on."
        ),
        "training data": f"trans-de-en 1.9, the dictionary of Ding (Frank Richter, GPL-2+): {learnt}",
        "accuracy": accuracy,
        "how it was tested": (
            "Entries of the dictionary were kept apart by a hash: the sentences of 5 % to test, which chose nothing, "
            "of 2 % to choose the weights. Greedily, through the product's own streams, one reference each."
        ),
        "limits": "Learnt from few sentences, of which many are idioms. Words that it has not seen it leaves out.",
    }
