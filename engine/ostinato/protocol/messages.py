"""The messages of the wire as typed values. docs/protocol.md says what each means; `codec` turns them into bytes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import ClassVar, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from ostinato.errors import BadMessageError
from ostinato.events import Event
from ostinato.options import DEFAULT, Options
from ostinato.sampling import Sampling

VERSION = 1
MAX_MESSAGE_BYTES = 65536
"""A longer message is answered with `too_large`, in both directions."""
BACKSTOP_BYTES = 2 * MAX_MESSAGE_BYTES
"""For ZeroMQ's MAXMSGSIZE: above it the peer is cut without a word."""
MAX_SNAPSHOT_BYTES = 8 * 2**20
"""A snapshot, all its parts together."""
STREAM_ID_BYTES = 16
MAX_TOKEN_BYTES = 64
MAX_HEADS = 64
MAX_SYMBOLS = 1024
MAX_TOKENS = 256
"""Generated tokens that a client may say it has room for."""
MAX_PUSHES = 1024
"""Chunks in one PUSHES."""

Direction = Literal["unidirectional", "bidirectional"]
Unit = Literal["sample", "character", "frame"]
Reason = Literal["close", "idle", "drain", "error"]
Array = npt.NDArray[np.generic]


def units(data: Array | str) -> int:
    """What credit counts: samples or frames (first dimension) of an array, characters (code points) of a text. A
    frame that comes by itself as [size], which only a stream of frames can tell from samples, is to be made [1, size]
    before it is counted: `FrontEnd.check` does it for the server, `Stream.push` for the client."""
    return len(data)


# --- client to server -----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ListModels:
    """Which models are served?"""

    TYPE: ClassVar[int] = 0x01


@dataclass(frozen=True, slots=True)
class Open:
    """Open stream ``stream`` (16 random bytes) of ``model``; its ``options`` are fields of the message.

    ``snapshot`` resumes from one; if it needs ``parts`` messages, all are alike but for ``part`` (from 0) and
    ``snapshot``.
    """

    stream: bytes
    model: str
    options: Options = DEFAULT
    snapshot: bytes | None = None
    part: int = 0
    parts: int = 1

    TYPE: ClassVar[int] = 0x02


@dataclass(slots=True)  # not frozen, like ResultEntry: that costs a microsecond, and these come by the ten thousand
class Push:
    """Input ``seq`` of a stream: an array (read-only when decoded; dtype and shape are the sender's) or a text."""

    stream: bytes
    seq: int
    data: Array | str

    TYPE: ClassVar[int] = 0x03

    @property
    def units(self) -> int:
        """Samples, frames or characters."""
        return units(self.data)


@dataclass(frozen=True, slots=True)
class Pushes:
    """Several `Push` in one message, of audio or of frames: for clients that speak for many streams. Each is done and
    answered as if it had come alone, in their order.

    Number i is of stream streams[i], numbered seqs[i], and has the next units[i] rows of ``data``.
    """

    streams: list[bytes]
    seqs: list[int]
    units: list[int]
    data: Array

    TYPE: ClassVar[int] = 0x0A

    @staticmethod
    def of(pushes: Sequence[Push]) -> Pushes:
        """These, whose data must be arrays of one dtype and frame size. Raises BadMessageError."""
        arrays = [push.data for push in pushes if isinstance(push.data, np.ndarray)]
        if len(arrays) < len(pushes) or len({(data.dtype, data.shape[1:]) for data in arrays}) != 1:
            raise BadMessageError("PUSHES takes arrays of one dtype, all [samples] or all [frames, size]: use PUSH")
        streams, seqs = [push.stream for push in pushes], [push.seq for push in pushes]
        return Pushes(streams, seqs, [len(data) for data in arrays], np.concatenate(arrays))

    def __iter__(self) -> Iterator[Push]:
        ends = accumulate(self.units)
        for stream, seq, count, end in zip(self.streams, self.seqs, self.units, ends, strict=True):
            yield Push(stream, seq, self.data[end - count : end])


@dataclass(frozen=True, slots=True)
class Flush:
    """End the utterance."""

    stream: bytes
    seq: int

    TYPE: ClassVar[int] = 0x04


@dataclass(frozen=True, slots=True)
class Mark:
    """Answer with `Marked` when all earlier input has been processed."""

    stream: bytes
    seq: int
    token: bytes

    TYPE: ClassVar[int] = 0x05


@dataclass(frozen=True, slots=True)
class TakeSnapshot:
    """Answer with `Snapshot` of the state after all earlier input."""

    stream: bytes
    seq: int

    TYPE: ClassVar[int] = 0x06


@dataclass(frozen=True, slots=True)
class Reset:
    """Drop the utterance; the state is as after `Open`."""

    stream: bytes
    seq: int

    TYPE: ClassVar[int] = 0x07


@dataclass(frozen=True, slots=True)
class Generate:
    """Let a language model go on with the text, or go on with that: a token in each result, and after ``tokens`` of
    them no more until `More`. ``sampling`` and ``longest`` None: as they are, or what is usual."""

    stream: bytes
    seq: int
    tokens: int
    sampling: Sampling | None = None
    longest: int | None = None

    TYPE: ClassVar[int] = 0x0B


@dataclass(frozen=True, slots=True)
class More:
    """There is room for so many more tokens of a generation."""

    stream: bytes
    seq: int
    tokens: int

    TYPE: ClassVar[int] = 0x0C


@dataclass(frozen=True, slots=True)
class EndGeneration:
    """End a generation: the stream takes input again."""

    stream: bytes
    seq: int

    TYPE: ClassVar[int] = 0x0D


@dataclass(frozen=True, slots=True)
class Close:
    """Close the stream at once, dropping what waits."""

    stream: bytes

    TYPE: ClassVar[int] = 0x08


@dataclass(frozen=True, slots=True)
class Ping:
    """Are you there?"""

    token: bytes

    TYPE: ClassVar[int] = 0x09


Input: TypeAlias = Push | Flush | Mark | TakeSnapshot | Reset | Generate | More | EndGeneration
"""The messages that carry a ``seq``."""
Request: TypeAlias = ListModels | Open | Pushes | Close | Ping | Input


# --- server to client -----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class HeadInfo:
    """A model's head as the wire describes it: what streams that are opened for it say.

    ``decoder`` is the kind of decoder, ``separator`` joins symbols or labels to a text. ``delay_frames`` and
    ``delay_ms`` None mean the utterance. ``sample_rate`` (Hz) is that of its ``audio`` events, if it gives such.
    ``symbols`` names the outputs, if they have names and are no more than MAX_SYMBOLS; of a model's heads they are
    left out.
    """

    name: str
    decoder: str
    separator: str = ""
    delay_frames: int | None = None
    delay_ms: float | None = None
    symbols: tuple[str, ...] = ()
    sample_rate: int | None = None


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """A model as the wire describes it.

    A stream has the first of ``heads`` unless it asks for another. ``sample_rate`` (Hz) is there for ``unit``
    "sample", ``frame_size`` for "frame".
    """

    name: str
    direction: Direction
    unit: Unit
    frame_ms: float
    state_bytes: int
    heads: tuple[HeadInfo, ...]
    sample_rate: int | None = None
    frame_size: int | None = None
    description: str = ""
    digest: str = ""


@dataclass(frozen=True, slots=True)
class ModelList:
    """The models served, in ``parts`` messages."""

    models: tuple[ModelInfo, ...]
    part: int = 0
    parts: int = 1

    TYPE: ClassVar[int] = 0x81


@dataclass(frozen=True, slots=True)
class Opened:
    """The stream is open, and all its events are of ``head``; delay and decoder are the stream's.

    At most ``credit`` units and ``inputs`` inputs may be unanswered; a client from which nothing comes for ``idle_s``
    seconds, no PING either, is forgotten."""

    stream: bytes
    model: ModelInfo
    head: HeadInfo
    credit: int
    inputs: int
    idle_s: float

    TYPE: ClassVar[int] = 0x82


@dataclass(frozen=True, slots=True)
class Moved:
    """The stream is not opened here: send the same OPEN to ``endpoint``."""

    stream: bytes
    endpoint: str

    TYPE: ClassVar[int] = 0x8A


@dataclass(slots=True)
class ResultEntry:
    """An entry of `Results`: what has become of a stream's input.

    ``seq``: last input fully processed. ``first``: number of the first of ``events`` among all of the stream's since
    `Open`. ``processed``: units processed since `Open`. ``utterance``: number of the utterance, from 0, which
    starts at ``utterance_ms`` of the stream's input (decoding tells its events so), and ``final``: it has ended with
    this result. ``frames``: model frames computed. Times in ms: ``waiting`` of the
    oldest input in it from its arrival to computing, ``computing``, and ``buffered``: how long its oldest frame was
    held for look-ahead.
    """

    stream: bytes
    seq: int
    first: int
    processed: int
    utterance: int = 0
    final: bool = False
    frames: int = 0
    waiting_ms: float = 0.0
    computing_ms: float = 0.0
    buffered_ms: float = 0.0
    events: tuple[Event, ...] = ()
    utterance_ms: float = 0.0


@dataclass(frozen=True, slots=True)
class Results:
    """Results of any of the client's streams, each stream's in order."""

    results: tuple[ResultEntry, ...]

    TYPE: ClassVar[int] = 0x83


@dataclass(frozen=True, slots=True)
class Marked:
    """All input before ``seq`` has been processed."""

    stream: bytes
    seq: int
    token: bytes

    TYPE: ClassVar[int] = 0x85


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Part ``part`` (from 0) of ``parts`` of the state after all input before ``seq``."""

    stream: bytes
    seq: int
    data: bytes
    part: int = 0
    parts: int = 1

    TYPE: ClassVar[int] = 0x86


@dataclass(frozen=True, slots=True)
class ResetDone:
    """The stream is as after `Open`; a new utterance begins."""

    stream: bytes
    seq: int

    TYPE: ClassVar[int] = 0x87


@dataclass(frozen=True, slots=True)
class Closed:
    """The stream is no more."""

    stream: bytes
    reason: Reason

    TYPE: ClassVar[int] = 0x88


@dataclass(frozen=True, slots=True)
class Pong:
    """I am."""

    token: bytes

    TYPE: ClassVar[int] = 0x89


@dataclass(frozen=True, slots=True)
class Draining:
    """The server opens no more streams and ends in ``seconds``."""

    seconds: float

    TYPE: ClassVar[int] = 0x8D


@dataclass(frozen=True, slots=True)
class Goodbye:
    """The server ends now."""

    TYPE: ClassVar[int] = 0x8E


@dataclass(frozen=True, slots=True)
class Error:
    """Something was refused. ``code`` as in ostinato.errors; ``expected``: the seq that the stream expects next."""

    code: str
    message: str
    stream: bytes | None = None
    seq: int | None = None
    expected: int | None = None
    retry_ms: int | None = None

    TYPE: ClassVar[int] = 0x8F


Reply: TypeAlias = (
    ModelList | Opened | Moved | Results | Marked | Snapshot | ResetDone | Closed | Pong | Draining | Goodbye | Error
)
