"""From plans of models to their files: what every recipe does once its data are there."""

from __future__ import annotations

import dataclasses
import json
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from ostinato.model import file as model_file
from ostinato.model.network import Network
from ostinato.training.losses import Loss
from ostinato.training.network import TrainableNetwork
from ostinato.training.optimisers import Optimiser
from ostinato.training.recipes.recipe import Options, Trained
from ostinato.training.run_folder import RunFolder
from ostinato.training.trainer import Epochs, Evaluate, History, export

RESULTS = "results.json"


class Tested(NamedTuple):
    """What tests on held-out data gave: a card of results that exist, and the figures as JSON has them."""

    card: Mapping[str, str]
    results: Mapping[str, Any]


@dataclass(frozen=True)
class Plan:
    """One model of a recipe: what learns, from what, and how it is judged.

    ``data``: a digest of all that is learnt from and judged by. ``evaluate`` chooses the weights that are kept, so it
    needs data that neither learning nor ``test`` sees. ``test`` says how good the finished model is, through its
    own streams. ``how``: what else `fit` is told. ``finish``: what is made of what has learnt, before it is tested.
    """

    network: TrainableNetwork
    data: str
    batches: Epochs
    loss: Loss | Mapping[str, Loss]
    optimiser: Optimiser
    steps: int
    evaluate: Evaluate | None
    test: Callable[[Network, History], Tested]
    how: Mapping[str, Any] = field(default_factory=dict)
    finish: Callable[[Network], Network] = lambda network: network

    @property
    def name(self) -> str:
        """The model's."""
        return self.network.specification.name


def learn(plans: Iterable[Plan], options: Options) -> Trained:
    """Carry out the plans, one after the other, each in a run's folder of its name; write the models, with cards.

    Beside log, curves and checkpoint the folder gets results.json. KeyboardInterrupt while a model learns ends that:
    what it has learnt so far is tested and written, and no other model learns. Raises as `RunFolder.begin`.
    """
    written, interrupted = [], False
    for plan in plans:
        folder = RunFolder(options.runs / plan.name)
        folder.begin(_configuration(plan, options), plan.data, options.resume)
        begin = time.perf_counter(), time.process_time()
        history = folder.fit(
            plan.network, plan.batches, plan.loss, plan.optimiser, steps=plan.steps, seed=options.seed,
            evaluate=plan.evaluate, workers=options.workers, resume=options.resume, **plan.how,
        )  # fmt: skip
        seconds, processor_seconds = time.perf_counter() - begin[0], time.process_time() - begin[1]
        made = plan.finish(export(plan.network))
        card, results = plan.test(made, history)
        taken = {"steps": history.steps, "seconds": seconds, "processor_seconds": processor_seconds}
        folder.write(RESULTS, json.dumps({"model": plan.name} | taken | dict(results), indent=1))
        options.output.mkdir(parents=True, exist_ok=True)
        path = options.output / f"{plan.name}.safetensors"
        model_file.write(path, _with_card(made, card, options.quick))
        written.append(path)
        if interrupted := history.interrupted:
            break
    return Trained(written, interrupted)


def _with_card(network: Network, card: Mapping[str, str], quick: bool) -> Network:
    """The network with its card, which says so if only a trial was wanted."""
    description = network.specification.description
    if quick:
        description += ": a trial"
        card = {"a trial": "Shows in minutes that the recipe runs, and no more: little data, few steps."} | dict(card)
    specification = dataclasses.replace(network.specification, description=description, card=dict(card))
    return Network(specification, network.weights)


def in_halves(batch: int) -> dict[str, Any]:
    """What `fit` is told so that two threads learn from a batch of so many sequences, a half each. It takes some
    per cent more of processor time, and more than it gains where a step is a few milliseconds."""
    return {"share": -(-batch // 2)}


def steps_taken(history: History, planned: int) -> str:
    """For the card: how long was learnt, and which weights were kept."""
    stopped = f", stopped by hand (of {planned})" if history.interrupted else ""
    best = history.best_step if history.best_step >= 0 else history.steps
    return f"Steps of learning: {history.steps}{stopped}; the weights are those of step {best}."


def _configuration(plan: Plan, options: Options) -> str:
    """What a resumed run must have in common with this one, as TOML."""
    asked = {"model": plan.network.specification.to_json(), "seed": options.seed, "steps": plan.steps}
    return "".join(f"{name} = {json.dumps(value)}\n" for name, value in asked.items())
