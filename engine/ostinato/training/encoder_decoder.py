"""Text to text by an encoder-decoder: the model, and the batches that it learns from."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from ostinato.model.activation import IDENTITY, Activation
from ostinato.model.decoders import Generation, Outputs
from ostinato.model.front_ends import Tokens
from ostinato.model.layers import Attention, Concatenate, Dense, Embedding, Gru, Layer, Softmax
from ostinato.model.specification import Head, Node, Specification
from ostinato.pipeline import front_end
from ostinato.training.batching import Batch, Sources, bucketed, forgetting, pad

Ids: TypeAlias = npt.NDArray[np.int64]


class Writing(NamedTuple):
    """What is written: its tokens, the last two of which are start and end; which of them stands for what is none,
    and is read but not learnt to write; how they are joined, and at most how many there are."""

    tokens: tuple[str, ...]
    unknown: int | None
    separator: str
    longest: int

    @property
    def start(self) -> int:
        """The token that a text begins with."""
        return len(self.tokens) - 2

    @property
    def end(self) -> int:
        """The token that it ends with."""
        return len(self.tokens) - 1


def writing(tokens: Sequence[str], unknown: int | None = None, separator: str = "", longest: int = 1024) -> Writing:
    """`Writing` of tokens, to which start and end are added."""
    return Writing((*tokens, "<s>", "</s>"), unknown, separator, longest)


def tokens(reads: Tokens, texts: Iterable[str]) -> list[Ids]:
    """The ids of each text's tokens, as such a front end makes them."""
    reader, found = front_end(reads, {}), []
    for text in texts:
        state = reader.start()
        found.append(np.concatenate([reader.step(state, text), reader.flush(state)])[:, 0].astype(np.int64))
    return found


def encoder_decoder(
    name: str,
    reads: Tokens,
    layers: Sequence[Layer],
    writes: Writing,
    embedding: int,
    keys: int,
    writer: int,
    narrow: int | None = None,
) -> Specification:
    """A reader of an embedding and ``layers``; a writer of two recurrent layers of ``writer`` units, with attention
    between them by ``keys`` values (Bahdanau et al. 2015): so the second knows what was looked up before. ``narrow``:
    values that the next token is found from, where there are many tokens."""
    nodes = [Node("embedding", Embedding(embedding), ("frames",))]
    for number, layer in enumerate(layers, 1):
        below = nodes[-1].name
        nodes.append(Node("states" if number == len(layers) else f"states-{number}", layer, (below,)))
    nodes += [Node("keys", Dense(keys, IDENTITY), ("states",)), Node("begin", Dense(writer), ("states",))]
    heads = tuple(Head(each, each, Outputs()) for each in ("keys", "states", "begin"))
    reader = Specification("reader", reads, tuple(nodes), heads)
    written = [
        Node("embedding", Embedding(embedding), ("frames",)),
        Node("text", Gru(writer), ("embedding", "encoder.begin")),
        Node("query", Dense(keys, IDENTITY), ("text",)),
        Node("context", Attention("additive"), ("query", "encoder.keys", "encoder.states")),
        Node("both", Concatenate(), ("text", "context")),
        Node("meaning", Gru(writer), ("both",)),
        Node("known", Concatenate(), ("meaning", "context")),
    ]
    if narrow is not None:
        written.append(Node("narrow", Dense(narrow, Activation("tanh")), ("known",)))
    written += [Node("next", Dense(len(writes.tokens)), (written[-1].name,)), Node("softmax", Softmax(), ("next",))]
    head = Head("main", "softmax", Generation(writes.start, writes.end, writes.longest, writes.separator))
    return Specification(name, Tokens(writes.tokens), tuple(written), (head,), encoder=reader)


class Pairs:
    """Sources and what is to be written, as token ids. ``unknown``: of the sources' tokens; some are it, by turns."""

    def __init__(
        self, sources: Sequence[Ids], targets: Sequence[Ids], writes: Writing, unknown: int | None = None
    ) -> None:
        self.sources, self.targets, self.writes, self.unknown = sources, targets, writes, unknown
        self._keys = [len(t) + len(s) / 100 for s, t in zip(sources, targets, strict=True)]

    @property
    def lengths(self) -> list[int]:
        """Tokens to write, of each."""
        return [len(target) for target in self.targets]

    def __len__(self) -> int:
        return len(self.sources)

    def batch(self, chosen: npt.NDArray[np.int64], wait: int | None = None) -> Batch:
        """Some of them. What is read begins with the start, what is right ends with the end."""
        read, lengths = pad([np.array([self.writes.start, *self.targets[i]]) for i in chosen])
        right, _ = pad([np.array([*self.targets[i], self.writes.end]) for i in chosen], -1)
        if self.writes.unknown is not None:
            right[right == self.writes.unknown] = -1
        return Batch(read, lengths, right, Sources(*pad([self.sources[i] for i in chosen]), wait))

    def batches(
        self, size: int, seed: int, epoch: int | None, waits: Sequence[int | None] = (None,)
    ) -> Iterator[Batch]:
        """All of them, of about equal lengths, in an order of the epoch's own, a wait drawn for each batch; None: the
        longest first, waits in turn."""
        random = np.random.default_rng([seed, epoch or 0])
        for number, chosen in enumerate(bucketed(self._keys, size, None if epoch is None else random)):
            at = number if epoch is None else int(random.integers(len(waits)))
            made = self.batch(chosen, waits[at % len(waits)])
            if epoch is not None and made.sources is not None and self.unknown is not None:
                read = forgetting(made.sources.inputs, self.unknown, random)
                made = replace(made, sources=replace(made.sources, inputs=read))
            yield made

    def digest(self) -> str:
        """Of all that is in them."""
        found = hashlib.sha256()
        for each in (*self.sources, *self.targets):
            found.update(each.tobytes() + b"|")
        return found.hexdigest()
