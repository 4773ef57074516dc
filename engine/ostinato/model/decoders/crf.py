"""Linear-chain conditional random fields."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from ostinato.errors import BadModelFileError
from ostinato.model.decoders.decoder import Decoder
from ostinato.model.wire import Weight, Wire, zeros

MAX_LABELS = 4096
MAX_KEPT = 1 << 20
"""The most steps of paths that a stream keeps: frames times labels."""


@dataclass(frozen=True)
class Crf(Decoder):
    """The best path of labels in a linear chain (Lafferty, McCallum and Pereira 2001; Viterbi 1967): outputs are the
    labels' scores x in each frame, and the weights, all natural logarithms, say how labels follow each other:

        start[y0] + x[0, y0] + transitions[y0, y1] + x[1, y1] + … + end[yn]        is the largest it can be

    ``head.<name>.transitions`` [from, to], ``head.<name>.start`` and ``head.<name>.end`` [labels], with the head's
    name.

    ``lag`` None: the path is known at the utterance's end, whole. (A path longer than 2^20 / labels frames is told in
    halves before that: by then it has nearly always only one beginning.) Else the label of a frame is told ``lag``
    frames later: that of the best path so far, which need not be the best one at the end.
    """

    labels: tuple[str, ...]
    lag: int | None = None

    kind: ClassVar[str] = "crf"
    of_probabilities: ClassVar[bool] = False

    @property
    def separator(self) -> str:  # type: ignore[override]
        """Nothing if labels are characters, else a space."""
        return "" if all(len(label) <= 1 for label in self.labels) else " "

    @property
    def names(self) -> tuple[str, ...]:
        """The labels."""
        return self.labels

    def weights(self, wire: Wire) -> Mapping[str, Weight]:
        """Nothing follows anything more likely, to begin with."""
        labels = len(self.labels)
        shapes = {"transitions": (labels, labels), "start": (labels,), "end": (labels,)}
        return {name: Weight(shape, zeros) for name, shape in shapes.items()}

    def check(self) -> None:
        """Labels, and a path that can be kept."""
        if not 0 < len(self.labels) <= MAX_LABELS:
            raise BadModelFileError(f"decoder: {len(self.labels)} labels are not 1 to {MAX_LABELS}")
        most = MAX_KEPT // len(self.labels)
        if self.lag is not None and not 0 <= self.lag < most:
            raise BadModelFileError(
                f"decoder: lag = {self.lag} is not from 0 to {most - 1}, the most for {len(self.labels)} labels"
            )
