"""The folder of one model's learning: what was asked for, a log as JSON lines, curves, a checkpoint."""

from __future__ import annotations

import difflib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ostinato.errors import TrainingError
from ostinato.training.curves import Curves
from ostinato.training.losses import Loss
from ostinato.training.network import TrainableNetwork
from ostinato.training.optimisers import Optimiser
from ostinato.training.replacing import replacing
from ostinato.training.trainer import Epochs, History, fit

STARTED, LOG, CURVES, CHECKPOINT = "config.toml", "log.jsonl", "curves.png", "checkpoint.safetensors"
SHOWN = 6
"""Lines of a difference between two configurations."""


class RunFolder:
    """A folder that one run begins, and only the same run goes on in."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def begin(self, configuration: str, digest: str, resume: bool) -> None:
        """Make the folder of a new run, or see that it is this one's: of the same ``configuration`` (TOML) and of
        data with the same ``digest``. Raises TrainingError otherwise, showing what differs."""
        started, checkpoint = self.path / STARTED, self.path / CHECKPOINT
        mark = f"# data: {digest}\n"
        if not resume:
            if checkpoint.exists():
                raise TrainingError(
                    f"{self.path} has a run already: go on with --resume, or choose another folder, or remove it"
                )
            self.path.mkdir(parents=True, exist_ok=True)
            self.write(STARTED, mark + configuration)
            return
        if not started.exists() or not checkpoint.exists():
            raise TrainingError(f"{self.path} has no run to go on with: begin one without --resume")
        before, _, old = started.read_text(encoding="utf-8").partition("\n")
        if old != configuration:
            raise TrainingError(
                f"the configuration has changed since the run in {self.path} began: choose another folder "
                f"({_difference(old, configuration)})"
            )
        if f"{before}\n" != mark:
            raise TrainingError(f"the data have changed since the run in {self.path} began: choose another folder")

    def fit(
        self,
        network: TrainableNetwork,
        batches: Epochs,
        loss: Loss | Mapping[str, Loss],
        optimiser: Optimiser,
        **how: Any,
    ) -> History:
        """`fit`, with log, curves and checkpoint in this folder."""
        curves = Curves(self.path / CURVES)

        def evaluated(history: History) -> None:
            self.write(LOG, "".join(f"{json.dumps(each)}\n" for each in history.evaluations))
            curves.follow(history.evaluations)

        try:
            return fit(
                network, batches, loss, optimiser, checkpoint=self.path / CHECKPOINT, on_evaluation=evaluated, **how
            )
        finally:
            curves.finish()

    def write(self, name: str, text: str) -> None:
        """A text file in it, as `replacing` does. Raises TrainingError if it cannot be written."""
        with replacing(self.path / name) as part:
            part.write_text(text, encoding="utf-8")


def _difference(old: str, new: str) -> str:
    """The first lines that differ, with - before those that were there and + before those that are."""
    lines = [
        line
        for line in difflib.unified_diff(old.splitlines(), new.splitlines(), n=0, lineterm="")
        if line[:2] not in ("--", "++", "@@")
    ]
    return "; ".join(f"{line[0]} {line[1:].strip()}" for line in lines[:SHOWN]) + "; …" * (len(lines) > SHOWN)
