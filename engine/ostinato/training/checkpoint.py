"""Learning in progress as a file: a .safetensors of arrays, with the numbers as JSON in its metadata. No pickle."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from ostinato.errors import TrainingError
from ostinato.training.packing import Array
from ostinato.training.replacing import replacing

_KEY = "ostinato-training"


@dataclass(frozen=True)
class Checkpoint:
    """``groups``: arrays by group ("parameters", "best", "average", "optimiser") and name; ``numbers``: what JSON can
    hold."""

    groups: Mapping[str, Mapping[str, Array]]
    numbers: Mapping[str, Any]

    def write(self, path: Path) -> None:
        """Write it, as `replacing` does. Raises TrainingError if it cannot be written."""
        arrays = {
            f"{group}/{name}": np.ascontiguousarray(a) for group, g in self.groups.items() for name, a in g.items()
        }
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as part:
            save_file(arrays, part, {_KEY: json.dumps(dict(self.numbers))})

    @staticmethod
    def read(path: Path) -> Checkpoint:
        """The checkpoint in a file. Raises TrainingError if it is none."""
        groups: dict[str, dict[str, Array]] = {}
        try:
            with safe_open(path, framework="numpy") as file:
                numbers = json.loads((file.metadata() or {})[_KEY])
                for key in file.keys():  # noqa: SIM118 (not a dict)
                    group, name = key.split("/", 1)
                    groups.setdefault(group, {})[name] = file.get_tensor(key)
        except (OSError, SafetensorError, KeyError, ValueError) as error:
            raise TrainingError(f"{path} is not a training checkpoint ({error}): start anew without it") from error
        return Checkpoint(groups, numbers)
