"""`ostinato bench generation`, small; texts by hand are those of `Stream.generate`; a peer that computes something
else is not timed."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from ostinato.model import Network
from ostinato.sampling import Sampling
from ostinato.streaming import Model
from ostinato_bench import by_hand, generation, generation_tables
from ostinato_bench.generation import TASKS, Task, measure, run
from ostinato_bench.peers import onnx_language_model
from ostinato_bench.report import renew
from ostinato_bench.terminal import Console

SMALL = [Task(7, streams, way, hidden=8, longest=4) for streams in (1, 3) for way in generation.WAYS]


def makers(network: Network) -> Callable[[int], by_hand.Steps]:
    made = onnx_language_model.steps(network)
    assert made is not None
    return made


def said(network: Network, how: Sampling, longest: int) -> list[int]:
    with Model(network).stream() as stream:
        return [event.index for event in stream.generate(how, longest) if event.kind == "token"]


def test_what_is_measured() -> None:
    assert {(each.vocabulary, each.streams, each.way) for each in TASKS} == {
        (vocabulary, streams, way)
        for vocabulary in (64, 2000)
        for streams in (1, 64)
        for way in ("greedy", "sampled", "beam")
    }
    assert all((each.hidden, each.tokens) == (256, 32 * each.streams) for each in TASKS)


def test_texts_by_hand_are_those_of_streams() -> None:
    """So the same work is timed. What is drawn has other random numbers: all are equally likely to be right."""
    task = Task(9, 3, "greedy", hidden=16, longest=12)
    network = task.network()
    sharp = Network(
        network.specification, {n: x * (9 if n.startswith("dense") else 1) for n, x in network.weights.items()}
    )
    made = makers(sharp)
    greedy = said(sharp, Sampling(temperature=0), 12)
    assert by_hand.greedy(made(3), 3, 12).tolist() == [greedy] * 3
    assert by_hand.beam(made(6), 2, 12, 3).tolist() == [said(sharp, Sampling(beams=3), 12)] * 2
    assert by_hand.sampled(made(2), 2, 12, 0.001, 9, np.random.default_rng(0)).tolist() == [greedy] * 2
    drawn = by_hand.sampled(made(2000), 2000, 1, 0.8, 4, np.random.default_rng(0))[:, 0]
    logits = makers(sharp)(1).step(np.zeros(1, np.int64))[0]
    likely = np.argsort(-logits)[:4]
    chances = np.exp((logits[likely] - logits.max()) / 0.8)
    assert np.abs(np.bincount(drawn, minlength=9)[likely] / 2000 - chances / chances.sum()).max() < 0.04
    assert set(drawn) <= set(likely)


def test_a_small_run() -> None:
    told: list[str] = []
    found = run(SMALL, 0.1, lambda done, count, what: told.append(what))
    json.dumps(found)
    assert told[0] == "1 stream, 7 tokens, greedy" and told[-1] == "done" and len(told) == 7
    for row in found["rows"]:
        wanted = {"ours", "ours-int8", "onnxruntime"} | ({"onnxruntime-batched"} if row["streams"] > 1 else set())
        assert wanted <= row["contenders"].keys()
        assert all(each["tokens_s"] > 0 for each in row["contenders"].values())
        assert row["limit_tokens_s"] > 0
    text = io.StringIO()
    Console(file=text, width=200).print(generation_tables.terminal(found))
    assert "ONNX Runtime, by hand" in text.getvalue() and "ours, int8" in text.getvalue()
    assert "of limit" in text.getvalue()


def test_the_weights_of_a_token() -> None:
    """Two matrices R, the second W and the last layer's; the first W is looked up. Units come in sixteens."""
    assert generation.multiply_adds(Task(40, 1, "greedy", hidden=32).network().program) == 3 * 3 * 32 * 32 + 32 * 48


def test_a_document_is_renewed(tmp_path: Any) -> None:
    found = run(SMALL[:1], 0.05)
    (tmp_path / "x.json").write_text(json.dumps(found))
    text = renew("<!-- table generation x.json -->\nold\n<!-- end -->", tmp_path)
    assert "| 7 | 1 | greedy |" in text and "old" not in text
    assert "cores" in renew("<!-- table generation-source x.json -->\n<!-- end -->", tmp_path)


def test_a_peer_that_computes_something_else_is_not_timed(monkeypatch: pytest.MonkeyPatch) -> None:
    class Wrong(onnx_language_model.OnnxSteps):
        def choose(self, rows: npt.NDArray[np.int64]) -> None:
            pass

    monkeypatch.setattr(onnx_language_model, "OnnxSteps", Wrong)
    measure(SMALL[0], 0.02, beside=False)
    network = Task(7, 1, "beam", hidden=8).network()
    sharp = Network(network.specification, {name: x * 5 for name, x in network.weights.items()})
    with pytest.raises(RuntimeError, match="away from ours"):
        generation.check("onnxruntime", makers(sharp), sharp)
