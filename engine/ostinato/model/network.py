"""A network: a specification and its weights, immutable and complete."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ostinato.errors import BadModelFileError
from ostinato.model.specification import Lstm, Specification, is_int8, weight_shapes

if TYPE_CHECKING:
    from ostinato.kernels.program import Program

Float32 = npt.NDArray[np.float32]
Weight = npt.NDArray[Any]
"""float32, or the int8 of a matrix."""
MAX_WEIGHT_BYTES = 1 << 30
"""The largest model that is read, written or made: 1 GiB of weights (268 million)."""


@dataclass(frozen=True, eq=False)
class Network:
    """What a model file holds: a specification and exactly the weights that `weight_shapes` lists.

    The arrays are copied, so that nobody can change them afterwards, and read-only. Raises BadModelFileError naming
    the first weight that is missing, unused, of another shape or dtype, not finite, or of int8 that could overflow.
    """

    specification: Specification
    weights: Mapping[str, Weight]

    def __post_init__(self) -> None:
        wanted = weight_shapes(self.specification)
        check_weights({name: (array.dtype.name, array.shape) for name, array in self.weights.items()}, wanted)
        weights = {name: _frozen(name, self.weights[name]) for name in wanted}
        for name in wanted:
            if is_int8(name, wanted):
                from ostinato.model.integers import check_integers  # loads Numba, which float32 networks need not

                check_integers(name, weights[name], weights[f"{name}_scale"], weights[f"{name}_input_scale"])
        object.__setattr__(self, "weights", MappingProxyType(weights))

    @cached_property
    def program(self) -> Program:
        """The network as a program of the kernels; compiled when first asked for."""
        from ostinato.model.compile import compile_network  # loads Numba, which reading a model file need not

        return compile_network(self.specification, self.weights)

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

        Input weights uniform (Glorot and Bengio 2010), recurrent ones orthogonal per gate (Saxe et al. 2014),
        embeddings normal, biases and peepholes zero but for the LSTM's forget gate, 1 (Jozefowicz et al. 2015). The
        front end's normalisation starts as none. Raises BadModelFileError for an int8 specification.
        """
        if specification.precision == "int8":
            raise BadModelFileError(
                "an int8 network is made from a float32 one: take precision out of the specification, then quantize"
            )
        shapes = weight_shapes(specification)
        check_weights({name: ("float32", shape) for name, shape in shapes.items()}, shapes)
        generator = np.random.default_rng(seed)
        weights = {name: _initial(specification, name, shape, generator) for name, shape in shapes.items()}
        return Network(specification, weights)


def check_weights(have: Mapping[str, tuple[str, tuple[int, ...]]], wanted: Mapping[str, tuple[int, ...]]) -> None:
    """Raise BadModelFileError unless ``have`` (name -> dtype name, shape) is what is ``wanted``, and within
    bounds."""
    if missing := sorted(set(wanted) - set(have)):
        raise BadModelFileError(
            f"weight {missing[0]} is missing: its layer is in the specification; write the file again"
        )
    if unused := sorted(set(have) - set(wanted)):
        raise BadModelFileError(f"weight {unused[0]} is unused: no layer of the specification has it; leave it out")
    for name, (dtype, shape) in have.items():
        if dtype != (need := _dtype(name, wanted)):
            raise BadModelFileError(f"weight {name} is of type {dtype}: convert it to {need}")
        if tuple(shape) != wanted[name]:
            raise BadModelFileError(
                f"weight {name} has shape {list(shape)}, the specification says {list(wanted[name])}"
            )
    sizes = (int(np.prod(shape, dtype=object)) * np.dtype(_dtype(n, wanted)).itemsize for n, shape in wanted.items())
    if (total := sum(sizes)) > MAX_WEIGHT_BYTES:
        raise BadModelFileError(
            f"{total} bytes of weights are over the limit of {MAX_WEIGHT_BYTES}: use smaller layers"
        )


def _dtype(name: str, shapes: Mapping[str, tuple[int, ...]]) -> str:
    return "int8" if is_int8(name, shapes) else "float32"


def _frozen(name: str, array: Weight) -> Weight:
    copy = np.array(array, order="C")
    if not np.isfinite(copy).all():
        raise BadModelFileError(
            f"weight {name} has NaN or infinite values: the training diverged; use an earlier file"
        )
    copy.flags.writeable = False
    return copy


def _initial(
    specification: Specification, name: str, shape: tuple[int, ...], generator: np.random.Generator
) -> Float32:
    part = name.rsplit(".", 1)[1]
    if part == "W":
        bound = np.sqrt(6 / (_fan_out(specification, name, shape) + shape[1]))
        return generator.uniform(-bound, bound, shape).astype(np.float32)
    if part == "R":
        square = generator.normal(size=(shape[0] // shape[1], shape[1], shape[1]))
        q, r = np.linalg.qr(square)  # the signs of r's diagonal make the distribution uniform (Mezzadri 2007)
        orthogonal: Float32 = (q * np.sign(np.einsum("gii->gi", r))[:, None, :]).reshape(shape).astype(np.float32)
        return orthogonal
    if part == "E":
        return generator.normal(size=shape).astype(np.float32)
    values = np.full(shape, 1 if part == "scale" else 0, np.float32)
    layer = specification.layers[int(name.split(".")[1])] if name.startswith("layers.") else None
    if part == "Wb" and isinstance(layer, Lstm):
        values[2 * layer.hidden : 3 * layer.hidden] = 1  # gates i o f c
    return values


def _fan_out(specification: Specification, name: str, shape: tuple[int, ...]) -> int:
    layer = specification.layers[int(name.split(".")[1])]
    return shape[0] // getattr(layer, "gates", 1)
