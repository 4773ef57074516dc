"""The wire: docs/protocol.md in code. Server and clients share it; it loads neither kernels nor Numba."""

from __future__ import annotations

from ostinato.protocol.codec import (
    decode_reply,
    decode_request,
    encode,
    encode_models,
    salvage,
)
from ostinato.protocol.messages import (
    BACKSTOP_BYTES,
    MAX_HEADS,
    MAX_MESSAGE_BYTES,
    MAX_PUSHES,
    MAX_SNAPSHOT_BYTES,
    MAX_SYMBOLS,
    MAX_TOKEN_BYTES,
    MAX_TOKENS,
    STREAM_ID_BYTES,
    VERSION,
    Array,
    Close,
    Closed,
    Direction,
    Draining,
    EndGeneration,
    Error,
    Flush,
    Generate,
    Goodbye,
    HeadInfo,
    Input,
    ListModels,
    Mark,
    Marked,
    ModelInfo,
    ModelList,
    More,
    Moved,
    Open,
    Opened,
    Ping,
    Pong,
    Push,
    Pushes,
    Reason,
    Reply,
    Request,
    Reset,
    ResetDone,
    ResultEntry,
    Results,
    Snapshot,
    TakeSnapshot,
    Unit,
    units,
)
from ostinato.protocol.parts import PART_BYTES, Assembler, encode_open, encode_snapshot
from ostinato.protocol.pushes import DTYPES
from ostinato.protocol.results import decode_plain, encode_plain, encode_results, plain_results

__all__ = [
    "encode", "decode_request", "decode_reply", "salvage", "encode_results", "plain_results", "encode_plain",
    "decode_plain", "encode_models", "encode_open", "encode_snapshot",
    "Assembler", "units", "Array", "Direction", "Unit",
    "Request", "Input", "ListModels", "Open", "Push", "Pushes", "Flush", "Mark", "TakeSnapshot", "Reset", "Close",
    "Ping", "Generate", "More", "EndGeneration",
    "Reply", "ModelInfo", "HeadInfo", "ModelList", "Opened", "Moved", "ResultEntry", "Results", "Marked", "Snapshot",
    "ResetDone", "Closed", "Reason", "Pong", "Draining", "Goodbye", "Error",
    "VERSION", "MAX_MESSAGE_BYTES", "BACKSTOP_BYTES", "MAX_SNAPSHOT_BYTES", "PART_BYTES", "STREAM_ID_BYTES",
    "MAX_TOKEN_BYTES", "MAX_HEADS", "MAX_SYMBOLS", "MAX_PUSHES", "MAX_TOKENS", "DTYPES",
]  # fmt: skip
