"""A user's texts as what a network learns from: tokens, and what is right for them."""

from __future__ import annotations

import dataclasses
import hashlib
import math
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from ostinato.data import Utterance
from ostinato.errors import InputError, TrainingError
from ostinato.model.decoders import Decoder, Generation, Labels, SequenceClass
from ostinato.model.front_ends import Tokens
from ostinato.model.layers import Dense, Embedding, Softmax
from ostinato.model.network import Network
from ostinato.model.specification import Sequential, Specification
from ostinato.pipeline import front_end
from ostinato.sampling import Sampling
from ostinato.streaming import Model
from ostinato.training.batching import Batch, bucketed, forgetting, pad
from ostinato.training.encoder_decoder import Ids, Pairs, Writing, encoder_decoder, writing
from ostinato.training.losses import CrossEntropy
from ostinato.training.own.config import Config, Text
from ostinato.training.own.labels import indices_of, names_of
from ostinato.training.own.matter import Matter, Tested

UNKNOWN = {"character": "\N{REPLACEMENT CHARACTER}", "word": "<unk>"}
ABOUT = {
    "label": "a label for each text", "tags": "a label for each token", "next": "no answer but the text that goes on",
    "text": "another text for each",
}  # fmt: skip
GREEDY = Sampling(temperature=0)


class Learnt(NamedTuple):
    """A text's tokens, and what is right: a label for each, or one for all."""

    tokens: Ids
    right: Ids


class TextExamples:
    """Texts with labels, or whose next tokens are what is right; ``unknown``: the token that some are, by turns."""

    def __init__(self, texts: Sequence[Learnt], unknown: int | None) -> None:
        self.texts, self.unknown = texts, unknown
        self.lengths = [len(text.tokens) for text in texts]

    def batches(self, size: int, seed: int, epoch: int | None) -> Iterator[Batch]:
        """As `matter.Examples`."""
        random = None if epoch is None else np.random.default_rng([seed, epoch])
        for chosen in bucketed(self.lengths, size, random):
            tokens, lengths = pad([self.texts[i].tokens for i in chosen])
            if random is not None:
                tokens = forgetting(tokens, self.unknown, random)
            found = [self.texts[i].right for i in chosen]
            yield Batch(tokens, lengths, np.array(found) if found[0].ndim == 0 else pad(found, -1)[0])

    def digest(self) -> str:
        """As `matter.Examples`."""
        found = hashlib.sha256()
        for text in self.texts:
            found.update(text.tokens.tobytes() + b"|" + text.right.tobytes() + b"|")
        return found.hexdigest()


def matter(
    config: Config, learning: Sequence[Utterance], judged_by: Sequence[Utterance], test: Sequence[Utterance]
) -> Matter:
    """Of texts. Raises InputError and TrainingError for those that do not fit the configuration, or each other."""
    text = config.text
    everything = [*learning, *judged_by, *test]
    answers = text.answers or _answers(everything)
    for each in everything:
        if (each.labels is None) == (answers != "next"):
            if answers == "next":
                raise InputError(f"{each.place(0)} has an answer, and a language model has none: leave either out")
            raise InputError(
                f"{each.place(0)} has no answer after it: the data are taken as {ABOUT[answers]} (text.answers)"
            )
    reader = Reader(_vocabulary(text, [_text(each) for each in learning]), text)
    make = {"label": _labelled, "tags": _labelled, "next": _going_on, "text": _pairs}[answers]
    made = make(config, text, reader, answers, learning, judged_by, test)
    if config.learning.loss is not None and not isinstance(config.learning.loss, CrossEntropy):
        raise TrainingError(f"learning.loss: {config.learning.loss.kind} does not fit {ABOUT[answers]}")
    return made


class Reader:
    """Texts to token ids, as the model's front end will make them."""

    def __init__(self, settings: Tokens, text: Text) -> None:
        self.settings, self.text = settings, text
        self._front = front_end(settings, {})

    def __call__(self, text: str, place: str) -> Ids:
        """The ids. Raises InputError for a text without a token."""
        state = self._front.start()
        ids = np.concatenate([self._front.step(state, text), self._front.flush(state)])[:, 0].astype(np.int64)
        if not len(ids):
            raise InputError(f"{place} has no {self.settings.unit}: leave it out")
        return ids


def _text(utterance: Utterance) -> str:
    if not isinstance(utterance.input, str):
        raise InputError(f"{utterance.name} has frames, others text: choose one")
    return utterance.input


def _answers(utterances: Sequence[Utterance]) -> str:
    """What the data seem to be: with labels, if there are some; pairs, and labels of tokens, must be asked for."""
    return "label" if any(each.labels is not None for each in utterances) else "next"


def _vocabulary(text: Text, learnt: Sequence[str]) -> Tokens:
    """The most frequent tokens, and one for all others."""
    unknown = UNKNOWN[text.unit]
    split: Callable[[str], Sequence[str]] = str.split if text.unit == "word" else tuple
    plain = (unicodedata.normalize("NFC", each) for each in learnt)
    counts = Counter(token.lower() if text.lowercase else token for each in plain for token in split(each))
    tokens = [token for token, _ in counts.most_common(text.most) if token != unknown]
    return Tokens((unknown, *tokens), text.unit, unknown=0, lowercase=text.lowercase)


def _labelled(
    config: Config, text: Text, reader: Reader, answers: str, learning: Sequence[Utterance],
    judged_by: Sequence[Utterance], test: Sequence[Utterance],
) -> Matter:  # fmt: skip
    """A label for each text, or for each of its tokens."""

    def divided(utterances: Sequence[Utterance]) -> list[Utterance]:
        if answers == "label":
            return list(utterances)
        return [dataclasses.replace(each, labels=np.array(str(each.labels).split())) for each in utterances]

    learning, judged_by, test = divided(learning), divided(judged_by), divided(test)
    names = config.data.labels or names_of([each.labels for each in learning if each.labels is not None])

    def examples(utterances: Sequence[Utterance]) -> TextExamples:
        found = []
        for each in utterances:
            tokens, labels = reader(_text(each), each.place(0)), indices_of(each, names)
            if labels.ndim and len(labels) != len(tokens):
                raise InputError(f"{each.place(0)} has {len(labels)} labels for {len(tokens)} tokens: one for each")
            found.append(Learnt(tokens, labels))
        return TextExamples(found, reader.settings.unknown)

    decoder: Decoder = SequenceClass(names) if answers == "label" else Labels(names)
    layers = [Embedding(text.embedding), *config.layers, Dense(len(names)), Softmax()]
    tested = examples(test)

    def through_streams(network: Network) -> Tested:
        model, correct, count = Model(network), 0, 0
        for each, learnt in zip(test, tested.texts, strict=True):
            values = _outputs(model, _text(each))
            found = values.argmax(axis=1) if learnt.right.ndim else values[-1].argmax()
            some = learnt.right >= 0
            correct, count = correct + int((found == learnt.right)[some].sum()), count + int(some.sum())
        return Tested(correct / count if count else math.nan, count, "share of labels that is right")

    return _matter(
        config, Sequential(config.name, reader.settings, layers, decoder), examples(learning), examples(judged_by),
        answers, through_streams if test else None,
    )  # fmt: skip


def _going_on(
    config: Config, text: Text, reader: Reader, answers: str, learning: Sequence[Utterance],
    judged_by: Sequence[Utterance], test: Sequence[Utterance],
) -> Matter:  # fmt: skip
    """A language model: the next token of each text."""
    written = _written(reader, text)
    tokens = dataclasses.replace(reader.settings, vocabulary=written.tokens)

    def examples(utterances: Sequence[Utterance]) -> TextExamples:
        found = []
        for each in utterances:
            ids = reader(_text(each), each.place(0))
            wanted = np.where(ids == written.unknown, -1, ids)
            found.append(Learnt(np.array([written.start, *ids]), np.array([*wanted, written.end])))
        return TextExamples(found, reader.settings.unknown)

    def through_streams(network: Network) -> Tested:
        model, total, count = Model(network), 0.0, 0
        for each in test:
            ids, values = reader(_text(each), each.place(0)), _outputs(model, _text(each))
            for before, token in zip(values, ids[1:], strict=False):
                if token != written.unknown:
                    total, count = total - math.log(max(float(before[token]), 1e-30)), count + 1
        return Tested(math.exp(total / count) if count else math.nan, count, "perplexity of a known token")

    layers = [Embedding(text.embedding), *config.layers, Dense(len(written.tokens)), Softmax()]
    head = Generation(written.start, written.end, written.longest, written.separator)
    return _matter(
        config, Sequential(config.name, tokens, layers, head), examples(learning), examples(judged_by), answers,
        through_streams if test else None,
    )  # fmt: skip


def _pairs(
    config: Config, text: Text, reader: Reader, answers: str, learning: Sequence[Utterance],
    judged_by: Sequence[Utterance], test: Sequence[Utterance],
) -> Matter:  # fmt: skip
    """Another text for each, by an encoder-decoder."""
    writer = Reader(_vocabulary(text, [str(each.labels) for each in learning]), text)
    written = _written(writer, text)

    def examples(utterances: Sequence[Utterance]) -> Pairs:
        sources = [reader(_text(each), each.place(0)) for each in utterances]
        return Pairs(sources, [writer(str(each.labels), each.place(0)) for each in utterances], written, 0)

    def through_streams(network: Network) -> Tested:
        model, correct = Model(network), 0
        for each in test:
            stream = model.stream()
            stream.push(_text(each))
            events = stream.generate(GREEDY)
            made = [event.index for event in events if event.kind == "token"]
            stream.close()
            correct += made == list(writer(str(each.labels), each.place(0)))
        return Tested(correct / len(test), len(test), "share of texts that are as given to the last token")

    specification = encoder_decoder(
        config.name, reader.settings, config.layers, written, text.embedding, text.keys, text.writer
    )
    return _matter(
        config, specification, examples(learning), examples(judged_by), answers, through_streams if test else None
    )


def _written(writer: Reader, text: Text) -> Writing:
    separator = " " if text.unit == "word" else ""
    return writing(writer.settings.vocabulary, writer.settings.unknown, separator, text.longest)


def _outputs(model: Model, text: str) -> npt.NDArray[np.float32]:
    """What the network gives for each token of a text, through a stream."""
    stream = model.stream(decoder="outputs")
    events = [*stream.push(text), *stream.flush()]
    stream.close()
    return np.array([event.values for event in events])


def _matter(
    config: Config, specification: Specification, seen: TextExamples | Pairs, held: TextExamples | Pairs,
    answers: str, test: Callable[[Network], Tested] | None,
) -> Matter:  # fmt: skip
    assert isinstance(specification.front_end, Tokens)
    return Matter(
        dataclasses.replace(specification, description=config.description, licence=config.licence),
        config.learning.loss or CrossEntropy(),
        seen,
        held,
        ABOUT[answers],
        f"{sum(seen.lengths):,} tokens, {len(specification.front_end.vocabulary):,} different ones",
        True,
        test,
    )
