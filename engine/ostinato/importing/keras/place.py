"""A layer at one place of a graph: what its converter needs to know, and may do."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from ostinato.errors import ForeignModelError
from ostinato.importing.builder import Builder
from ostinato.importing.draft import Decision
from ostinato.model.layers import Layer, Slice, Within

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Value:
    """What a layer gave: a node of ours, and what of its frames Keras has: all; one of the utterance, last or
    mean; or one, as there is no axis of time. ``padding``: frames of zeros that Keras has at the ends.
    ``positions``: how many a frame has, one behind the other; 0 where it is a plain vector."""

    node: str
    time: Literal["all", "last", "mean", "none"] = "all"
    padding: tuple[int, int] = (0, 0)
    positions: int = 0

    @property
    def frames(self) -> bool:
        """Whether Keras has an axis of time."""
        return self.time == "all"


@dataclass
class Making:
    """What is being made of a file. ``told``: what was decided, each once."""

    builder: Builder
    version: str
    told: dict[Decision, None] = field(default_factory=dict)

    @property
    def major(self) -> int:
        """Of Keras's version; 2 where the file says none, as old ones do."""
        first = self.version.partition(".")[0]
        return int(first) if first.isdigit() else 2


@dataclass(frozen=True)
class Place:
    """``kind``: the layer's class; ``config``: its settings; ``inputs``: what it reads; ``arrays``: its weights, in
    Keras's order. ``constants``: arguments that are numbers; ``leads``: whether the first is one. ``along``: it works
    within each frame, along its positions, which are to it what frames are to others (below TimeDistributed)."""

    making: Making
    name: str
    kind: str
    config: dict[str, Any]
    inputs: Sequence[Value]
    arrays: list[Array]
    constants: Sequence[Any] = ()
    leads: bool = False
    along: bool = False

    def refusal(self, why: str) -> ForeignModelError:
        """The error that names it."""
        return ForeignModelError(f"layer {self.name!r} ({self.kind}) {why}")

    def tell(self, subject: str, text: str) -> None:
        """Something was decided."""
        self.making.told[Decision(subject, text)] = None

    # --- settings ---------------------------------------------------------------------------------------------------

    def setting(self, name: str, default: Any = None) -> Any:
        """Of the configuration; None as if it were not there."""
        value = self.config.get(name)
        return default if value is None else value

    def flag(self, name: str, default: bool = False) -> bool:
        """One that is true or false."""
        value = self.setting(name, default)
        if not isinstance(value, bool):
            raise self.refusal(f"has {name} {value!r}, not true or false")
        return value

    def number(self, name: str, default: float) -> float:
        """One that is a number."""
        value = self.setting(name, default)
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise self.refusal(f"has {name} {str(value)[:40]!r}, no number")
        return float(value)

    def size(self, name: str, default: int | None = None) -> int:
        """One that is a whole number from 1, or a list of one."""
        value = self.setting(name, default)
        if isinstance(value, list) and len(value) == 1:
            value = value[0]
        if type(value) is not int or value < 1:
            raise self.refusal(f"has {name} {str(value)[:40]!r}, not a whole number from 1")
        return value

    def check_last_axis(self, name: str = "axis") -> None:
        """Raise ForeignModelError unless it works on the values of a frame."""
        axis = self.setting(name, -1)
        axis = axis[0] if isinstance(axis, list) and len(axis) == 1 else axis
        if axis not in (-1, self.last_axis(self.one())):
            raise self.refusal(f"works along {name} {axis}: only along the last, a frame's values, is read here")

    def last_axis(self, value: Value) -> int:
        """The number of the axis of a frame's values, or of a position's."""
        return 1 + value.frames + (value.positions > 0 and not self.along)

    def check_channels_last(self) -> None:
        """Raise ForeignModelError for frames that are columns."""
        if self.setting("data_format", "channels_last") != "channels_last":
            raise self.refusal("has channels first: save it with channels last")

    # --- inputs -----------------------------------------------------------------------------------------------------

    def one(self) -> Value:
        """The only input."""
        if len(self.inputs) != 1 or self.constants:
            count = len(self.inputs) + len(self.constants)
            raise self.refusal(f"is called with {count} arguments, and one is read here")
        return self.usable(self.inputs[0])

    def usable(self, value: Value) -> Value:
        """An input whose frames are there as they are."""
        if value.padding != (0, 0):
            raise self.refusal("reads padding: zeros are read here right below a convolution without padding")
        if value.time == "mean":
            raise self.refusal(
                "reads the mean over the utterance, which only a decoder takes: put it below, and the mean last"
            )
        return value

    def over_time(self) -> Value:
        """The only input, which has frames."""
        value = self.one()
        if not value.frames:
            why = "only the last frame" if value.time == "last" else "no axis of time"
            raise self.refusal(f"works over time, and what is below it has {why}")
        if value.positions and not self.along:
            raise self.refusal("works over time, and what is below it has positions in each frame: flatten these")
        return value

    @property
    def inputs_size(self) -> int:
        """Values of the first input's frames, or of each of their positions."""
        return self.making.builder.wires[self.inputs[0].node].size // max(1, self.inputs[0].positions)

    # --- weights ----------------------------------------------------------------------------------------------------

    def shaped(self, *shapes: tuple[int, ...]) -> list[Array]:
        """All its weights, which must be of these shapes."""
        found = [array.shape for array in self.arrays]
        if found != list(shapes):
            have = ", ".join(str(list(shape)) for shape in found) or "none"
            want = ", ".join(str(list(shape)) for shape in shapes) or "none"
            raise self.refusal(f"has weights {have}, and its settings need {want}: the file is damaged")
        return self.arrays

    def with_bias(self, *shapes: tuple[int, ...], bias: tuple[int, ...]) -> list[Array]:
        """The same, and a bias: zeros if it uses none."""
        if self.flag("use_bias", True):
            return self.shaped(*shapes, bias)
        return [*self.shaped(*shapes), np.zeros(bias, np.float32)]

    # --- what is made -----------------------------------------------------------------------------------------------

    def add(
        self, layer: Layer, inputs: Sequence[str], weights: dict[str, Array] | None = None, suffix: str = ""
    ) -> str:
        """A node, named after the layer; over the positions of the input's frames, if they have any."""
        name, positions = f"{self.name}-{suffix}" if suffix else self.name, self.inputs[0].positions
        layer = Within(positions, layer) if positions else layer
        return self.making.builder.add(layer, inputs, weights, name=name, origin=f"layer {self.name!r} ({self.kind})")

    def made(self, layer: Layer, weights: dict[str, Array] | None = None, value: Value | None = None) -> Value:
        """A layer of ours that reads the only input, or ``value``, and has the same frames."""
        value = value or self.one()
        positions = Within(value.positions, layer).counts[-1] if value.positions else 0
        if value.positions and positions < 1:
            raise self.refusal(f"has windows that do not fit into {value.positions} positions")
        place = replace(self, inputs=[value])
        return replace(value, node=place.add(layer, [value.node], weights), positions=positions)

    def picked(self, value: Value, position: int) -> Value:
        """One position of each frame, which is the frame then."""
        size = self.making.builder.wires[value.node].size // value.positions
        node = self.making.builder.add(Slice(position * size, size), [value.node], name=f"{self.name}-position")
        return replace(value, node=node, positions=0)

    def within(self, config: Any, what: str, arrays: list[Array], inputs: Sequence[Value]) -> Place:
        """A layer inside this one, such as a wrapper's."""
        if not isinstance(config, dict) or not isinstance(config.get("config"), dict):
            raise self.refusal(f"has no {what} that can be read")
        kind = str(config.get("class_name"))
        return Place(self.making, self.name, kind, config["config"], inputs, arrays, along=self.along)


Converter = Callable[[Place], Value]
"""What makes nodes of a layer; its only output, or its first."""
