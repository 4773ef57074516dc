"""A network that learns: forward over a batch, backward through time."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import numpy as np
import numpy.typing as npt

from ostinato.errors import DtypeError, ShapeError, TrainingError, UnknownTokenError
from ostinato.model.front_ends import FrontEnd, Tokens
from ostinato.model.network import Network
from ostinato.model.specification import ENCODER, FRONT_END, Specification
from ostinato.training import links
from ostinato.training.batching import Sources
from ostinato.training.packing import Array, Learning
from ostinato.training.tape import Tape


class TrainableNetwork:
    """The graph of a specification with weights that change. It learns for all of its heads.

    ``parameters``: every weight of a node by its name in the model file, in ``dtype``; change them in place.
    ``constants``: the other weights (``front_end.*``), passed through to `weights`. ``dropout``: the share of values
    dropped between layers while training; ``recurrent_dropout``: of the states that layers with recurrent matrices
    multiply, the same values at all steps of a sequence. ``left_to_loss``, by head: a softmax that the head reads, or
    the sigmoid of such a dense layer, is not computed by `forward`, whose outputs are then logits: losses take them
    so, for the precision; `activate` computes it. ``fixed`` nodes keep the weights that they are given, and nothing
    that they give is dropped: they read the front end, or each other.
    """

    def __init__(
        self,
        specification: Specification,
        dtype: npt.DTypeLike = np.float32,
        seed: int = 0,
        *,
        weights: Mapping[str, npt.NDArray[np.float32]] | None = None,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        fixed: Collection[str] = (),
    ) -> None:
        """Start from ``weights`` (float32, all of them), or from random ones by ``seed`` (`Network.random`).

        Raises BadModelFileError if the specification or the weights are inconsistent, TrainingError for a dropout
        outside [0, 1), an int8 specification, or fixed nodes that there are not, or above ones that learn.
        """
        if specification.precision == "int8":
            raise TrainingError("a network learns in float32: train that, then quantize it")
        for name, rate in (("dropout", dropout), ("recurrent_dropout", recurrent_dropout)):
            if not 0 <= rate < 1:
                raise TrainingError(f"{name} = {rate} is not from 0 up to, but without, 1")
        _check_fixed(specification, fixed)
        start = Network.random(specification, seed) if weights is None else Network(specification, weights)
        self.specification, self.dtype = specification, np.dtype(dtype)
        self.parameters = {
            name: np.array(value, self.dtype, order="C")
            for name, value in start.weights.items()
            if not name.startswith((f"{FRONT_END}.", f"{ENCODER}.{FRONT_END}."))
        }
        self.constants = {name: value.copy() for name, value in start.weights.items() if name not in self.parameters}
        self.dropouts, self.fixed = (dropout, recurrent_dropout), frozenset(fixed)
        self._tape = self.tape()
        self.left_to_loss = self._tape.left

    @property
    def feeds_back(self) -> bool:
        """Whether what it gives at a step is its next input, where nobody tells it a better one."""
        heads = self.specification.heads
        return len(heads) == 1 and heads[0].decoder.feeds_back

    def tape(self) -> Tape:
        """Another one beside that of `forward` and `backward`: for a thread of its own."""
        return Tape(self.specification, self.dtype, *self.dropouts, fixed=self.fixed)

    def forward(
        self, x: Array, lengths: npt.ArrayLike, learning: Learning | None = None, sources: Sources | None = None
    ) -> dict[str, Array]:
        """Outputs [B, T, O] of each head, of frames [B, T, I] or token ids [B, T]; ``lengths`` [B] in frames, beyond
        them 0.

        ``learning`` says how, while the network learns; None (the default, for evaluation) drops nothing, and
        normalises batches by the weights. ``sources``: what the encoder reads, if there is one. Raises ShapeError,
        DtypeError or UnknownTokenError.
        """
        return self._tape.forward(self.parameters, self.checked(x), lengths, learning, self.checked_sources(sources))

    def output_lengths(self, lengths: npt.ArrayLike) -> dict[str, npt.NDArray[np.int64]]:
        """How many frames come out of sequences of ``lengths`` [B] frames, by head."""
        staging = self.specification.staging
        counts = staging.length(np.asarray(lengths, np.int64))
        return {head.name: counts[staging.of[head.node]] for head in self.specification.heads}

    def output_shapes(self, x: Array, lengths: npt.ArrayLike) -> dict[str, tuple[int, int, int]]:
        """[B, T, O] of what `forward` gives of inputs ``x``, by head."""
        specification, counts = self.specification, self.output_lengths(lengths)
        frames = {
            head.name: int(counts[head.name].max(initial=0)) if specification.staging.of[head.node] else x.shape[1]
            for head in specification.heads
        }
        return {
            head.name: (len(x), frames[head.name], specification.wires[head.node].size)
            for head in specification.heads
        }

    def backward(self, d_outputs: Mapping[str, Array]) -> dict[str, Array]:
        """Gradients of the weights by name, from those of the last `forward`'s outputs [B, T, O] by head. Weights
        that only heads without one read have none."""
        return self._tape.backward(self.parameters, d_outputs)

    def settle(self, passes: Sequence[Learning]) -> None:
        """Take over the statistics of a batch after the step that it gave: the mean of those of its passes."""
        for name in dict.fromkeys(name for each in passes for name in each.statistics):
            found = [each.statistics[name] for each in passes if name in each.statistics]
            self.parameters[name][:] = sum(found[1:], found[0]) / len(found)

    def activate(self, outputs: Mapping[str, Array]) -> dict[str, Array]:
        """What the model will output: `forward`'s outputs after what was left to the loss."""
        return {head: links.apply(self.left_to_loss[head], each) for head, each in outputs.items()}

    def weights(self) -> dict[str, npt.NDArray[np.float32]]:
        """All weights of the model file, float32: a copy of the parameters, and the constants."""
        current = self.parameters | self.constants
        return {name: np.array(current[name], np.float32) for name in self.specification.weights()}

    def checked(self, x: npt.ArrayLike) -> Array:
        """Inputs of `forward` as it takes them. Raises as that does."""
        return _checked(x, self.specification.front_end)

    def checked_sources(self, sources: Sources | None) -> Sources | None:
        """What the encoder of `forward` reads, as it takes it. Raises as that does, and TrainingError for sources
        that are missing, or that no encoder reads."""
        encoder = self._tape.encoder
        if (sources is None) != (encoder is None):
            raise TrainingError(
                "the network has no encoder, and a batch has sources: leave them out"
                if encoder is None
                else "the network has an encoder: a batch needs sources for it"
            )
        if sources is None or encoder is None:
            return None
        lengths = np.asarray(sources.lengths, np.int64)
        if np.any(encoder.lengths(lengths) < 1):
            raise ShapeError("a source is too short: the encoder must make one frame of each at least")
        if sources.wait is not None and (sources.wait < 1 or encoder.specification.direction != "unidirectional"):
            raise TrainingError(
                f"wait = {sources.wait}: 1 at least, and the encoder must not read its source from the end"
            )
        return Sources(_checked(sources.inputs, encoder.specification.front_end), lengths, sources.wait)


def _check_fixed(specification: Specification, fixed: Collection[str]) -> None:
    """Raise TrainingError for nodes that there are not, or that would keep others from learning."""
    inputs = {node.name: node.inputs for node in specification.nodes}
    for name in fixed:
        if name not in inputs:
            raise TrainingError(f"{name!r} is to be fixed, and no node: {', '.join(inputs)} are")
        if above := [each for each in inputs[name] if not specification.wires[each].token and each not in fixed]:
            raise TrainingError(f"node {name!r} is to be fixed, above {above[0]!r}, which learns: fix that too")


def _checked(x: npt.ArrayLike, front_end: FrontEnd) -> Array:
    x = np.asarray(x)
    if isinstance(front_end, Tokens):
        if x.ndim != 2 or x.dtype.kind not in "iu":
            raise DtypeError(
                f"inputs are {x.dtype} {x.shape}: this network takes token ids, integers [sequence, step]"
            )
        size = len(front_end.vocabulary)
        if x.size and not 0 <= x.min() <= x.max() < size:
            raise UnknownTokenError(f"token ids are from {x.min()} to {x.max()}, the vocabulary has 0 to {size - 1}")
    elif x.ndim != 3 or x.shape[2] != front_end.frame_size:
        raise ShapeError(f"inputs are {x.shape}: this network takes frames [sequence, frame, {front_end.frame_size}]")
    return x
