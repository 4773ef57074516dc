"""A beam: the hypotheses of how a stream's text goes on, and what they have decided already.

    told │ decided │ tokens of hypothesis 0        scores[0]      the best
         │         │ tokens of hypothesis 1        scores[1]
         │         │ …                                            all of one length
         │         │ tokens of the best that ended                never longer than these

What all of them begin with is decided, and waits to be told. Told tokens are the stream's own frames, so its state is
behind all that it said, whenever it ends; hypotheses have states of their own, and run ahead of it.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ostinato.kernels.sampling import ABREAST
from ostinato.pipeline.beam import Extended, Float64, length_weight
from ostinato.pipeline.state import expect
from ostinato.sampling import MAX_LONGEST
from ostinato.streaming.frames import Float32
from ostinato.streaming.hypotheses import Hypotheses
from ostinato.streaming.pool import StatePool
from ostinato.streaming.snapshot import BeamRecord

Int32 = npt.NDArray[np.int32]
TOKEN_BYTES = 4 + 8
"""Of a token and its probability."""


@dataclass(slots=True)
class Finished:
    """The best hypothesis that has ended: its score, and what it has behind the decided tokens, its end token too."""

    score: float
    tokens: Int32
    chances: Float64


class Beam:
    """The hypotheses of one stream, at most ``width``; each holds a slot of ``pool``, until `close`. Raises
    CapacityError."""

    __slots__ = (
        "_grown", "_hypotheses", "best", "chances", "decided", "due", "last", "outputs", "over", "pool", "scores",
        "slots", "tokens", "told", "width",
    )  # fmt: skip

    def __init__(self, pool: StatePool, width: int) -> None:
        self.pool = pool
        self.width = width
        self.slots = pool.acquire_many(width)
        """The first of them are the open hypotheses'."""
        self.told = 0
        """Tokens that were told since it began."""
        self.decided: deque[tuple[int, float]] = deque()
        """Those behind them that all hypotheses have in common, with their probabilities."""
        self.scores: Float64 = np.empty(0)
        """[n] The logarithmic probabilities of the open hypotheses, the best first."""
        self.tokens: Int32 = np.empty((0, 0), np.int32)
        """[n, m] What they have behind the decided tokens."""
        self.chances: Float64 = np.empty((0, 0))
        """[n, m] These tokens' probabilities."""
        self.last: Int32 = np.empty(0, np.int32)
        """[n] The last token of each, decided or not."""
        self.due = False
        """Whether these are yet to be computed."""
        self.outputs: Float32 = np.empty((0, 0), np.float32)
        """[n, vocabulary] What the model gives for the token behind each."""
        self.best: Finished | None = None
        """The best that has ended."""
        self.over = False
        """Whether the search has ended: all is decided."""
        self._hypotheses: Hypotheses | None = None
        self._grown: Int32 | None = None  # the tokens that these had last

    @staticmethod
    def held_bytes(width: int, longest: int, state_bytes: int, vocabulary: int) -> int:
        """Bytes that a beam of so many hypotheses may come to hold, of texts of ``longest`` tokens: its tokens twice,
        as it grows by copies."""
        return (
            width * (state_bytes + 4 * vocabulary)
            + 8 * ABREAST * vocabulary
            + (2 * width + 2) * longest * TOKEN_BYTES
        )

    @property
    def begun(self) -> bool:
        """Whether there are hypotheses, or were."""
        return self.over or len(self.scores) > 0

    @property
    def ahead(self) -> int:
        """Tokens of each open hypothesis that were not told."""
        return len(self.decided) + len(self.tokens.T)

    def begin(self, state: Float32, outputs: Float32) -> None:
        """One hypothesis without tokens, behind what the stream has taken in: its state, and its last outputs."""
        self.pool.rows[self.slots[0]] = state
        self.scores = np.zeros(1)
        self.tokens, self.chances = np.empty((1, 0), np.int32), np.empty((1, 0))
        self.outputs = outputs[None].copy()

    def grow(self, probabilities: bool, end: int | None, limit: int) -> bool:
        """`extend` as long as nothing unusual happens: no hypothesis has ended, is ended now, or has ``limit``
        tokens. False if it does; then nothing has changed. Its ``outputs`` are logits or ``probabilities``."""
        if self.best is not None or self.told + self.ahead + 1 >= limit:
            return False
        if self._hypotheses is None:
            self._hypotheses = Hypotheses(self.width, self.outputs.shape[1])
        all_ = self._hypotheses
        if self.tokens is not self._grown:
            all_.become(self.scores, self.tokens, self.chances, self.slots)
        common = all_.grow(self.outputs, probabilities, end, self.pool.rows, limit - self.told)
        if common is None:
            return False
        self.tokens = self._grown = all_.tokens
        self.chances, self.scores, self.last = all_.chances, all_.scores[: all_.count], all_.last[: all_.count]
        self.slots = all_.slots.tolist()
        self.decided.extend(zip(*common, strict=True))
        self.due = True
        return True

    def extend(self, found: Extended, penalty: float, end: int | None, limit: int) -> None:
        """Let hypotheses go on as ``found`` says, and end the search if no open one can beat the best that has ended,
        or they have ``limit`` tokens. The states of those that go on are copies; their last tokens are
        ``due``, if the search goes on."""
        if found.ended is not None and end is not None:
            parent, total, chance = found.ended
            score = total * length_weight(penalty, self.told + self.ahead + 1)
            if self.best is None or score > self.best.score:
                tokens, chances = self.tokens[parent], self.chances[parent]
                self.best = Finished(score, np.append(tokens, np.int32(end)), np.append(chances, chance))
        self.last = found.tokens.astype(np.int32)
        self.tokens = _longer(self.tokens, found.parents, self.last)
        self.chances = _longer(self.chances, found.parents, found.chances)
        self.scores = found.scores.copy()
        if self.best is not None and self.best.score >= self._attainable(penalty, limit):
            self._finish(self.best.tokens, self.best.chances)
        elif self.told + self.ahead == limit:
            self._finish(self.tokens[0], self.chances[0])
        else:
            self._copy_states(found.parents.tolist())
            self._decide()
            self.due = True

    def _attainable(self, penalty: float, limit: int) -> float:
        """What no open hypothesis can go beyond: its probability only falls, and most of that counts at the limit."""
        return float(self.scores[0]) * length_weight(penalty, limit) if len(self.scores) else -np.inf

    def close(self) -> None:
        """Give the slots back."""
        for slot in self.slots:
            self.pool.release(slot)
        self.slots = []

    def _copy_states(self, parents: list[int]) -> None:
        """Each hypothesis' state is that of its parent: the first child of each takes the slot over."""
        free = [slot for i, slot in enumerate(self.slots) if i not in parents]
        slots: list[int] = []
        copies: list[tuple[int, int]] = []
        for i, parent in enumerate(parents):
            slot = self.slots[parent]
            if parent in parents[:i]:
                copies.append((free[-1], slot))
                slot = free.pop()
            slots.append(slot)
        for to, of in copies:
            self.pool.rows[to] = self.pool.rows[of]
        self.slots = slots + free

    def _decide(self) -> None:
        """Cut off what all hypotheses begin with."""
        most = len(self.tokens.T) if self.best is None else min(len(self.tokens.T), len(self.best.tokens))
        count = 0
        while count < most:  # nearly always few: it costs less than to compare all of them
            tokens = self.tokens[:, count].tolist()
            if tokens.count(tokens[0]) < len(tokens) or (self.best and self.best.tokens[count] != tokens[0]):
                break
            count += 1
        if count:
            self.decided.extend(zip(self.tokens[0, :count].tolist(), self.chances[0, :count].tolist(), strict=True))
            self.tokens, self.chances = self.tokens[:, count:], self.chances[:, count:]
            if self.best is not None:
                self.best.tokens, self.best.chances = self.best.tokens[count:], self.best.chances[count:]

    def _finish(self, tokens: Int32, chances: Float64) -> None:
        """The search has ended with a text that ends so."""
        self.decided.extend(zip(tokens.tolist(), chances.tolist(), strict=True))
        self.over, self.best = True, None
        self.scores, self.last = np.empty(0), np.empty(0, np.int32)
        self.tokens, self.chances = np.empty((0, 0), np.int32), np.empty((0, 0))
        self.outputs = self.outputs[:0]

    # --- snapshots --------------------------------------------------------------------------------------------------

    def packed(self) -> BeamRecord:
        """All of it, for a snapshot."""
        best = self.best or Finished(0.0, np.empty(0, np.int32), np.empty(0))
        return BeamRecord(
            self.told,
            self.scores,
            self.tokens,
            self.chances,
            self.outputs,
            self.pool.rows[self.slots[: len(self.scores)]].astype("<f4").tobytes(),
            self.best.score if self.best is not None else None,
            best.tokens,
            best.chances,
            np.array([token for token, _ in self.decided], np.int32),
            np.array([chance for _, chance in self.decided]),
            self.over,
        )

    def restore(self, kept: BeamRecord, vocabulary: int) -> None:
        """Go on from what was `packed`, with a ``vocabulary`` of so many tokens. Raises SnapshotError."""
        count, length = kept.tokens.shape
        decided = len(kept.decided_tokens)
        expect(0 <= kept.told <= MAX_LONGEST, "the tokens that a beam has told are out of range")
        expect(length + decided + kept.told <= MAX_LONGEST, "a beam's hypotheses are too long")
        expect(count <= self.width and len(kept.scores) == count, "a beam has more hypotheses than it may have")
        expect(kept.chances.shape == kept.tokens.shape, "a beam's probabilities are not of its tokens")
        expect(not count or kept.outputs.shape == (count, vocabulary), "a beam's outputs are not of the model's size")
        expect(bool((np.diff(kept.scores, prepend=0.0) <= 0).all()), "a beam's scores are out of order")
        expect(len(kept.states) == count * self.pool.rows[0].nbytes, "a beam's states are not of the model's size")
        expect(len(kept.decided_chances) == decided, "a beam's probabilities are not of its tokens")
        expect(len(kept.best_chances) == len(kept.best_tokens), "a beam's probabilities are not of its tokens")
        ended = kept.best_score is not None
        expect(len(kept.best_tokens) <= length if ended else not len(kept.best_tokens), "what has ended is too long")
        expect((count > 0) != kept.over or not (count or decided or kept.told or ended), "a beam has no hypotheses")
        expect(not kept.over or (decided > 0 and not ended), "a beam that is over has nothing to tell")
        for tokens in (kept.tokens, kept.best_tokens, kept.decided_tokens):
            expect(bool(((tokens >= 0) & (tokens < vocabulary)).all()), "a beam's tokens are not in the vocabulary")
        self.told, self.over = kept.told, kept.over
        self.scores, self.tokens, self.chances = kept.scores, kept.tokens, kept.chances
        self.outputs = kept.outputs
        if kept.best_score is not None:
            self.best = Finished(kept.best_score, kept.best_tokens, kept.best_chances)
        self.decided.extend(zip(kept.decided_tokens.tolist(), kept.decided_chances.tolist(), strict=True))
        states = np.frombuffer(kept.states, "<f4").reshape(count, -1) if count else self.pool.rows[:0]
        self.pool.rows[self.slots[:count]] = states


def _longer(rows: npt.NDArray[Any], parents: npt.NDArray[np.int64], last: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Those ``rows`` [n, m], each with one value of ``last`` more."""
    length = rows.shape[1]
    longer = np.empty((len(parents), length + 1), rows.dtype)
    longer[:, :length] = rows[parents]
    longer[:, length] = last
    return longer
