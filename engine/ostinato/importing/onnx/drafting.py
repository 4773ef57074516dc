"""A file's network: the first of its plans whose trace comes out."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ostinato.errors import ForeignModelError
from ostinato.importing.builder import Builder
from ostinato.importing.draft import Decision, Draft
from ostinato.importing.onnx.attempt import Attempt, Head, attempt
from ostinato.importing.onnx.call import UnclearError, WrongAxisError
from ostinato.importing.onnx.cells import recognise
from ostinato.importing.onnx.emission import Emission
from ostinato.importing.onnx.integers import in_float32
from ostinato.importing.onnx.plan import Given, goes_on, inputs_of, outputs_of, plans
from ostinato.importing.onnx.reading import load
from ostinato.importing.onnx.report import decisions
from ostinato.importing.onnx.runtime import Output, Runtime, Usage
from ostinato.importing.onnx.states import Closed
from ostinato.importing.onnx.terms import Applied, Terms
from ostinato.importing.parity import waits
from ostinato.importing.settings import Settings
from ostinato.model import Network
from ostinato.model.decoders import Outputs
from ostinato.model.front_ends import Frames, FrontEnd, Tokens

MAX_TERMS = 4096
_FRAMES = 83
"""In which int8 is compared with float32."""
_FIRST_SIGN = 0x4E00
"""Of the placeholder vocabulary: characters that stand for token ids, of which there are many in a row."""


def drafted(path: Path, settings: Settings) -> Draft:
    """The network of an ONNX file. Raises ForeignModelError, naming node and cure."""
    settings.known("hop", "shapes")
    hop, shapes = settings.more.get("hop"), settings.more.get("shapes", {})
    if hop is not None and (type(hop) is not int or hop < 1):
        raise ForeignModelError(f"settings: hop = {hop!r} is no number of frames from 1")
    if not isinstance(shapes, dict) or not all(
        isinstance(sizes, list) and all(type(size) is int and size >= 0 for size in sizes)
        for sizes in shapes.values()
    ):
        raise ForeignModelError("settings: shapes is no table of inputs and their sizes, as {frames = [1, 576]}")
    file = load(path)
    model, integers = in_float32(file)
    own = file.SerializeToString() if integers else b""
    furthest, told, states = (0, -1), ForeignModelError("holds no graph that is read here"), list[Given]()
    for plan in plans(model, settings.fixed, shapes, hop):
        lengths, frozen = list(plan.lengths), list(plan.frozen)
        while lengths:
            length, terms, reached = lengths.pop(0), Terms(MAX_TERMS), 0
            try:
                made = attempt(model, plan, length, hop or 1, terms)
                reached = MAX_TERMS
                draft = _drafted(path, model, settings, made)
                return _told_of_integers(draft, integers, own) if integers else draft
            except ForeignModelError as error:
                if isinstance(error, WrongAxisError):
                    reached, terms = 0, Terms(0)
                # of several ways, that with frames in most inputs, and which came furthest, is the likeliest
                if (far := (len(plan.parts), max(reached, len(terms.all)))) > furthest:
                    furthest, told, states = far, error, list(plan.states)
                if not isinstance(error, UnclearError) or not lengths:
                    lengths, frozen = frozen, []
    raise _with_hint(told, model, shapes, states)


def _with_hint(
    told: ForeignModelError, model: Any, shapes: Mapping[str, Any], states: Sequence[Given]
) -> ForeignModelError:
    """What may help where several sizes of an input are open, or where one has neither time nor an output."""
    for each in states:
        if "--set" not in str(told) and all(each.sizes[1:]) and not goes_on(each, outputs_of(model)):
            return ForeignModelError(
                f"{told}; input {each.name!r} has no axis of time, and no output goes on as it: if it is always the "
                f"same, say so (--set {each.name}=VALUE, or fixed in the settings)"
            )
    for each in inputs_of(model):
        if each.sizes.count(0) > 1 and each.name not in shapes and not each.sizes[-1] and not each.token:
            sizes = "x".join(str(size or 1) for size in each.sizes[:-1])
            hint = f"; if input {each.name!r} is always of the same sizes, say so (--set {each.name}={sizes}xSIZE)"
            return ForeignModelError(f"{told}{hint}")
    return told


def _drafted(path: Path, model: Any, settings: Settings, made: Attempt) -> Draft:
    """With the first way to pair states that comes out."""
    first: ForeignModelError | None = None
    for pairing in made.pairings():
        try:
            closed = Closed(made.terms, made.closings(pairing))
            heads, cells = made.heads(pairing), recognise(closed)
            network = _network(path, settings, made, closed, heads)
        except ForeignModelError as error:
            first = first or error
            continue
        usage = _usage(made, heads, pairing, network)
        what = decisions(model, made, heads, pairing, cells, network)
        return Draft(network, Runtime(model.SerializeToString(), usage), what)
    assert first is not None
    raise first


def _told_of_integers(draft: Draft, integers: Sequence[str], own: bytes) -> Draft:
    """With how far the file's own outputs are from those of its float32 form, which the draft is compared with."""
    source = draft.source
    assert isinstance(source, Runtime)
    text = f"{len(integers)} int8 operators became float32, rounding left out"
    inputs = source.inputs(np.random.default_rng(0), _FRAMES)
    try:
        rounded = Runtime(own, source.usage).outputs(inputs)
    except ForeignModelError as error:
        text += f" (what that changes is not known: {error})"
    else:
        pairs = [(array, rounded[head]) for head, array in source.outputs(inputs).items()]
        largest = max(float(np.abs(ours - theirs).max(initial=0)) for ours, theirs in pairs)
        scale = max(float(np.abs(theirs).max(initial=0)) for _, theirs in pairs)
        text += f": of {len(inputs)} random frames it changes values of up to {scale:.3g} by {largest:.1e} at most"
    found = Runtime(source.raw, source.usage, "the file in float32")
    return dataclasses.replace(draft, source=found, decisions=(*draft.decisions, Decision("int8", text)))


def _network(path: Path, settings: Settings, made: Attempt, closed: Closed, heads: Sequence[Head]) -> Network:
    builder = Builder(_front_end(settings, made))
    emission = Emission(closed, builder, [head.view for head in heads])
    named = [(head.name, emission.node(head.view), Outputs()) for head in heads]
    return builder.network(settings, named, name=path.stem, card={})


def _usage(made: Attempt, heads: Sequence[Head], pairing: Sequence[int], network: Network) -> Usage:
    """How the file is run to compare with it."""
    plan = made.plan
    states = [
        (given.name, np.zeros(ids.shape, given.dtype), number)
        for (given, ids), number in zip(made.states, pairing, strict=True)
    ]
    outputs = [
        Output(own.name, head.number, head.axis) for own, head in zip(network.specification.heads, heads, strict=True)
    ]
    return Usage(
        plan, _length(made), states, outputs, made.hop if plan.kind == "window" else 0,
        _vocabulary(made) if plan.frames.token else 0, _least(network),
        any(waits(network, each.head) for each in outputs),
    )  # fmt: skip


def _length(made: Attempt) -> int | None:
    """The only number of frames that the file can be run with, if there is one."""
    return None if made.open or made.plan.kind == "step" else made.length


def _least(network: Network) -> int:
    """The fewest frames of which every head gives one."""
    staging = network.specification.staging
    counts = staging.length(np.arange(staging.reach() + 1))
    made = [counts[staging.of[head.node]] for head in network.specification.heads]
    return int(np.argmax(np.minimum.reduce(made) > 0))


def _front_end(settings: Settings, made: Attempt) -> FrontEnd:
    """The settings' own, or what takes frames or token ids as they are."""
    name, token = made.plan.frames.name, made.plan.frames.token
    size = _vocabulary(made) if token else made.source.size
    if not size:
        raise ForeignModelError(f"input {name!r} holds whole numbers that pick rows of no table")
    if settings.front_end is None:
        if token:
            return Tokens(tuple(chr(_FIRST_SIGN + number) for number in range(size)))
        return Frames(size, settings.frame_ms)
    wire = settings.front_end.wire
    if wire.size != size or wire.token != token:
        raise ForeignModelError(
            f"settings: the front end gives {'tokens of' if wire.token else 'frames of'} {wire.size}, and input "
            f"{name!r} takes {'tokens of' if token else 'frames of'} {size}"
        )
    return settings.front_end


def _vocabulary(made: Attempt) -> int:
    """How many token ids there are: rows of the tables that they pick from."""
    tables = [
        len(term.operation.weights["E"])
        for term in made.terms.all
        if isinstance(term.operation, Applied) and "E" in term.operation.weights
    ]
    return min(tables, default=0)
