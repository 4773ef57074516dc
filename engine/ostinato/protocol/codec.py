"""Messages to bytes and back: byte 0 type, byte 1 version, then one msgpack map.

Decoding checks every field and raises only BadMessageError, VersionError or TooLargeError. The bytes are capped
before they are decoded (a mebibyte of empty arrays would decode to 65), and by `unpackb` only: reusing an Unpacker
crashed (CVE-2026-57585).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

import msgpack

from ostinato.errors import BadMessageError, InputError, ProtocolError, TooLargeError, VersionError
from ostinato.options import MAX_HOTWORD_CHARACTERS, MAX_HOTWORDS, MAX_SOURCE, Options
from ostinato.protocol import messages as m
from ostinato.protocol.fields import Fields, stream_id
from ostinato.protocol.pushes import (
    DTYPES,
    decode_push,
    decode_pushes,
    encode_push,
    encode_pushes,
    usual_push,
)
from ostinato.protocol.results import decode_result, pack_result, results_frame
from ostinato.sampling import MAX_BEAMS, MAX_LONGEST, MAX_SEED, MAX_TOP_K, Sampling

_MAX_PARTS = 1024
_HEAD = 2
_M = TypeVar("_M")


# --- requests -------------------------------------------------------------------------------------------------------


def _seq(f: Fields) -> int:
    return f.integer("seq", low=1)


def _token(f: Fields) -> bytes:
    return f.binary("token", 0, m.MAX_TOKEN_BYTES)


def _part(f: Fields) -> tuple[int, int]:
    if "part" not in f and "parts" not in f:
        return 0, 1
    parts = f.integer("parts", 1, _MAX_PARTS)
    return f.integer("part", 0, parts - 1), parts


_OPTIONS: dict[str, Callable[[Fields, str], Any]] = {
    "head": lambda f, name: f.text(name, 64, least=1),
    "decoder": lambda f, name: f.text(name, 64, least=1),
    "sample_rate": lambda f, name: f.integer(name, 1, 10**6),
    "dtype": lambda f, name: f.choice(name, DTYPES),
    "end_of_speech_ms": lambda f, name: f.number(name, above_zero=True),
    "trailing_blanks_ms": lambda f, name: f.number(name, above_zero=True),
    "max_utterance_s": lambda f, name: f.number(name, above_zero=True),
    "block_ms": lambda f, name: f.number(name, above_zero=True),
    "lookahead_ms": lambda f, name: f.number(name),
    "wait_k": lambda f, name: f.integer(name, 1, MAX_SOURCE),
    "sampling": lambda f, name: _sampling(Fields(f.map(name), f"{f.where}: field {name!r}")),
    "hotwords": lambda f, name: f.texts(name, MAX_HOTWORDS, MAX_HOTWORD_CHARACTERS, least=1),
    "hotword_boost": lambda f, name: f.number(name),
}
"""How each field of `Options` is read, which may be left out."""


def _open(f: Fields) -> m.Open:
    part, parts = _part(f)
    return m.Open(
        stream=stream_id(f),
        model=f.text("model", 256, least=1),
        options=Options(**{name: read(f, name) for name, read in _OPTIONS.items() if name in f}),
        snapshot=f.binary("snapshot", 0, m.MAX_MESSAGE_BYTES) if "snapshot" in f else None,
        part=part,
        parts=parts,
    )


_SAMPLING: dict[str, Callable[[Fields, str], Any]] = {
    "seed": lambda f, name: f.integer(name, 0, MAX_SEED),
    "temperature": lambda f, name: f.number(name),
    "top_k": lambda f, name: f.integer(name, 1, MAX_TOP_K),
    "top_p": lambda f, name: f.number(name, above_zero=True),
    "beams": lambda f, name: f.integer(name, 1, MAX_BEAMS),
    "length_penalty": lambda f, name: f.number(name),
}
"""How each field of `Sampling` is read, which may be left out."""


def _sampling(f: Fields) -> Sampling:
    """A map of nothing else."""
    sampling = _drawn(f)
    f.finish()
    return sampling or Sampling()


def _drawn(f: Fields) -> Sampling | None:
    """How tokens are drawn, if any field says so."""
    given = {name: read(f, name) for name, read in _SAMPLING.items() if name in f}
    try:
        return Sampling(**given) if given else None
    except InputError as error:
        raise BadMessageError(f"{f.where}: {error}") from error


def _generate(f: Fields) -> m.Generate:
    sampling = _drawn(f)
    longest = f.integer("longest", 1, MAX_LONGEST) if "longest" in f else None
    return m.Generate(stream_id(f), _seq(f), _tokens(f), sampling, longest)


def _tokens(f: Fields) -> int:
    return f.integer("tokens", 1, m.MAX_TOKENS)


_REQUESTS: dict[int, tuple[str, Callable[[Fields], m.Request]]] = {
    m.ListModels.TYPE: ("MODELS", lambda f: m.ListModels()),
    m.Open.TYPE: ("OPEN", _open),
    m.Push.TYPE: ("PUSH", decode_push),
    m.Pushes.TYPE: ("PUSHES", decode_pushes),
    m.Flush.TYPE: ("FLUSH", lambda f: m.Flush(stream_id(f), _seq(f))),
    m.Mark.TYPE: ("MARK", lambda f: m.Mark(stream_id(f), _seq(f), _token(f))),
    m.TakeSnapshot.TYPE: ("SNAPSHOT", lambda f: m.TakeSnapshot(stream_id(f), _seq(f))),
    m.Reset.TYPE: ("RESET", lambda f: m.Reset(stream_id(f), _seq(f))),
    m.Generate.TYPE: ("GENERATE", _generate),
    m.More.TYPE: ("MORE", lambda f: m.More(stream_id(f), _seq(f), _tokens(f))),
    m.EndGeneration.TYPE: ("END_GENERATION", lambda f: m.EndGeneration(stream_id(f), _seq(f))),
    m.Close.TYPE: ("CLOSE", lambda f: m.Close(stream_id(f))),
    m.Ping.TYPE: ("PING", lambda f: m.Ping(_token(f))),
}


# --- replies --------------------------------------------------------------------------------------------------------


def _encode_head(head: m.HeadInfo) -> dict[str, Any]:
    return _plain(head) | {"symbols": list(head.symbols)}


def _encode_info(info: m.ModelInfo) -> dict[str, Any]:
    return _plain(info) | {"heads": [_encode_head(head) for head in info.heads]}


def _head(raw: object, where: str) -> m.HeadInfo:
    f = Fields(raw, where)
    symbols = f.array("symbols", m.MAX_SYMBOLS)
    if not all(type(symbol) is str for symbol in symbols):
        raise BadMessageError(f"{where}: field 'symbols' has elements that are not strings")
    head = m.HeadInfo(
        name=f.text("name", 64, least=1),
        decoder=f.text("decoder", 64),
        separator=f.text("separator", 64),
        delay_frames=f.integer("delay_frames") if "delay_frames" in f else None,
        delay_ms=f.number("delay_ms") if "delay_ms" in f else None,
        sample_rate=f.integer("sample_rate", 1) if "sample_rate" in f else None,
        symbols=tuple(symbols),
    )
    f.finish()
    return head


def _info(raw: object, where: str) -> m.ModelInfo:
    f = Fields(raw, where)
    heads = f.array("heads", m.MAX_HEADS)
    if not heads:
        raise BadMessageError(f"{where}: field 'heads' is empty")
    info = m.ModelInfo(
        name=f.text("name", 256, least=1),
        direction=f.choice("direction", ("unidirectional", "bidirectional")),
        unit=f.choice("unit", ("sample", "character", "frame")),
        frame_ms=f.number("frame_ms"),
        state_bytes=f.integer("state_bytes"),
        heads=tuple(_head(raw, f"{where} head {i}") for i, raw in enumerate(heads)),
        sample_rate=f.integer("sample_rate", 1, 10**6) if "sample_rate" in f else None,
        frame_size=f.integer("frame_size", 1) if "frame_size" in f else None,
        description=f.text("description", 1024),
        digest=f.text("digest", 64),
    )
    f.finish()
    return info


def _models(f: Fields) -> m.ModelList:
    part, parts = _part(f)
    models = f.array("models", m.MAX_MESSAGE_BYTES)
    return m.ModelList(tuple(_info(raw, f"{f.where} model {i}") for i, raw in enumerate(models)), part, parts)


def _opened(f: Fields) -> m.Opened:
    model, head = _info(f.map("model"), f"{f.where} model"), _head(f.map("head"), f"{f.where} head")
    return m.Opened(stream_id(f), model, head, f.integer("credit", 1), f.integer("inputs", 1), f.number("idle_s"))


def _results(f: Fields) -> m.Results:
    results = f.array("results", m.MAX_MESSAGE_BYTES)
    return m.Results(tuple(decode_result(raw, f"{f.where} result {i}") for i, raw in enumerate(results)))


def _snapshot(f: Fields) -> m.Snapshot:
    part, parts = _part(f)
    return m.Snapshot(stream_id(f), _seq(f), f.binary("data", 0, m.MAX_MESSAGE_BYTES), part, parts)


def _closed(f: Fields) -> m.Closed:
    return m.Closed(stream_id(f), f.choice("reason", ("close", "idle", "drain", "error")))


def _error(f: Fields) -> m.Error:
    return m.Error(
        code=f.text("code", 64, least=1),
        message=f.text("message", 4096),
        stream=stream_id(f) if "stream" in f else None,
        seq=_seq(f) if "seq" in f else None,
        expected=f.integer("expected", low=1) if "expected" in f else None,
        retry_ms=f.integer("retry_ms") if "retry_ms" in f else None,
    )


_REPLIES: dict[int, tuple[str, Callable[[Fields], m.Reply]]] = {
    m.ModelList.TYPE: ("MODELS", _models),
    m.Opened.TYPE: ("OPENED", _opened),
    m.Moved.TYPE: ("MOVED", lambda f: m.Moved(stream_id(f), f.text("endpoint", 256, least=1))),
    m.Results.TYPE: ("RESULTS", _results),
    m.Marked.TYPE: ("MARKED", lambda f: m.Marked(stream_id(f), _seq(f), _token(f))),
    m.Snapshot.TYPE: ("SNAPSHOT", _snapshot),
    m.ResetDone.TYPE: ("RESET", lambda f: m.ResetDone(stream_id(f), _seq(f))),
    m.Closed.TYPE: ("CLOSED", _closed),
    m.Pong.TYPE: ("PONG", lambda f: m.Pong(_token(f))),
    m.Draining.TYPE: ("DRAINING", lambda f: m.Draining(f.number("seconds"))),
    m.Goodbye.TYPE: ("GOODBYE", lambda f: m.Goodbye()),
    m.Error.TYPE: ("ERROR", _error),
}


# --- whole messages -------------------------------------------------------------------------------------------------


def encode(message: m.Request | m.Reply) -> bytes:
    """The bytes of a message. Raises TooLargeError over MAX_MESSAGE_BYTES."""
    if isinstance(message, m.Push):
        body = encode_push(message)
    elif isinstance(message, m.Pushes):
        body = encode_pushes(message)
    elif isinstance(message, m.Results):
        packed = [pack_result(result) for result in message.results]
        return _checked(results_frame(len(packed), b"".join(packed)))
    elif isinstance(message, m.Open):
        body = _plain(message)
        body |= {name: _plain(o) if isinstance(o, Sampling) else o for name, o in body.pop("options").given.items()}
    elif isinstance(message, m.Generate):
        body = _plain(message)
        body |= _plain(body.pop("sampling")) if message.sampling is not None else {}
    elif isinstance(message, m.Opened):
        body = _plain(message) | {"model": _encode_info(message.model), "head": _encode_head(message.head)}
    elif isinstance(message, m.ModelList):
        body = _plain(message) | {"models": [_encode_info(info) for info in message.models]}
    elif isinstance(message, m.Error):
        body = _plain(dataclasses.replace(message, message=message.message[:4096]))
    else:
        body = _plain(message)
    # Half a character (a lone surrogate: of a file's name, say) is "?": a message is UTF-8 whatever it quotes.
    return _checked(bytes((message.TYPE, m.VERSION)) + msgpack.packb(body, unicode_errors="replace"))


def _checked(frame: bytes) -> bytes:
    if len(frame) > m.MAX_MESSAGE_BYTES:
        raise TooLargeError(f"a message of {len(frame)} bytes is over the limit of {m.MAX_MESSAGE_BYTES}")
    return frame


def _plain(message: Any) -> dict[str, Any]:
    raw = {name: getattr(message, name) for name in message.__slots__ if getattr(message, name) is not None}
    if raw.get("parts") == 1:
        del raw["part"], raw["parts"]
    return raw


def decode_request(frame: bytes) -> m.Request:
    """A client's message. Raises BadMessageError, VersionError or TooLargeError, naming the field."""
    return usual_push(frame) or _decode(frame, _REQUESTS)


def decode_reply(frame: bytes) -> m.Reply:
    """A server's message. Raises BadMessageError, VersionError or TooLargeError, naming the field."""
    return _decode(frame, _REPLIES)


def salvage(frame: bytes, error: ProtocolError) -> tuple[list[m.ResultEntry], dict[bytes, ProtocolError]]:
    """Of a server's message that `decode_reply` refused with ``error``: the results that can be read nevertheless,
    and why those of other streams, by id, cannot, so that a client may go on with its other streams.

    Raises BadMessageError, VersionError or TooLargeError if it is not to be seen which streams it is about."""
    name, raw = _opened_up(frame, _REPLIES)
    if frame[0] != m.Results.TYPE:
        return [], {stream_id(Fields(raw, name)): error}
    readable: list[m.ResultEntry] = []
    broken: dict[bytes, ProtocolError] = {}
    for i, each in enumerate(Fields(raw, name).array("results", m.MAX_MESSAGE_BYTES)):
        try:
            readable.append(decode_result(each, f"{name} result {i}"))
        except BadMessageError as wrong:
            broken.setdefault(stream_id(Fields(each, f"{name} result {i}")), wrong)
    return [result for result in readable if result.stream not in broken], broken


def _decode(frame: bytes, table: dict[int, tuple[str, Callable[[Fields], _M]]]) -> _M:
    name, raw = _opened_up(frame, table)
    fields = Fields(raw, name)
    message = table[frame[0]][1](fields)
    fields.finish()
    return message


def _opened_up(frame: bytes, table: dict[int, tuple[str, Callable[[Fields], _M]]]) -> tuple[str, Any]:
    """What kind of message it is, and what it holds, not looked into."""
    if len(frame) > m.MAX_MESSAGE_BYTES:
        raise TooLargeError(
            f"a message of {len(frame)} bytes is over the limit of {m.MAX_MESSAGE_BYTES}: send smaller pieces"
        )
    if len(frame) < _HEAD:
        raise BadMessageError(f"a message of {len(frame)} bytes: the type and the version are missing")
    if frame[1] != m.VERSION:
        raise VersionError(f"protocol version {frame[1]} is unknown here: this side speaks version {m.VERSION}")
    if frame[0] not in table:
        raise BadMessageError(f"message type 0x{frame[0]:02x} is unknown")
    name = table[frame[0]][0]
    try:
        return name, msgpack.unpackb(memoryview(frame)[_HEAD:], raw=False, strict_map_key=True)
    except (ValueError, TypeError, OverflowError, RecursionError):
        raise BadMessageError(f"{name}: what follows the version is not one whole msgpack value") from None


# --- replies that may need several messages -------------------------------------------------------------------------


def encode_models(models: Iterable[m.ModelInfo]) -> list[bytes]:
    """The reply to MODELS, in as few messages as fit."""
    batches: list[list[m.ModelInfo]] = [[]]
    size = 0
    for info in models:
        length = len(msgpack.packb(_encode_info(info), unicode_errors="replace"))
        if size + length > m.MAX_MESSAGE_BYTES - 64:
            batches.append([])
            size = 0
        batches[-1].append(info)
        size += length
    return [encode(m.ModelList(tuple(batch), i, len(batches))) for i, batch in enumerate(batches)]
