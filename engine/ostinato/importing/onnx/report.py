"""What was decided about a graph, in words that a person can check."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate
from typing import Any

from ostinato.importing.draft import Decision
from ostinato.importing.onnx.attempt import Attempt, Head
from ostinato.importing.onnx.plan import Plan
from ostinato.importing.onnx.reading import nodes
from ostinato.model import Network

_KINDS = {
    "step": "one frame a run, states go in and out",
    "sequence": "a whole sequence a run",
    "window": "a window of frames a run, without states",
}


def decisions(
    model: Any, made: Attempt, heads: Sequence[Head], pairing: Sequence[int], cells: Sequence[str], network: Network
) -> tuple[Decision, ...]:
    """In the order in which a reader wants them."""
    plan, notes, specification = made.plan, made.trace.notes, network.specification
    opset = next((each.version for each in model.opset_import if each.domain in ("", "ai.onnx")), 0)
    exporter = " ".join(filter(None, (model.producer_name, model.producer_version))) or "unknown"
    found = [("graph", f"{_KINDS[plan.kind]} (exporter {exporter}, opset {opset})")]
    if plan.kind == "sequence":
        axes = " and ".join(f"axis {part.axis} of input {part.given.name!r}" for part in plan.parts)
        found.append(("time axis", axes))
        if not made.open:
            text = f"the file runs {made.length} frames only: so many are compared; streams go on like the sequence"
            found.append(("length", text))
    if plan.kind == "window":
        text = f"{made.length} frames along axis {plan.axis} of {plan.frames.name!r}, hop = {made.hop}"
        found.append(("window", text))
    if len(plan.parts) > 1:
        found.append(("inputs", f"side by side in each frame: {placed(plan)}"))
    for (given, _), number in zip(made.states, pairing, strict=True):
        goes = f"goes on as output {made.names[number]!r}" if number >= 0 else "has no output that goes on"
        found.append(("state", f"input {given.name!r} begins from zeros, {goes}"))
    for name, value in plan.fixed.items():
        found.append(("fixed", f"input {name!r} is always {value.tolist() if value.size < 8 else 'the same'}"))
    found += [("cell", text) for text in cells]
    count = sum(1 for _ in nodes(model))
    folded = f"{count} nodes became {len(specification.nodes)} layers"
    if branches := len(notes.get("if", ())):
        folded += f"; {branches} branches had constant conditions"
    found.append(("folded", folded))
    last = [repr(head.name) for head in heads if head.axis is None and plan.kind == "sequence"]
    if last:
        waiting = any(specification.direction_of(head) == "bidirectional" for head in specification.heads)
        of = "each, and the file's number is that of its last" if waiting else "every frame"
        found.append(("last frame", f"the file gives {', '.join(last)} of the last frame, a stream of {of}"))
    found += _delays(network)
    if "gru" in notes and model.producer_name == "pytorch":
        text = (
            f"GRU {notes['gru'][0]!r} comes from PyTorch and resets before its product, as no GRU of PyTorch does: "
            "an exporter is known to lose linear_before_reset; compare with PyTorch's own outputs (--expect)"
        )
        found.append(("warning", text))
    return tuple(Decision(*each) for each in found)


def placed(plan: Plan) -> str:
    """Which values of a frame each input has."""
    ends = accumulate(part.size for part in plan.parts)
    return ", ".join(
        f"{part.given.name!r} values {end - part.size} to {end - 1}"
        for part, end in zip(plan.parts, ends, strict=True)
    )


def _delays(network: Network) -> list[tuple[str, str]]:
    """Of each head that waits, and why."""
    specification = network.specification
    found = []
    for head in specification.heads:
        stage = specification.staging.of[head.node]
        if specification.direction_of(head) == "bidirectional":
            found.append(("delay", f"{head.name}: the utterance, as a layer runs from its end"))
        elif delay := specification.staging.delay(stage):
            found.append(("delay", f"{head.name}: {delay} frames, most by {specification.staging.cause(stage)!r}"))
    return found
