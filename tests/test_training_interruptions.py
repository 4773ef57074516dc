"""The digits recipe, ended by Ctrl-C."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ostinato.model import file as model_file
from ostinato.training.recipes.digits import clips, compose, learn, real, voices
from ostinato.training.recipes.digits import recipe as digits
from ostinato.training.recipes.recipe import Telling


@pytest.mark.skipif(shutil.which("espeak-ng") is None, reason="needs espeak-ng")
def test_ctrl_c_while_voices_speak_ends_it_at_once_and_leaves_no_part(tmp_path: Path) -> None:
    spoken = tmp_path / "data" / "voices"
    program = Path(sys.executable).with_name("ostinato")
    process = subprocess.Popen(
        [program, "train", "digits", "--data", spoken.parent, "--output", tmp_path / "models"],
        stderr=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip
    try:
        end = time.monotonic() + 60
        while not any(spoken.rglob("*.npz")) and process.poll() is None and time.monotonic() < end:
            time.sleep(0.02)
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does
        _, rest = process.communicate(timeout=20)
        assert process.returncode == 130 and "Traceback" not in rest, rest
    finally:
        process.kill()
        process.communicate()
    whole = [path for path in spoken.rglob("*.npz") if ".partial" not in path.name]
    assert all(clips.load(path) for path in whole) and not list((tmp_path / "models").iterdir())


def test_ctrl_c_while_learning_writes_what_was_learnt_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(voices, "speak_all", lambda *_: [])
    monkeypatch.setattr(real, "recordings", lambda *_, **__: [])
    rng = np.random.default_rng(0)
    for name in ("0000", "0001"):
        examples = [compose.Example(rng.normal(size=(60, 40)).astype(np.float16), (1, 2)) for _ in range(8)]
        compose.save(tmp_path / "utterances" / f"{name}.npz", examples)
    steps = learn.Batches.__call__

    def interrupted(self: learn.Batches, epoch: int) -> Iterator[Any]:
        for number, batch in enumerate(steps(self, epoch)):
            if number == 1:
                raise KeyboardInterrupt
            yield batch

    monkeypatch.setattr(learn.Batches, "__call__", interrupted)
    options = digits.Options(output=tmp_path, data=tmp_path, runs=tmp_path, shards=2, steps=50, batch=4, workers=1)
    (path,), ended = digits.train(options, Telling())
    assert ended
    card = model_file.read(path).specification.card
    assert "Steps of learning: 1, stopped by hand (of 50)." in card["training data"]
    assert "No checkpoint was chosen" in card["how it was tested"]
