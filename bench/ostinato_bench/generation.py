"""How fast a language model generates: tokens a second of one stream and of many, beside engines that give logits for
a token and leave the rest to a loop (`by_hand`), with a state for each stream, or with all as one batch by hand.

Everything is on one thread, and measured in processor time: a call is whole texts, of milliseconds, which other work
on the machine would interrupt.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np
import numpy.typing as npt

from ostinato.kernels.operations import record
from ostinato.kernels.program import Program
from ostinato.lanes import LANES
from ostinato.model import Network, Sequential
from ostinato.model.decoders import Generation
from ostinato.model.front_ends import Tokens
from ostinato.model.layers import Dense, Embedding, Gru
from ostinato.model.quantization import quantize
from ostinato.sampling import Sampling
from ostinato.streaming import Model, Stream, advance
from ostinato_bench import by_hand, limits, machine
from ostinato_bench.peers import onnx_language_model, pytorch_language_model
from ostinato_bench.timing import Spread, Timed, alternate

HIDDEN, LAYERS = 256, 2
LONGEST = 32
"""Tokens of a text."""
SECONDS = 12.0
"""For a row, shared by all that is timed for it."""
_TEMPERATURE, _TOP_K, _BEAMS = 0.8, 40, 4
WAYS = {
    "greedy": Sampling(temperature=0),
    "sampled": Sampling(temperature=_TEMPERATURE, top_k=_TOP_K),
    "beam": Sampling(beams=_BEAMS),
}
"""How a text goes on."""
PEERS = {"onnxruntime": onnx_language_model.steps, "pytorch": pytorch_language_model.steps}
INSTALL = {"onnxruntime": "onnx onnxruntime", "pytorch": "torch"}
_TOLERANCE = 1e-4
"""How far a peer's logits may lie from ours, root mean squares against each other."""

Maker = Callable[[int], by_hand.Steps]
Progress = Callable[[int, int, str], None]


@dataclass(frozen=True)
class Task:
    """``streams`` texts at once, of a vocabulary of so many tokens, each ``way`` of `WAYS`."""

    vocabulary: int
    streams: int
    way: str
    hidden: int = HIDDEN
    longest: int = LONGEST

    @property
    def name(self) -> str:
        """``64 streams, 2000 tokens, greedy``."""
        return f"{self.streams} stream{'s' * (self.streams > 1)}, {self.vocabulary} tokens, {self.way}"

    @property
    def tokens(self) -> int:
        """Of all texts."""
        return self.streams * self.longest

    def network(self) -> Network:
        """Embedding, GRUs and a dense layer with random weights, which nothing ends a text of."""
        layers = (Embedding(self.hidden), *[Gru(self.hidden)] * LAYERS, Dense(self.vocabulary))
        vocabulary = tuple(chr(0x4E00 + i) for i in range(self.vocabulary))
        specification = Sequential("language-model", Tokens(vocabulary), layers, Generation(start=0))
        return Network.random(specification, seed=1)


TASKS = tuple(Task(vocabulary, streams, way) for vocabulary in (64, 2000) for streams in (1, 64) for way in WAYS)
"""What is measured unless something else is asked for."""
QUICK = tuple(task for task in TASKS if task.vocabulary == 64 and task.way != "sampled")
"""A selection for a first impression."""


def run(
    wanted: Sequence[Task] = TASKS, seconds: float = SECONDS, progress: Progress | None = None, beside: bool = True
) -> dict[str, Any]:
    """Measure the tasks for about ``seconds`` each, ``beside`` the peers that are installed; ``progress(done, count,
    what)`` is told before each.

    Returns {"rows": [...], "missing": {peer: why}, "machine", "versions", "date"}. A row has by contender ("ours",
    "ours-int8", "onnxruntime", "onnxruntime-batched", …: all streams as one batch, by hand) {"tokens_s",
    "quartiles"}, medians of rounds and their quartiles; and "limit_tokens_s", what the processor allows a float32
    network: its multiply-adds at the peak rate, or reading its weights once a token, whichever takes longer.

    Raises RuntimeError if a peer computes something else.
    """
    report = progress or (lambda done, count, what: None)
    rows, missing = [], dict[str, str]()
    for done, task in enumerate(wanted):
        report(done, len(wanted), task.name)
        rows.append(measure(task, seconds, beside, missing))
    report(len(wanted), len(wanted), "done")
    described = machine.describe()
    versions = {name: described.pop(name) for name in (*machine.VERSIONS, "python") if name in described}
    return {
        "rows": rows,
        "missing": missing,
        "machine": described | {"instructions": limits.instructions()} | machine.busy(),
        "versions": versions,
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def measure(task: Task, seconds: float, beside: bool = True, missing: dict[str, str] | None = None) -> dict[str, Any]:
    """A row of `run`; who is not there is put among the ``missing``."""
    network = task.network()
    frames = np.random.default_rng(3).integers(0, task.vocabulary, (200, 1)).astype(np.float32)
    calls = {"ours": _ours(task, network), "ours-int8": _ours(task, quantize(network, [frames]))}
    for name, steps in PEERS.items() if beside else ():
        maker = steps(network)
        if maker is None:
            (missing if missing is not None else {})[name] = f"it is not installed: pip install {INSTALL[name]}"
            continue
        check(name, maker, network)
        width = _BEAMS if task.way == "beam" else 1
        one = [maker(width) for _ in range(task.streams)]
        calls[name] = lambda one=one: [_by_hand(task, steps, 1) for steps in one]  # type: ignore[misc]
        if task.streams > 1:
            all_ = maker(width * task.streams)
            calls[f"{name}-batched"] = lambda all_=all_: _by_hand(task, all_, task.streams)  # type: ignore[misc]
    work = multiply_adds(network.program)
    probes = {"arithmetic": limits.arithmetic("float32"), "reading": limits.reading(4 * work)}
    timed = {name: Timed(call) for name, call in calls.items()}
    timed |= {name: Timed(probe.call) for name, probe in probes.items()}
    spent = alternate(timed, seconds, clock=time.process_time_ns)
    rates = {name: probe.rate(spent.pop(name).low) for name, probe in probes.items()}
    rows = task.streams * (_BEAMS if task.way == "beam" else 1)
    shortest = max(work * rows / rates["arithmetic"], 4 * work / rates["reading"])  # ns of a token of each stream
    return asdict(task) | {
        "name": task.name,
        "contenders": {name: _rate(each, task) for name, each in spent.items()},
        "limit_tokens_s": round(1e9 * task.streams / shortest),
    }


def multiply_adds(program: Program) -> int:
    """Of one token, and as many weights are read for it. What is looked up is neither multiplied nor read whole."""
    count = 0
    for op in program.operations:
        width = LANES * int(op[record.VECTORS])
        if op[record.W] >= 0 and not op[record.TOKENS]:
            count += int(op[record.INPUT_SIZE]) * width
        if op[record.R] >= 0:
            count += int(op[record.OUTPUT_SIZE]) * width
    return count


def _rate(spread: Spread, task: Task) -> dict[str, Any]:
    tokens = 1e6 * task.tokens
    return {
        "tokens_s": round(tokens / spread.median),
        "quartiles": [round(tokens / spread.high), round(tokens / spread.low)],
    }


def _ours(task: Task, network: Network) -> Callable[[], object]:
    """One stream generates as a library's user lets it, many as a server does."""
    model = Model(network)
    how, streams = WAYS[task.way], [model.stream() for _ in range(task.streams)]

    def alone() -> None:
        (stream,) = streams
        stream.reset()
        for _ in stream.generate(how, task.longest):
            pass

    def together() -> None:
        going = [_begun(stream, how, task.longest) for stream in streams]
        while going:
            advance([stream.record for stream in going])
            going = [stream for stream in going if stream.generating]

    return alone if task.streams == 1 else together


def _begun(stream: Stream, how: Sampling, longest: int) -> Stream:
    stream.reset()
    stream.generate(how, longest)
    return stream


def _by_hand(task: Task, steps: by_hand.Steps, texts: int) -> npt.NDArray[np.int64]:
    if task.way == "greedy":
        return by_hand.greedy(steps, texts, task.longest)
    if task.way == "beam":
        return by_hand.beam(steps, texts, task.longest, _BEAMS)
    return by_hand.sampled(steps, texts, task.longest, _TEMPERATURE, _TOP_K, np.random.default_rng(1))


def check(name: str, maker: Maker, network: Network) -> None:
    """Refuse to time a peer that computes something else: RuntimeError unless its logits for a text are ours, which
    goes on at last from the states of another row."""
    specification, generator = network.specification, np.random.default_rng(2)
    assert isinstance(specification.front_end, Tokens)
    vocabulary, steps = specification.front_end.vocabulary, maker(2)
    texts = generator.integers(0, len(vocabulary), (2, 6))
    steps.begin()
    theirs = []
    for at in range(6):
        if at == 4:
            steps.choose(np.array([0, 0]))
        theirs.append(steps.step(np.ascontiguousarray(texts[:, at]))[int(at >= 4)].copy())
    text = [*texts[0, :4], *texts[1, 4:]]
    with Model(network).stream(decoder="outputs") as stream:
        events = stream.push("".join(vocabulary[token] for token in text))
    ours = np.array([event.values for event in events])
    difference = float(np.sqrt(np.square(np.array(theirs) - ours).mean() / np.square(ours).mean()))
    if not difference <= _TOLERANCE:
        raise RuntimeError(
            f"{name}'s logits are {difference:.2g} away from ours, more than {_TOLERANCE:g}: it is set up wrongly, "
            "and not timed"
        )
