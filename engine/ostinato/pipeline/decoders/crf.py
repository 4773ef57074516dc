"""The best path of labels in a linear chain."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ostinato.events import Event
from ostinato.kernels import prepare
from ostinato.kernels.viterbi import viterbi
from ostinato.model.decoders.crf import MAX_KEPT, Crf
from ostinato.pipeline import state as snapshots
from ostinato.pipeline.decoders.decoder import Decoder, counted
from ostinato.pipeline.decoders.undecided import Undecided

F32 = npt.NDArray[np.float32]


@dataclass(slots=True)
class CrfState:
    """``best``, ``back``: the paths so far, as `kernels.viterbi` keeps them; ``back`` grows up to what it needs."""

    best: snapshots.F64Vector
    back: snapshots.U16Matrix
    frames: int = 0


class CrfDecoder(Decoder[Crf, CrfState]):
    """A ``label`` event for each frame, as `specified.Crf` says. ``event.frame`` and ``time_ms`` are those of the
    label's own frame; paths have no probabilities, so ``probability`` is 0."""

    def __init__(self, settings: Crf, frame_ms: float, latency_ms: float, weights: Mapping[str, F32]) -> None:
        """``weights``: ``transitions`` [from, to], ``start`` and ``end`` [labels]."""
        super().__init__(settings, frame_ms, latency_ms)
        prepare(viterbi)
        self.delay = settings.lag
        self._transitions, self._start, self._end = (
            np.array(weights[name]) for name in ("transitions", "start", "end")
        )
        half = MAX_KEPT // len(settings.labels) // 2
        self._undecided = Undecided(half, half) if settings.lag is None else Undecided(settings.lag, 1)

    @property
    def state_bytes(self) -> int:
        """With all that is undecided at most."""
        return len(self.settings.labels) * (8 + 2 * self._undecided.most)

    def start(self) -> CrfState:
        """A fresh state."""
        labels = len(self.settings.labels)
        return CrfState(np.zeros(labels), np.empty((0, labels), np.uint16))

    def step(self, state: CrfState, outputs: F32) -> list[Event]:
        """The labels that the rows of ``outputs`` [n, labels] decide."""
        if not len(outputs):
            return []
        first, state.frames = state.frames, state.frames + len(outputs)
        if len(state.back) < (rows := self._undecided.rows(state.frames)):
            state.back = np.concatenate((state.back, np.zeros((rows - len(state.back), outputs.shape[1]), np.uint16)))
        found = np.empty(len(outputs) + self._undecided.batch, np.int64)
        count = viterbi(
            np.ascontiguousarray(outputs), first, self._transitions, self._start, state.best,
            np.empty(outputs.shape[1]), state.back, self._undecided.lag, self._undecided.batch, found,
        )  # fmt: skip
        return self._events(self._undecided.decided(first), found[:count].tolist())

    def flush(self, state: CrfState) -> list[Event]:
        """The labels of the frames that are left."""
        decided, found = self._undecided.decided(state.frames), list[int]()
        label = int((state.best + self._end).argmax())
        for t in range(state.frames - 1, decided - 1, -1):
            found.append(label)
            label = int(state.back[t % self._undecided.most, label])
        return self._events(decided, found[::-1])

    def restore(self, packed: object) -> CrfState:
        """The state that `state.pack` packed. Raises SnapshotError."""
        state, labels = counted(snapshots.unpack(CrfState, packed)), len(self.settings.labels)
        fits = len(state.best) == labels and state.back.shape == (self._undecided.rows(state.frames), labels)
        snapshots.expect(fits and int(state.back.max(initial=0)) < labels, "state.best or state.back is not right")
        return state

    def _events(self, first: int, labels: list[int]) -> list[Event]:
        names = self.settings.labels
        return [Event("label", t, self.time_ms(t), names[k], k) for t, k in enumerate(labels, first)]
