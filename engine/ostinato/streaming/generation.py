"""Streams that feed themselves: a token is drawn from what the last frame gave, and is the next frame.

    prompt ──> [frame] ──> outputs ──> draw ──> token event
                  ▲                      │
                  └──────── token ───────┘

Between two steps a stream has taken in all that it said, and its decoder keeps the outputs that the next token is
drawn from. So a generation may be paused, kept, forked, given other settings or ended between any two tokens.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence

import numpy as np

from ostinato.errors import DivergedError, InputError
from ostinato.events import Event
from ostinato.model.decoders import Generation
from ostinato.model.front_ends import Tokens
from ostinato.pipeline import sampling as pipeline
from ostinato.pipeline.state import expect
from ostinato.sampling import MAX_LONGEST, Sampling
from ostinato.streaming.beam import Beam
from ostinato.streaming.drawing import Ahead, Ticket
from ostinato.streaming.frames import Float32
from ostinato.streaming.heads import Head
from ostinato.streaming.record import Record, told_again
from ostinato.streaming.snapshot import Generating
from ostinato.streaming.utterance import placed


def begin(record: Record, sampling: Sampling | None, longest: int | None) -> None:
    """Let a stream generate; one that does already goes on with what is given instead, and the rest as it was. A
    search that is given anything begins anew, behind what was told.

    Raises InputError if it has no head that does, nothing to begin with, or ``longest`` is out of range;
    CapacityError if there is no room for so many beams; StreamClosedError, and the fault of an utterance that is
    lost. The stream is then as before."""
    record.need_open()
    settings = _settings(record)
    if longest is not None and (type(longest) is not int or not 1 <= longest <= MAX_LONGEST):
        raise InputError(f"longest = {longest!r} is not a whole number of tokens from 1 to {MAX_LONGEST}")
    if record.fault is not None:
        raise told_again(record.fault)
    if record.writing is not None:
        _begin_text(record, settings, sampling, longest)
        return
    if (wanted := asked(record, sampling, longest)) is None:
        return
    beam = Beam(record.model.states, wanted.sampling.beams) if wanted.sampling.beams > 1 else None
    try:
        if record.generating is None:
            _complete_prompt(record, settings)
    except InputError:
        if beam is not None:
            beam.close()
        raise
    record.end_generation()
    record.generating, record.beam = wanted, beam


def asked(record: Record, sampling: Sampling | None, longest: int | None) -> Generating | None:
    """How a stream generates that is asked to, and how many tokens; None if it goes on as it does already."""
    going = record.generating
    if going is not None and sampling is None and longest is None:
        return None
    if going is None:
        return Generating(sampling or Sampling(), longest or _settings(record).longest)
    return Generating(sampling or going.sampling, longest or going.left)


def beam_bytes(record: Record, wanted: Generating) -> int:
    """What the stream's beam may come to hold, if it generates so."""
    model = record.model
    return Beam.held_bytes(wanted.sampling.beams, wanted.left, model.state_bytes, record.head.region.size)


def _complete_prompt(record: Record, settings: Generation) -> None:
    """The prompt's last word is complete; where there is no prompt, it is the start token."""
    record.receive(0, record.model.front_end.flush(record.front))
    if not record.decoder_state.frames + record.queue.count:
        if settings.start is None:
            raise InputError(
                f"there is nothing to begin with: push a prompt first (head {record.head.name!r} of "
                f"{record.model.name!r} has no start token)"
            )
        record.receive(0, np.array([[settings.start]], np.float32))


def _begin_text(record: Record, settings: Generation, sampling: Sampling | None, longest: int | None) -> None:
    """A text of a source, which ends thereby; or another one, of the same. Goes on with what was said early."""
    writer, beams = record.model.writer, 1 if sampling is None else sampling.beams
    assert writer is not None
    if record.beam is not None:
        if sampling is None and longest is None:
            return
        raise InputError(
            "a search goes on, whose hypotheses would be lost: let it end, or end it, then ask for another"
        )
    beam = Beam(writer.states, beams) if beams > 1 else None
    try:
        going = record.generating or _first_text(record, settings)
    except InputError:
        if beam is not None:
            beam.close()
        raise
    record.generating, record.beam = Generating(sampling or going.sampling, longest or going.left), beam


def _first_text(record: Record, settings: Generation) -> Generating:
    writing = record.writing
    assert writing is not None and settings.start is not None
    if not writing.ended:
        if not record.utterance_units:
            raise InputError(f"there is nothing to generate from: push a source of {record.model.name!r} first")
        record.end_source()
    early, writing.early = writing.early, None
    if early is not None:
        return early
    writing.token, writing.count = settings.start, 0
    return Generating(Sampling(), settings.longest)


def check_restored(record: Record) -> None:
    """Raise SnapshotError unless a stream that is just restored can generate, if it does."""
    settings, state = record.head.settings, record.decoder_state
    if (writing := record.writing) is not None:
        assert isinstance(settings, Generation)
        for each in (record.generating, writing.early):
            expect(each is None or 0 <= each.left <= MAX_LONGEST, "the tokens that are left are out of range")
        expect(0 <= writing.token < record.model.network.specification.output_size, "the last token is none")
        expect(0 <= writing.count <= MAX_LONGEST, "the tokens so far are out of range")
        expect(record.generating is None or writing.ended, "a stream generates from a source that goes on")
        wait_k, going = record.options.wait_k, record.generating
        expect(writing.early is None or wait_k is not None, "a text has begun before its time")
        if record.beam is not None:
            fits = going is not None and record.beam.ahead <= going.left
            expect(fits, "a beam's hypotheses are too long, or none can be")
            late = wait_k is None or writing.count + wait_k > state.frames
            expect(late or not record.beam.begun, "a text is searched for before its source has ended")
        return
    if isinstance(settings, Generation):
        expect(len(state.outputs) in (0, record.head.region.size), "the last outputs are not of the model's size")
    if (going := record.generating) is not None:
        expect(isinstance(settings, Generation), "a stream generates that has no head for it")
        expect(1 <= going.left <= MAX_LONGEST, "the tokens that are left are out of range")
        expect(bool(state.frames + record.queue.count), "a stream generates from nothing")
        expect(record.beam is None or record.beam.ahead <= going.left, "a beam's hypotheses are too long")


def draw(records: Sequence[Record]) -> list[tuple[int, list[Event]]]:
    """Draw a token for each stream that generates and has no other frame to compute: by its position, the events. The
    token waits to be computed as its next frame."""
    by_head: dict[Head, list[int]] = defaultdict(list)
    for i, record in enumerate(records):
        if record.draws:
            by_head[record.head].append(i)
    found: list[tuple[int, list[Event]]] = []
    for head, positions in by_head.items():
        events, frames = drawn(head, [records[i] for i in positions])
        found += zip(positions, events, strict=True)
        for i, frame in zip(positions, frames[:, None], strict=True):
            records[i].receive(0, frame)
    return found


def step(records: Sequence[Record]) -> list[list[Event]]:
    """`draw` for streams of one head that all draw, and nothing else; the tokens are computed as well."""
    head, front_end = records[0].head, records[0].model.network.specification.front_end
    settings = head.settings
    assert isinstance(front_end, Tokens) and isinstance(settings, Generation)
    tickets, time_ms = [_ticket(record) for record in records], head.decoder.time_ms
    vocabulary, end = front_end.vocabulary, settings.end
    tokens, chances, finite = records[0].model.drawing(head).step(tickets)
    found: list[list[Event]] = []
    for record, ticket, token, chance, good in zip(records, tickets, tokens, chances, finite, strict=True):
        frame, going = ticket.frames - 1, ticket.going
        if token == end or going.left == 1:
            found.append(said(record, token, chance, frame, time_ms(frame)))
        else:  # the same, as nearly always
            going.left -= 1
            place = record.utterance, record.utterance_ms
            found.append([Event("token", frame, time_ms(frame), vocabulary[token], token, chance, None, *place)])
        record.frames_in += 1
        if good:
            _taken(record, ticket)
        else:
            record.lose(DivergedError.at(ticket.frames), np.array([[token]], np.float32))
    return found


def ahead(record: Record, run: Ahead) -> Iterator[list[Event]]:
    """`step` for one stream, several tokens in a call that puts them into ``run``. Each is taken in as it is told, so
    that between two of them all is as if there were no more; what was made in vain is forgotten, if anything becomes
    of the stream meanwhile. None at all where `advance` has more to do than to draw."""
    head, state, going = record.head, record.decoder_state, record.generating
    if not record.draws or going is None:
        return
    ticket, settings, time_ms = _ticket(record), head.settings, head.decoder.time_ms
    assert isinstance(settings, Generation)
    record.model.drawing(head).ahead(ticket, record.state, going.left, settings.end, run)
    tokens, chances = run.tokens[: run.count].tolist(), run.chances[: run.count].tolist()
    for i, (token, chance) in enumerate(zip(tokens, chances, strict=True)):
        frame = ticket.frames - 1
        record.state[:], ticket.outputs[:] = run.states[i], run.outputs[i]
        ticket.next()
        record.frames_in += 1
        _taken(record, ticket)
        yield said(record, token, chance, frame, time_ms(frame))
        here = record.ticket is ticket and ticket.of(state) and ticket.frames == frame + 2
        if record.generating is not going or record.closed or not here:
            return


def _ticket(record: Record) -> Ticket:
    """The stream's, as it is now."""
    ticket, state, going = record.ticket, record.decoder_state, record.generating
    if ticket is None or ticket.going is not going or not ticket.of(state):
        assert going is not None
        ticket = record.ticket = Ticket(going, state.outputs, state.frames, record.slot)
    return ticket


def _taken(record: Record, ticket: Ticket) -> None:
    """The token's outputs are there."""
    record.frames_out += 1
    ticket.frames += 1
    record.decoder_state.frames = ticket.frames


def drawn(head: Head, records: Sequence[Record]) -> tuple[list[list[Event]], Float32]:
    """The same for streams of one head that all draw: the events of each, and the tokens as frames [n, size], which
    are yet to be received."""
    states = [record.decoder_state for record in records]
    tokens, chances = pipeline.draw(
        states[0].outputs[None] if len(states) == 1 else np.array([state.outputs for state in states]),
        head.probabilities,
        [record.generating.sampling for record in records if record.generating is not None],
        [state.frames - 1 for state in states],
    )
    time_ms = head.decoder.time_ms
    events = [
        said(record, token, chance, state.frames - 1, time_ms(state.frames - 1))
        for record, state, token, chance in zip(records, states, tokens, chances, strict=True)
    ]
    return events, np.array(tokens, np.float32)[:, None]


def said(record: Record, token: int, chance: float, frame: int, time_ms: float) -> list[Event]:
    """The events of a token that was drawn, of such a probability; with the last one the generation ends."""
    going, settings, front_end = record.going, record.head.settings, record.model.network.specification.front_end
    assert going is not None and isinstance(front_end, Tokens) and isinstance(settings, Generation)
    if token == settings.end:
        events = [Event("end-of-generation", frame, time_ms, "", token, chance)]
        record.end_generation()
    else:
        events = [Event("token", frame, time_ms, front_end.vocabulary[token], token, chance)]
        going.left -= 1
        if not going.left and record.generating is not None:
            events.append(Event("end-of-generation", frame, time_ms))
            record.end_generation()
    return placed(events, record.utterance, record.utterance_ms)


def _settings(record: Record) -> Generation:
    """Those of the stream's head. Raises InputError if it does not generate."""
    settings = record.head.settings
    if isinstance(settings, Generation):
        return settings
    heads = record.model.heads.all.values()
    able = [repr(head.name) for head in heads if isinstance(head.settings, Generation)]
    if able and record.options.decoder:
        cure = "open the stream without a decoder of its own"
    elif able:
        cure = f"open the stream with head {' or '.join(able)}"
    else:
        cure = (
            "only a language model does, whose head has the decoder 'generation': tokens in, forward layers, and an "
            "output for each entry of the vocabulary"
        )
    raise InputError(f"head {record.head.name!r} of {record.model.name!r} does not generate: {cure}")
