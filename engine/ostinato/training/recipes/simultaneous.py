"""Writing while one reads: what a text waits for, and how far it lags behind.

The recipes' models "uni" read forward only, and learn to write with several waits, a wait drawn for each batch
(Elbayad et al. 2020, "Efficient wait-k models for simultaneous machine translation"): so one model shows what each
costs. Models "bi" read in both directions, so that writing begins at the source's end.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from functools import partial

import numpy as np

from ostinato.model.specification import Specification
from ostinato.sampling import Sampling
from ostinato.streaming import Model
from ostinato.training.encoder_decoder import Pairs
from ostinato.training.losses import CrossEntropy
from ostinato.training.network import TrainableNetwork
from ostinato.training.optimisers import AdamW
from ostinato.training.recipes.plan import Plan, Tested, in_halves
from ostinato.training.recipes.recipe import Options
from ostinato.training.schedules import Cosine, Warmup

WAITS: tuple[int | None, ...] = (1, 3, 5, 7, None)
"""Source tokens that writing waits for; None: all."""
WHOLE = "whole"
"""How the wait for all of a source is called among figures."""
GREEDY = Sampling(temperature=0)
WARMUP = 300
"""Steps up to the first learning rate, if there are ten times as many."""


def name_of(wait: int | None) -> str:
    """What a wait is called among figures."""
    return WHOLE if wait is None else str(wait)


def waits_of(model: str) -> tuple[int | None, ...]:
    """Those that a recipe's model learns with."""
    return WAITS if model == "uni" else (None,)


def plan(
    model: str, described: Specification, learnt: Pairs, held: Pairs, options: Options, steps: int,
    tested: Callable[..., Tested], *, batch: int, rate: float, dropout: float, every: int,
) -> Plan:  # fmt: skip
    """How a recipe's ``model`` learns from pairs, and is judged by others, ``every`` so many ``steps``. ``tested`` is
    as `Plan.test`, and told ``waits`` and ``steps`` besides."""
    waits, warmup = waits_of(model), min(WARMUP, steps // 10)
    return Plan(
        TrainableNetwork(options.named(described), np.float32, options.seed, dropout=dropout),
        hashlib.sha256((learnt.digest() + held.digest()).encode()).hexdigest(),
        partial(learnt.batches, batch, options.seed, waits=waits),
        CrossEntropy(smoothing=0.1),
        AdamW(Warmup(Cosine(rate, steps - warmup, rate / 100), warmup), weight_decay=1e-2, clip_norm=2.0),
        steps,
        partial(judged, held=held, waits=waits),
        partial(tested, waits=waits, steps=steps),
        {"evaluate_every": every} | in_halves(batch),
    )


def judged(network: TrainableNetwork, held: Pairs, waits: Sequence[int | None], size: int = 256) -> dict[str, float]:
    """The mean loss of a token of pairs that are not learnt from, given those before, and the share of tokens that
    is right."""
    loss, sums, counts, right = CrossEntropy(), 0.0, 0.0, 0
    for batch in held.batches(size, 0, None, waits):
        outputs = network.forward(batch.inputs, batch.lengths, sources=batch.sources)["main"]
        found = loss(outputs, batch.lengths, batch.targets)
        sums, counts = sums + found.sums.sum(), counts + found.counts.sum()
        right += int((outputs.argmax(axis=2) == batch.targets)[batch.targets >= 0].sum())
    return {"validation loss": float(sums / counts), "accuracy": right / counts}


def written(model: Model, source: str, wait: int | None) -> list[int]:
    """The tokens that a stream writes of a source, always the likeliest next one."""
    with model.stream(wait_k=wait, sampling=None if wait is None else GREEDY) as stream:
        events = stream.push(source)
        if not any(event.kind == "end-of-generation" for event in events):
            events += stream.generate(GREEDY)
    return [event.index for event in events if event.kind == "token"]


def average_lagging(reads: Sequence[int], source: int, target: int) -> float:
    """By how many source tokens a text lags behind one that is written evenly while the source comes (Ma et al. 2019,
    STACL, equation 8). ``reads``: of each token written, how many of the ``source`` tokens had been read then;
    ``target``: how many were written."""
    pace = target / source
    whole = next((at for at, read in enumerate(reads) if read >= source), len(reads) - 1)
    return sum(read - at / pace for at, read in enumerate(reads[: whole + 1])) / (whole + 1)


def reads_of(wait: int | None, source: int, target: int) -> list[int]:
    """How many source tokens each token of a text has seen, with wait-k."""
    return [source if wait is None else min(source, at + wait) for at in range(target)]
