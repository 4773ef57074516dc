"""Attention over what an encoder has made of the source."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np
import numpy.typing as npt

from ostinato.errors import BadModelFileError
from ostinato.model.layers.layer import Layer, only_vector
from ostinato.model.wire import Weight, Wire

if TYPE_CHECKING:
    from ostinato.model.lowering import Lowering, Value


@dataclass(frozen=True)
class Attention(Layer):
    """The sum of the values v<j> of all frames that the encoder has made so far, each times a<j>, a = softmax over
    the frames of how well their keys k<j> fit the query. Inputs: query, keys, values, the latter two of the encoder.

    ``score`` "dot" is ``scale`` * query · key (Luong et al. 2015, "Effective Approaches to Attention-based Neural
    Machine Translation"; a dense layer below the query or the keys makes it their "general" one). "additive" is v ·
    tanh(query + key) with weights v [size of a key] (Bahdanau et al. 2015, "Neural Machine Translation by Jointly
    Learning to Align and Translate"), whose projections are dense layers: that of the keys the encoder's, so that it
    is made once of each frame.
    """

    score: Literal["dot", "additive"] = "dot"
    scale: float = field(default=1.0, kw_only=True)

    kind: ClassVar[str] = "attention"
    memories: ClassVar[tuple[int, ...]] = (1, 2)

    def check(self) -> None:
        """Only a dot product is scaled."""
        super().check()
        if self.scale == 0 or (self.score == "additive" and self.scale != 1):
            raise BadModelFileError(
                f"attention: scale = {self.scale:g} is 0, or of scores that are not scaled: leave it out"
            )

    def output(self, inputs: Sequence[Wire]) -> Wire:
        """The context: as many values as there are in the third input."""
        if len(inputs) != 3:
            raise BadModelFileError(f"takes a query, keys and values, not {len(inputs)} inputs")
        self.check_memories(inputs)
        query, keys, values = only_vector(inputs[:1]), *inputs[1:]
        if query.size != keys.size:
            raise BadModelFileError(
                f"compares a query of {query.size} values with keys of {keys.size}: put a dense layer below one"
            )
        return Wire(values.size)

    def weights(self, inputs: Sequence[Wire]) -> Mapping[str, Weight]:
        """v, of additive scores."""

        def uniform(generator: np.random.Generator, shape: tuple[int, ...]) -> npt.NDArray[np.float32]:
            bound = 1 / np.sqrt(shape[0])
            return generator.uniform(-bound, bound, shape).astype(np.float32)

        return {"v": Weight((inputs[0].size,), uniform)} if self.score == "additive" else {}

    def lower(self, to: Lowering, name: str, inputs: Sequence[Value]) -> Value:
        """One operation."""
        query, keys, values = inputs
        out = to.value(Wire(values.wire.size))
        additive = self.score == "additive"
        to.add(
            "attention", query, out, variant=additive, keys=keys.region.offset, values=values.region.offset,
            W=to.values(to.weights[f"{name}.v"]) if additive else to.number(self.scale),
        )  # fmt: skip
        return out
