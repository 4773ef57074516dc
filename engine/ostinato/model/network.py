"""A network: a specification and its weights, immutable and complete."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ostinato.errors import BadModelFileError
from ostinato.model.specification import ENCODER, Specification
from ostinato.model.wire import Weight

if TYPE_CHECKING:
    from ostinato.kernels.program import Program
    from ostinato.kernels.stages import Stages
    from ostinato.model.lowering import Compiled

Array = npt.NDArray[Any]
"""Of float32, or of int8 for a matrix."""
MAX_WEIGHT_BYTES = 1 << 30
"""The largest model that is read, written or made: 1 GiB of weights (268 million)."""


@dataclass(frozen=True, eq=False)
class Network:
    """What a model file holds: a specification and exactly the weights that
    `Specification.weights` lists.

    The arrays are copied, so that nobody can change them afterwards, and read-only. Raises BadModelFileError naming
    the first weight that is missing, unused, of another shape or dtype, not finite, of int8 that could overflow, or
    of values that its layer cannot mean.
    """

    specification: Specification
    weights: Mapping[str, Array]
    encoder: Network | None = field(init=False)
    """What makes the memory that this one looks up: its only head gives what all heads of the specification's encoder
    do, side by side."""

    def __post_init__(self) -> None:
        wanted = self.specification.weights()
        check_weights({name: (array.dtype.name, array.shape) for name, array in self.weights.items()}, wanted)
        encoder = self._encoder()
        object.__setattr__(self, "encoder", encoder)
        weights = {f"{ENCODER}.{name}": array for name, array in (encoder.weights if encoder else {}).items()}
        weights = {name: weights[name] if name in weights else _frozen(name, self.weights[name]) for name in wanted}
        for name, weight in wanted.items():
            if weight.int8 and not name.startswith(f"{ENCODER}."):
                from ostinato.model.integers import check_integers  # loads Numba, which float32 networks need not

                check_integers(name, weights[name], weights[f"{name}_scale"], weights[f"{name}_input_scale"])
        for node in self.specification.nodes:
            parts = node.layer.weights(self.specification.inputs(node))
            try:
                node.layer.check_weights({part: weights[f"{node.name}.{part}"] for part in parts})
            except BadModelFileError as error:
                raise BadModelFileError(f"weight {node.name}.{error}") from error.__cause__
        object.__setattr__(self, "weights", MappingProxyType(weights))

    def _encoder(self) -> Network | None:
        encoding, prefix = self.specification.encoding, f"{ENCODER}."
        if encoding is None:
            return None
        own = {name.removeprefix(prefix): x for name, x in self.weights.items() if name.startswith(prefix)}
        try:
            return Network(encoding, own)
        except BadModelFileError as error:
            raise BadModelFileError(f"the encoder: {error}") from error.__cause__

    @cached_property
    def compiled(self) -> Compiled:
        """The network for the kernels; compiled when first asked for."""
        from ostinato.model.compile import compile_network  # loads Numba, which reading a model file need not

        return compile_network(self.specification, self.weights)

    @property
    def program(self) -> Program:
        """What streams run: all nodes, or those of the last stage."""
        return self.compiled.program

    @property
    def stages(self) -> Stages | None:
        """What comes before the program, if nodes re-frame."""
        return self.compiled.stages

    @cached_property
    def digest(self) -> str:
        """SHA-256 (hex) of the specification and all weights: equal for equal networks on every machine."""
        total = hashlib.sha256(self.specification.to_json().encode())
        for name, array in sorted(self.weights.items()):
            total.update(f"\0{name}{array.shape}\0".encode())
            total.update(array.astype(array.dtype.newbyteorder("<"), copy=False).tobytes())
        return total.hexdigest()

    @property
    def size(self) -> int:
        """Number of weights."""
        return sum(array.size for array in self.weights.values())

    @property
    def nbytes(self) -> int:
        """Bytes of all weights."""
        return sum(array.nbytes for array in self.weights.values())

    @staticmethod
    def random(specification: Specification, seed: int = 0) -> Network:
        """A network to start learning from.

        Each layer says what its weights start from. The front end's normalisation starts as none. Raises
        BadModelFileError for an int8 specification.
        """
        if specification.precision == "int8":
            raise BadModelFileError(
                "an int8 network is made from a float32 one: take precision out of the specification, then quantize"
            )
        wanted = specification.weights()
        check_weights({name: ("float32", weight.shape) for name, weight in wanted.items()}, wanted)
        generator = np.random.default_rng(seed)
        return Network(specification, {n: weight.initial(generator, weight.shape) for n, weight in wanted.items()})


def check_weights(have: Mapping[str, tuple[str, tuple[int, ...]]], wanted: Mapping[str, Weight]) -> None:
    """Raise BadModelFileError unless ``have`` (name -> dtype name, shape) is what is ``wanted``, and within
    bounds."""
    if missing := sorted(set(wanted) - set(have)):
        raise BadModelFileError(
            f"weight {missing[0]} is missing: its node is in the specification; write the file again"
        )
    if unused := sorted(set(have) - set(wanted)):
        raise BadModelFileError(f"weight {unused[0]} is unused: no node of the specification has it; leave it out")
    for name, (dtype, shape) in have.items():
        if dtype != (need := _dtype(wanted[name])):
            raise BadModelFileError(f"weight {name} is of type {dtype}: convert it to {need}")
        if tuple(shape) != wanted[name].shape:
            raise BadModelFileError(
                f"weight {name} has shape {list(shape)}, the specification says {list(wanted[name].shape)}"
            )
    total = sum(math.prod(weight.shape) * np.dtype(_dtype(weight)).itemsize for weight in wanted.values())
    if total > MAX_WEIGHT_BYTES:
        raise BadModelFileError(
            f"{total} bytes of weights are over the limit of {MAX_WEIGHT_BYTES}: use smaller layers"
        )


def _dtype(weight: Weight) -> str:
    return "int8" if weight.int8 else "float32"


def _frozen(name: str, array: Array) -> Array:
    copy = np.array(array, order="C")
    if not np.isfinite(copy).all():
        raise BadModelFileError(
            f"weight {name} has NaN or infinite values: the training diverged; use an earlier file"
        )
    copy.flags.writeable = False
    return copy
