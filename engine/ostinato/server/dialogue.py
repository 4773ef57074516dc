"""What each message does and what is answered: docs/protocol.md in deeds. No sockets: frames in, frames out."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Callable, Collection, Iterable, Sequence
from functools import partial
from typing import Any, cast

import numpy.typing as npt

from ostinato import protocol as wire
from ostinato.engine import FEWEST, Answer, Answers, Engine, unit
from ostinato.errors import (
    CapacityError,
    DrainingError,
    OstinatoError,
    SnapshotError,
    StreamInUseError,
    TooLargeError,
    UnknownStreamError,
)
from ostinato.model.front_ends import Audio
from ostinato.server.directory import Directory
from ostinato.server.peer import Peer
from ostinato.server.pushes import Gathering, Reader, Usual
from ostinato.server.results import Written, packed
from ostinato.server.resuming import Resuming
from ostinato.server.settings import Settings
from ostinato.streaming import Delay, Head, Model

log = logging.getLogger(__name__)
RETRY_AFTER_MS = 1000
"""When whoever found no room may try again: what an ERROR says."""
PUSHES = bytes((wire.Pushes.TYPE,))
FAULT = "a fault of the server: its log says more"

IN_RESULTS = ("push", "flush", "generate", "more", "end-generation", "tokens")
"""Kinds of answers that are results on the wire."""

Batches = dict[Peer, list[wire.ResultEntry | bytes]]
"""Results that are yet to be sent together, by their peers."""


class Dialogue:
    """Between peers and the engine. ``touched`` are the peers that have something to be sent.

    The engine's keys are pairs of peer and stream id, and ``directory`` is told which are closed.
    ``place``: streams are opened elsewhere, at the endpoint that it returns; what it raises is answered.
    """

    def __init__(
        self, engine: Engine, directory: Directory, settings: Settings, place: Callable[[], str] | None = None
    ) -> None:
        self.draining = False
        self.full = ""
        """Why no stream can be opened just now."""
        self.touched: set[Peer] = set()
        self._engine = engine
        self._settings = settings
        self._place = place
        self._resuming = Resuming(settings)
        self._gathering = Gathering()
        self._directory, self._reader, self._written = directory, Reader(directory), Written(directory)
        self._infos = {name: describe(name, model) for name, model in engine.models.items()}

    # --- messages ---------------------------------------------------------------------------------------------------

    @property
    def resuming_bytes(self) -> int:
        """Of the snapshots that have come in part."""
        return self._resuming.size

    def take(self, peer: Peer, frame: bytes, arrived_ns: int) -> None:
        """Do what a message says, or answer why not. A push may wait for others that come with it until `deliver`."""
        if frame[:1] == PUSHES and (usual := self._reader.read(peer, frame)) is not None:
            self.deliver()
            self._guarded(peer, usual, partial(self._inputs, peer, usual.columns, usual, arrived_ns))
            return
        try:
            request = wire.decode_request(frame)
        except OstinatoError as error:
            self._refuse(peer, error)
            return
        if isinstance(request, wire.Push):
            if self._gathering.add(peer, request, arrived_ns):
                return
            self.deliver()
            if self._gathering.add(peer, request, arrived_ns):
                return
        else:
            self.deliver()
        self._guarded(peer, request, lambda: self._do(peer, request, arrived_ns))

    def deliver(self) -> None:
        """Hand the pushes on that came singly and were gathered: to be called before each tick."""
        if not self._gathering:
            return
        gathered = self._gathering.take()
        pushes, arrived_ns = gathered.pushes, gathered.arrived_ns
        left: Collection[int] = range(len(pushes))
        if len(pushes) >= FEWEST:
            seqs, units = [push.seq for push in pushes], [len(push.data) for push in pushes]
            try:
                left = self._engine.push_all((gathered.rows, seqs, units), gathered.data, arrived_ns)
            except Exception:
                log.exception("%d pushes met a fault", len(pushes))
                left = ()
                for peer, push in zip(gathered.peers, pushes, strict=True):
                    self._refuse(peer, OstinatoError(FAULT), push.stream, push.seq)
        for i in sorted(left):
            peer, push = gathered.peers[i], pushes[i]
            self._guarded(peer, push, partial(self._input, peer, push, arrived_ns))

    def _guarded(self, peer: Peer, request: wire.Request | Usual, do: Callable[[], None]) -> None:
        """Do what a message says. A fault of ours must not end the others' streams."""
        try:
            do()
        except Exception:
            log.exception("a message of type %s met a fault", type(request).__name__)
            fault = OstinatoError(FAULT)
            self._refuse(peer, fault, getattr(request, "stream", None), getattr(request, "seq", None))

    def _do(self, peer: Peer, request: wire.Request, arrived_ns: int) -> None:
        if isinstance(request, wire.Pushes):
            rows = [peer.streams.get(stream, -1) for stream in request.streams]
            self._inputs(peer, (rows, request.seqs, request.units), request, arrived_ns)
        elif isinstance(request, wire.Open):
            self._open(peer, request)
        elif isinstance(request, wire.Close):
            self._close(peer, request.stream)
        elif isinstance(request, wire.Ping):
            self._send(peer, wire.Pong(request.token))
        elif isinstance(request, wire.ListModels):
            self._send_frames(peer, wire.encode_models(self._infos.values()))
        else:
            self._input(peer, request, arrived_ns)

    def _inputs(self, peer: Peer, columns: npt.ArrayLike, pushes: wire.Pushes | Usual, arrived_ns: int) -> None:
        if left := self._engine.push_all(columns, pushes.data, arrived_ns):
            for i, push in enumerate(pushes):
                if i in left:
                    self._input(peer, push, arrived_ns, len(push.data))

    def _input(self, peer: Peer, request: wire.Input, arrived_ns: int, units: int | None = None) -> None:
        key, seq, engine = (peer, request.stream), request.seq, self._engine
        try:
            if isinstance(request, wire.Push):
                again = engine.push(key, seq, request.data, arrived_ns, units)
            elif isinstance(request, wire.Flush):
                again = engine.flush(key, seq, arrived_ns)
            elif isinstance(request, wire.Mark):
                again = engine.mark(key, seq, request.token, arrived_ns)
            elif isinstance(request, wire.TakeSnapshot):
                again = engine.snapshot(key, seq, arrived_ns)
            elif isinstance(request, wire.Generate):
                again = engine.generate(key, seq, request.tokens, request.sampling, request.longest, arrived_ns)
            elif isinstance(request, wire.More):
                again = engine.more(key, seq, request.tokens, arrived_ns)
            elif isinstance(request, wire.EndGeneration):
                again = engine.end_generation(key, seq, arrived_ns)
            else:
                again = engine.reset(key, seq, arrived_ns)
        except OstinatoError as error:
            self._refuse(peer, error, request.stream, seq, engine.expected(key))
        else:
            if again is not None:
                self.answer([again])

    def _open(self, peer: Peer, request: wire.Open) -> None:
        try:
            if self.draining:
                raise DrainingError(
                    "the server is shutting down and opens no more streams: use another, or try later"
                )
            if self.full:
                raise CapacityError(self.full)
            if self._place is not None:
                if request.part == 0:  # the others of a snapshot go the way of the first
                    self._send(peer, wire.Moved(request.stream, self._place()))
                return
            if request.stream in peer.streams:
                raise StreamInUseError("a stream of that id is open already: choose 16 other random bytes")
            snapshot = self._resuming.add(peer, request)
            if request.snapshot is not None and snapshot is None:
                return
            opened = self._engine.open(
                (peer, request.stream),
                request.model,
                request.options,
                snapshot=snapshot,
            )
        except OstinatoError as error:
            self._refuse(peer, error, request.stream)
            return
        self._directory.add(peer, request.stream, opened.row)
        info, head = self._infos[request.model], describe_head(opened.head, opened.delay)
        reply = wire.Opened(request.stream, info, head, opened.credit, opened.inputs, self._settings.idle_s)
        try:
            self._send(peer, reply)
        except TooLargeError:
            self._send(peer, dataclasses.replace(reply, head=dataclasses.replace(head, symbols=())))

    def _close(self, peer: Peer, stream: bytes) -> None:
        try:
            self._engine.close((peer, stream))
        except UnknownStreamError as error:
            self._refuse(peer, error, stream)
        else:
            self._send(peer, wire.Closed(stream, "close"))

    # --- peers ------------------------------------------------------------------------------------------------------

    def close_all(self, peer: Peer, reason: wire.Reason) -> None:
        """Close a peer's streams and tell it so."""
        streams = list(peer.streams)
        self.forget(peer)
        for stream in streams:
            self._send(peer, wire.Closed(stream, reason))

    def forget(self, peer: Peer) -> None:
        """Close a peer's streams; it is gone, or will be told otherwise."""
        self.deliver()
        for stream in list(peer.streams):
            self._engine.close((peer, stream))
        self._resuming.forget(peer)
        self.touched.discard(peer)

    def care(self, now: float) -> None:
        """To be called now and then: what has waited for too long (`time.monotonic`) is given up."""
        for peer, stream in self._resuming.late(now):
            error = SnapshotError(f"the snapshot did not come whole in {self._settings.resume_s:g} s: open again")
            self._refuse(peer, error, stream)

    def tell(self, peer: Peer, message: wire.Reply) -> None:
        """Send a message of the server's own accord."""
        self._send(peer, message)

    # --- replies ----------------------------------------------------------------------------------------------------

    def answer(self, results: Iterable[Answer | Answers]) -> None:
        """Send results: as few messages as fit for each peer, in each stream's order. Those that cannot be sent close
        their streams, and cost the others nothing."""
        batches: Batches = {}
        for result in results:
            self._answer(result, batches)
        for peer, batch in batches.items():
            self._send_results(peer, batch)

    def _answer(self, result: Answer | Answers, batches: Batches) -> None:
        try:
            if isinstance(result, Answer):
                self._answer_one(result, batches)
            elif not self._answer_together(result, batches):
                for each in result:
                    self._answer(each, batches)
        except Exception as error:
            keys: list[Any] = result.keys() if isinstance(result, Answers) else [result.key]
            for peer, stream in keys:
                self._send_results(peer, batches.pop(peer, []))
                self._give_up(peer, stream, error)

    def _answer_together(self, answers: Answers, batches: Batches) -> bool:
        """Send results of many streams, written by one call; False if each must be written by itself."""
        try:
            written = list(self._written.frames(answers)) if self._written.fits(answers) else None
        except Exception:
            log.exception("%d results met a fault", len(answers.rows))
            written = None
        for peer, frames in written or ():
            self._send_results(peer, batches.pop(peer, []))
            self._send_frames(peer, frames)
        return written is not None

    def _answer_one(self, result: Answer, batches: Batches) -> None:
        peer, stream = cast(tuple[Peer, bytes], result.key)
        if result.kind in IN_RESULTS:
            batches.setdefault(peer, []).append(packed(stream, result))
            if result.kind == "tokens" and result.payload is not None:
                self._send_results(peer, batches.pop(peer))
                self._refuse(peer, result.payload, stream)
        else:
            self._send_results(peer, batches.pop(peer, []))
            self._answer_other(peer, stream, result)

    def _answer_other(self, peer: Peer, stream: bytes, result: Answer) -> None:
        if result.kind == "mark":
            self._send(peer, wire.Marked(stream, result.sequence, result.payload))
        elif result.kind == "reset":
            self._send(peer, wire.ResetDone(stream, result.sequence))
        elif result.kind == "error":
            self._refuse(peer, result.payload, stream, result.sequence)
        elif result.kind == "snapshot":
            try:
                frames = wire.encode_snapshot(stream, result.sequence, result.payload)
            except TooLargeError as error:
                self._refuse(peer, error, stream, result.sequence)
                return
            self._send_frames(peer, frames)
        else:
            self._refuse(peer, result.payload, stream)
            self._send(peer, wire.Closed(stream, "error"))

    def _send_results(self, peer: Peer, results: Sequence[wire.ResultEntry | bytes]) -> None:
        try:
            frames = wire.encode_results(results)
        except Exception as error:
            self._send_singly(peer, results, error)
            return
        self._send_frames(peer, frames)

    def _send_frames(self, peer: Peer, frames: list[bytes]) -> None:
        if frames:
            self.touched.add(peer)
            for frame in frames:
                peer.send(frame)

    def _send_singly(self, peer: Peer, results: Sequence[wire.ResultEntry | bytes], error: Exception) -> None:
        """One of the results fits no message, or cannot be written."""
        for result in results:
            if len(results) > 1:
                self._send_results(peer, [result])
            elif not isinstance(result, bytes) and result.stream in peer.streams:
                self._give_up(peer, result.stream, error)

    def _give_up(self, peer: Peer, stream: bytes, error: Exception) -> None:
        """A stream cannot be answered: close it, and say why."""
        if not isinstance(error, OstinatoError):
            log.error("a result cannot be written", exc_info=error)
            error = OstinatoError(FAULT)
        if stream in peer.streams:
            self._engine.close((peer, stream))
        self._refuse(peer, error, stream)
        self._send(peer, wire.Closed(stream, "error"))

    def _refuse(
        self,
        peer: Peer,
        error: OstinatoError,
        stream: bytes | None = None,
        seq: int | None = None,
        expected: int | None = None,
    ) -> None:
        retry = RETRY_AFTER_MS if isinstance(error, CapacityError) else None
        self._send(peer, wire.Error(error.code, str(error), stream, seq, expected, retry))

    def _send(self, peer: Peer, message: wire.Reply) -> None:
        peer.send(wire.encode(message))
        self.touched.add(peer)


def describe(name: str, model: Model) -> wire.ModelInfo:
    """A model as the wire describes it."""
    front_end = model.reader.specification.front_end
    heads = (describe_head(head, model.delay_of(name)) for name, head in model.heads.all.items())
    return wire.ModelInfo(
        name=name[:256],
        direction=model.direction,
        unit=unit(model),
        frame_ms=model.front_end.frame_ms,
        state_bytes=model.state_bytes,
        heads=tuple(dataclasses.replace(head, symbols=()) for head in heads),
        sample_rate=front_end.sample_rate if isinstance(front_end, Audio) else None,
        frame_size=front_end.frame_size if unit(model) == "frame" else None,
        description=model.network.specification.description[:1024],
        digest=model.network.digest,
    )


def describe_head(head: Head, delay: Delay) -> wire.HeadInfo:
    """A head as the wire describes it, to streams with such a delay."""
    symbols = head.settings.names
    return wire.HeadInfo(
        name=head.name,
        decoder=head.settings.kind,
        separator=head.settings.separator[:64],
        delay_frames=delay.frames,
        delay_ms=delay.ms,
        sample_rate=head.decoder.sample_rate,
        symbols=symbols if len(symbols) <= wire.MAX_SYMBOLS else (),
    )
