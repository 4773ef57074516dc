"""A model's graph for people: what each node is and costs, and a drawing of who reads whom beside it."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from rich.markup import escape

from ostinato.cli.console import count
from ostinato.model.decoders import Decoder
from ostinato.model.front_ends import Audio, FrontEnd, Tokens
from ostinato.model.layers import Each, Layer, Recurrent
from ostinato.model.specification import ENCODER, FRAMES, Specification
from ostinato_bench.terminal import Table

WIDEST = 40
"""Signs of a drawing that stands beside the table: of a wider one the table tells in words who reads whom."""
MOST_NUMBERS = 12
"""Of a setting that is a list of them; of a longer one it is said how many there are."""


@dataclass(frozen=True)
class Vertex:
    """A row of the drawing: the front end, a node or a head; ``reads`` names other vertices."""

    name: str
    kind: str
    about: str
    reads: tuple[str, ...] = ()
    size: int | None = None
    """Values a frame; of a token's id, how many there are. None: a head."""
    token: bool = False
    weights: int = 0
    multiply_adds: int = 0
    """For a frame."""
    per_second: float | None = None
    """Multiply-adds a second; None where frames have no time, as tokens."""
    frame_ms: float | None = None
    """From one of its frames to the next; None where frames have no time."""
    rate: Fraction = Fraction(1)
    """Its frames for one of the front end's."""
    ahead: int | None = 0
    """How many later frames of the front end it needs; None: all, to the utterance's end."""
    family: str = ""
    """Of a node: "backward", else "recurrent", else "weights" if it has any, else nothing."""


def vertices(specification: Specification) -> list[Vertex]:
    """The front end, all nodes and all heads, each as soon as all that it reads is there, and what can go on from
    the vertex before goes first: so a branch is not torn apart. An encoder's come before, named "encoder.<node>"; of
    its heads the nodes stand for them that they read."""
    encoder = specification.encoder
    below = [_within_encoder(vertex) for vertex in vertices(encoder) if vertex.size is not None] if encoder else []
    behind = {f"{ENCODER}.{head.name}": f"{ENCODER}.{head.node}" for head in encoder.heads} if encoder else {}
    front = specification.front_end
    frame_ms = None if isinstance(front, Tokens) else front.frame_ms
    timings = _timings(specification)
    waiting: list[Vertex] = []
    for node in specification.nodes:
        inputs, wire = specification.inputs(node), specification.wires[node.name]
        work = node.layer.multiply_adds(inputs)
        weights = sum(math.prod(weight.shape) for weight in node.layer.weights(inputs).values())
        reads = tuple(behind.get(name, name) for name in node.inputs)
        made = Vertex(node.name, node.layer.kind, settings(node.layer), reads, wire.size, wire.token)
        rate, ahead = timings[node.name]
        made = dataclasses.replace(
            made, weights=weights, multiply_adds=work, rate=rate, ahead=ahead, family=_family(node.layer, weights)
        )
        if frame_ms is not None:
            own = frame_ms / float(rate)
            made = dataclasses.replace(made, frame_ms=own, per_second=1000 * work / own)
        waiting.append(made)
    first = len(specification.heads) == 1
    for head in specification.heads:
        about = "" if first or head is not specification.heads[0] else "unless another is asked for"
        waiting.append(Vertex(f"head {head.name}", head.decoder.kind, about, (head.node,)))
    about = _about_front_end(specification)
    frames = Vertex(FRAMES, front.kind, about, (), front.wire.size, front.wire.token, frame_ms=frame_ms)
    placed = [*below, frames]
    while waiting:
        there = {vertex.name for vertex in placed}
        ready = [vertex for vertex in waiting if there.issuperset(vertex.reads)]
        following = [vertex for vertex in ready if placed[-1].name in vertex.reads]
        nodes = [vertex for vertex in following if vertex.size is not None]
        placed.append((nodes or following or ready)[0])
        waiting.remove(placed[-1])
    return placed


def _within_encoder(vertex: Vertex) -> Vertex:
    reads = tuple(f"{ENCODER}.{name}" for name in vertex.reads)
    return dataclasses.replace(vertex, name=f"{ENCODER}.{vertex.name}", reads=reads)


def _timings(specification: Specification) -> dict[str, tuple[Fraction, int | None]]:
    """`Vertex.rate` and `Vertex.ahead` of all nodes."""
    staging = specification.staging
    delays = [staging.delay(stage) for stage in range(len(staging.stages))]
    found: dict[str, tuple[Fraction, int | None]] = {}
    waiting = set[str]()
    for node in specification.nodes:
        stage = staging.of[node.name]
        if node.layer.backward or not waiting.isdisjoint(node.inputs):
            waiting.add(node.name)
        found[node.name] = staging.stages[stage].rate, None if node.name in waiting else delays[stage]
    return found


def _family(layer: Layer, weights: int) -> str:
    if isinstance(layer, Each):
        return _family(layer.layer, weights)
    if layer.backward:
        return "backward"
    return "recurrent" if isinstance(layer, Recurrent) else "weights" if weights else ""


def settings(layer: Layer | FrontEnd | Decoder, always: Sequence[str] = (), never: Sequence[str] = ()) -> str:
    """The kind and what is set besides the defaults: "gru 104, bidirectional"; "within 33: dense 11, relu". Fields
    that are named are shown ``always``, or ``never``."""
    sizes, others, inner = [layer.kind], list[str](), ""
    for field in dataclasses.fields(layer):
        value = getattr(layer, field.name)
        required = field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
        if isinstance(value, Layer):
            inner = f": {settings(value)}"
        elif required and isinstance(value, int) and len(sizes) == 1 and not isinstance(value, bool):
            sizes.append(str(value))
        elif field.name not in never and (required or field.name in always or value != field.default):
            others.append(_setting(field.name, value))
    return ", ".join([" ".join(sizes), *others]) + inner


def _setting(name: str, value: Any) -> str:
    words = name.replace("_", " ")
    if value is True:
        return words
    if name in ("direction", "precision"):
        return str(value)
    if dataclasses.is_dataclass(value):
        parts = [getattr(value, field.name) for field in dataclasses.fields(value)]
        text = " ".join(f"{part:g}" if isinstance(part, float) else str(part) for part in parts if part is not None)
        return text if words == "activation" else f"{words} {text}"
    if isinstance(value, tuple) and len(value) > MOST_NUMBERS:
        return f"{len(value)} {words}"
    if isinstance(value, tuple):
        return f"{words} {' '.join(map(str, value))}"
    return f"{words} {value:g}" if isinstance(value, float) else f"{words} {value}"


def pace(frame_ms: float) -> str:
    """How often there is a frame."""
    return f"every {frame_ms:g} ms" if frame_ms >= 1 else f"{1000 / frame_ms:,.0f} a second"


def _about_front_end(specification: Specification) -> str:
    front = specification.front_end
    if isinstance(front, Audio):
        return f"{front.kind}, {front.sample_rate / 1000:g} kHz, {pace(front.frame_ms)}"
    if isinstance(front, Tokens):
        return f"tokens, {len(front.vocabulary)} {front.unit}s"
    return f"frames, every {front.frame_ms:g} ms"


def described(specification: Specification) -> dict[str, Any]:
    """Nodes for programs; ``delay_frames`` counts the front end's, null: to the utterance's end."""
    nodes = [
        {
            "name": vertex.name,
            "kind": vertex.kind,
            "about": vertex.about,
            "inputs": list(vertex.reads),
            "size": vertex.size,
            "frame_ms": vertex.frame_ms,
            "delay_frames": vertex.ahead,
            "weights": vertex.weights,
            "multiply_adds": vertex.multiply_adds,
            "multiply_adds_per_second": vertex.per_second,
        }
        for vertex in vertices(specification)
        if vertex.reads and vertex.size is not None
    ]
    return {"nodes": nodes}


def table(found: Sequence[Vertex]) -> Table:
    """The drawing, and beside each node what it is and costs; rates and delays where there are any."""
    nodes = [vertex for vertex in found if vertex.reads and vertex.size is not None]
    timed = any(vertex.per_second is not None for vertex in nodes)
    waits, reframes = any(vertex.ahead != 0 for vertex in nodes), any(vertex.rate != 1 for vertex in nodes)
    lines = drawn(found)
    narrow = len(lines[0][0]) <= WIDEST
    numbers = ["size", *["a frame\nevery"] * reframes, *["delay"] * waits, "weights", "multiply-adds\na frame"]
    numbers += ["\na second"] * timed
    words = ["layer"] if narrow else ["layer", "reads"]
    listing = Table("node", *words, *numbers, right=numbers, prose=words)
    for vertex, (rails, below) in zip(found, lines, strict=True):
        name = escape(vertex.name) if vertex.size is None else f"[bold]{escape(vertex.name)}[/]"
        costs = [vertex.weights, vertex.multiply_adds] + [vertex.per_second or 0] * timed
        listing.add_row(
            f"[dim]{escape(rails)}[/] {name}" if narrow else name,
            escape(vertex.about if vertex.size is not None else ", ".join(filter(None, (vertex.kind, vertex.about)))),
            *([] if narrow else [escape(_few(vertex.reads))]),
            "" if vertex.size is None else f"{vertex.size}" if not vertex.token else f"1 of {vertex.size}",
            *[every(vertex)] * reframes,
            *[delay(vertex)] * waits,
            *(count(cost) if cost else "" for cost in costs),
            beside=f"[dim]{escape(below)}[/]" if narrow else "",
        )
    if len(found) > 3:
        sums: list[float] = [sum(vertex.weights for vertex in found), sum(vertex.multiply_adds for vertex in found)]
        sums += [sum(vertex.per_second or 0 for vertex in found)] * timed
        listing.add_row("all", *[""] * (len(words) + 1 + reframes + waits), *map(count, sums))
    return listing


def every(vertex: Vertex) -> str:
    """From one of a vertex's frames to the next."""
    if vertex.size is None:
        return ""
    return f"{1 / vertex.rate} tokens" if vertex.frame_ms is None else f"{vertex.frame_ms:g} ms"


def delay(vertex: Vertex) -> str:
    """How far it looks ahead."""
    if not vertex.ahead:
        return "" if vertex.ahead == 0 else "utterance"
    if vertex.frame_ms is None:
        return f"{vertex.ahead} tokens"
    return f"{vertex.ahead * vertex.frame_ms * float(vertex.rate):g} ms"


def _few(names: Sequence[str]) -> str:
    return ", ".join(names[:6]) + (f" and {len(names) - 6} more" if len(names) > 6 else "")


def drawn(found: Sequence[Vertex]) -> list[tuple[str, str]]:
    """Beside each vertex, its line of the drawing, and what goes on under it, all equally wide.

    Each wire that is still wanted has a column of two signs, in which it goes down: from where it is made to where it
    is read for the last time.

        ●      a
        ├─●    b reads a, which is wanted later on too
        ●─╯    c reads both
    """
    left = {vertex.name: sum(vertex.name in other.reads for other in found) for vertex in found}
    columns: list[str | None] = []  # whose wire goes down there
    lines: list[tuple[str, str]] = []
    for vertex in found:
        reads = set(vertex.reads)
        for name in reads:
            left[name] -= 1
        taken = {column for column, name in enumerate(columns) if name in reads}
        ending = {column for column in taken if not left[columns[column] or ""]}
        free = sorted(ending) or [column for column, name in enumerate(columns) if name is None]
        mine = free[0] if free else len(columns)
        columns += [None] * (mine + 1 - len(columns))
        line = _line(columns, mine, taken, ending, "◆" if vertex.size is None else "●")
        for column in ending:
            columns[column] = None
        columns[mine] = vertex.name if left[vertex.name] else None
        lines.append((line, "".join("  " if name is None else "│ " for name in columns).rstrip()))
    width = max(len(part) for line in lines for part in line)
    return [(line.ljust(width), below.ljust(width)) for line, below in lines]


def _line(columns: Sequence[str | None], mine: int, taken: Iterable[int], ending: Iterable[int], sign: str) -> str:
    first, last = min(mine, *taken, mine), max(mine, *taken, mine)
    signs: Mapping[tuple[bool, bool, bool], str] = {  # goes on below, joins to the left, to the right
        (True, False, True): "├", (True, True, False): "┤", (True, True, True): "┼",
        (False, False, True): "╰", (False, True, False): "╯", (False, True, True): "┴",
    }  # fmt: skip
    made = ""
    for column, name in enumerate(columns):
        if column == mine:
            made += sign
        elif column in taken:
            made += signs[column not in ending, column > first, column < last]
        else:
            made += "─" if name is None and first < column < last else " " if name is None else "│"
        made += "─" if first <= column < last else " "
    return made.rstrip()
