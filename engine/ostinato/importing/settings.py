"""What a user says of a foreign model that its file does not: a TOML file, or keyword arguments.

The tables ``front_end`` and ``decoder`` are as in a model file; without them a model takes ready frames or token ids,
and gives raw outputs. ``fixed`` are inputs of a graph that always have the same value:

    name = "kws"
    frame_ms = 10.0
    front_end = {kind = "log-mel", mels = 40}
    decoder = {kind = "labels", labels = ["silence", "yes", "no"]}
    fixed = {sr = 16000}
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ostinato.bounded import check_json
from ostinato.errors import BadModelFileError, ForeignModelError
from ostinato.model.decoders import DECODERS, Decoder
from ostinato.model.front_ends import FRONT_ENDS, FrontEnd
from ostinato.model.limits import MAX_CONTAINERS, MAX_VALUES
from ostinato.model.strict_json import decode

MAX_BYTES = 1 << 20
"""Of a settings file."""
_FIELDS = ("name", "description", "licence", "frame_ms", "front_end", "decoder", "fixed")


@dataclass(frozen=True)
class Settings:
    """``fixed``: by the name of a graph's input, the value that it always has. ``front_end_weights``: those that the
    front end needs, by the last part of their names. ``more``: tables of the settings file that one format alone
    reads."""

    name: str = ""
    description: str = ""
    licence: str = ""
    frame_ms: float = 10.0
    front_end: FrontEnd | None = None
    decoder: Decoder | None = None
    fixed: Mapping[str, Any] = field(default_factory=dict)
    front_end_weights: Mapping[str, Any] = field(default_factory=dict)
    more: Mapping[str, Any] = field(default_factory=dict)

    @staticmethod
    def of(path: Path) -> Settings:
        """Those of a TOML file. Raises ForeignModelError, naming the place, for what they cannot be."""
        try:
            with path.open("rb") as file:
                raw = file.read(MAX_BYTES + 1)
        except OSError as error:
            raise ForeignModelError(f"{path}: cannot be read: {error.strerror or error}") from error
        if len(raw) > MAX_BYTES:
            raise ForeignModelError(f"{path}: settings of over {MAX_BYTES} bytes are none")
        try:
            text = raw.decode()
            check_json(text, MAX_VALUES, MAX_CONTAINERS)
            return Settings.of_values(tomllib.loads(text))
        except (ValueError, RecursionError) as error:
            raise ForeignModelError(f"{path}: is no TOML: {error}") from error
        except BadModelFileError as error:
            raise ForeignModelError(f"{path}: {error}") from error

    @staticmethod
    def of_values(raw: Mapping[str, Any]) -> Settings:
        """Those of what a TOML file holds."""
        values: dict[str, Any] = {}
        for key, wanted in (("name", str), ("description", str), ("licence", str), ("frame_ms", float)):
            if key in raw:
                values[key] = decode(wanted, raw[key], key, {})
        if "front_end" in raw:
            values["front_end"] = decode(FrontEnd, raw["front_end"], "front_end", {FrontEnd: FRONT_ENDS})
        if "decoder" in raw:
            values["decoder"] = decode(Decoder, raw["decoder"], "decoder", {Decoder: DECODERS})
        fixed = raw.get("fixed", {})
        if not isinstance(fixed, dict):
            raise BadModelFileError("fixed is no table of inputs and their values")
        for name, value in fixed.items():
            if np.asarray(value).dtype.kind not in "biuf":
                raise BadModelFileError(f"fixed.{name} is {value!r}, not a number or an array of numbers")
        values["fixed"] = fixed
        values["more"] = {key: value for key, value in raw.items() if key not in _FIELDS}
        return Settings(**values)

    def known(self, *tables: str) -> None:
        """Raise ForeignModelError if there are others than ``tables`` that only some formats read."""
        for key in self.more:
            if key not in tables:
                known = ", ".join((*_FIELDS, *tables))
                raise ForeignModelError(f"settings: {key!r} says nothing here; known are {known}")
