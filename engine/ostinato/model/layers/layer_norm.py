"""Layer normalisation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from ostinato.model.layers.layer import Array, Layer, check_epsilon, only_vector
from ostinato.model.wire import Weight, Wire, ones, zeros

if TYPE_CHECKING:
    from ostinato.model.lowering import Lowering, Value


@dataclass(frozen=True)
class LayerNorm(Layer):
    """y = gamma (x - mean x) / sqrt(mean (x - mean x)^2 + epsilon) + beta over the values of a frame, with weights
    gamma and beta [size]. ONNX LayerNormalization over the last axis (Ba, Kiros and Hinton 2016)."""

    epsilon: float = 1e-5

    kind: ClassVar[str] = "layer-norm"

    def check(self) -> None:
        """An epsilon above zero."""
        check_epsilon(self.kind, self.epsilon)

    def output(self, inputs: Sequence[Wire]) -> Wire:
        """As many as come in."""
        return Wire(only_vector(inputs).size)

    def weights(self, inputs: Sequence[Wire]) -> Mapping[str, Weight]:
        """Gamma and beta."""
        size = only_vector(inputs).size
        return {"gamma": Weight((size,), ones), "beta": Weight((size,), zeros)}

    def scaled(self, weights: Mapping[str, Array], a: Array, b: Array) -> Mapping[str, Array] | None:
        """Gamma and beta times a."""
        return {"gamma": a * weights["gamma"], "beta": a * weights["beta"] + b}

    def lower(self, to: Lowering, name: str, inputs: Sequence[Value]) -> Value:
        """One operation."""
        out = to.value(self.output([value.wire for value in inputs]))
        gamma, beta = (to.values(to.weights[f"{name}.{part}"]) for part in ("gamma", "beta"))
        to.add("layer-norm", inputs[0], out, W=gamma, bias=beta, epsilon=to.number(self.epsilon))
        return out
