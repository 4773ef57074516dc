"""Everything that Ostinato raises on purpose, as one tree.

Each class has one ``code``, the same in the library and on the wire (docs/protocol.md), so that a client can
branch on it. The message names what is wrong and the cure.

    OstinatoError
    ├── ModelError               a model cannot be used
    │   ├── UnknownModelError        unknown_model
    │   ├── BadModelFileError        bad_model_file
    │   └── ForeignModelError        foreign_model (a file from elsewhere cannot be imported; never on the wire)
    ├── InputError               what was sent to a stream is wrong; the stream goes on as if it had not come
    │   ├── DtypeError               bad_dtype
    │   ├── ShapeError               bad_shape
    │   ├── NotFiniteError           not_finite
    │   ├── UnknownHeadError         unknown_head
    │   └── UnknownTokenError        unknown_token
    ├── StreamError              the stream cannot do that now
    │   ├── UnknownStreamError       unknown_stream
    │   ├── StreamInUseError         stream_in_use
    │   ├── StreamClosedError        stream_closed
    │   ├── UtteranceTooLongError    utterance_too_long
    │   ├── DivergedError            diverged
    │   └── SnapshotError            bad_snapshot
    ├── ProtocolError            the message cannot be understood
    │   ├── BadMessageError          bad_message
    │   ├── VersionError             unknown_version
    │   ├── TooLargeError            too_large
    │   ├── SequenceError            sequence_gap
    │   └── CreditError              over_credit
    ├── CapacityError            at_capacity
    ├── DrainingError            draining
    ├── ConnectionLostError      server_gone (raised by the client: no answer in time, or the server died)
    ├── AudioDeviceError         no_audio (PortAudio or the microphone is missing)
    ├── PackageError             package (weights or data cannot be had, or are others; never on the wire)
    ├── AddressError             bad_address (a server cannot, or may not, listen there; never on the wire)
    └── TrainingError            training (learning cannot start, go on, or be resumed; never on the wire)
"""

from __future__ import annotations

import difflib
import itertools
from collections.abc import Iterable
from typing import Any


class OstinatoError(Exception):
    """Base of all errors that Ostinato raises on purpose."""

    code = "internal"
    seq: int | None = None
    """Of the stream's input that was refused, if it came over the wire."""
    retry_ms: int | None = None
    """When to try again, if the server knows."""


class ModelError(OstinatoError):
    """A model cannot be used."""

    code = "bad_model"


class UnknownModelError(ModelError):
    """No model of that name or at that path."""

    code = "unknown_model"


class BadModelFileError(ModelError):
    """A model file is truncated, inconsistent, or not a model file."""

    code = "bad_model_file"


class ForeignModelError(ModelError):
    """A model from elsewhere cannot be imported: its file is damaged, holds what is not read here, or what it means
    cannot be streamed."""

    code = "foreign_model"


class InputError(OstinatoError):
    """Input to a stream is wrong; the stream goes on as if it had not come."""

    code = "bad_input"


class DtypeError(InputError):
    """Input of a type that the front end does not take."""

    code = "bad_dtype"


class ShapeError(InputError):
    """Input of a shape that the front end does not take."""

    code = "bad_shape"


class NotFiniteError(InputError):
    """Input with NaN or infinities."""

    code = "not_finite"


class UnknownHeadError(InputError):
    """A stream is asked for a head that its model does not have."""

    code = "unknown_head"


class UnknownTokenError(InputError):
    """A token that the vocabulary lacks, in a vocabulary without an entry for unknown ones."""

    code = "unknown_token"


class StreamError(OstinatoError):
    """The stream cannot do what was asked."""

    code = "stream"


class UnknownStreamError(StreamError):
    """No stream of that id is open on this connection."""

    code = "unknown_stream"


class StreamInUseError(StreamError):
    """A stream of that id is open already."""

    code = "stream_in_use"


class StreamClosedError(StreamError):
    """The stream was closed and takes nothing more."""

    code = "stream_closed"


class UtteranceTooLongError(StreamError):
    """A bidirectional stream's utterance would outgrow its bound."""

    code = "utterance_too_long"


class DivergedError(StreamError):
    """The network's outputs are no longer finite numbers: the utterance is lost, and input is refused until the
    stream is reset or flushed."""

    code = "diverged"
    events: list[Any]
    """What the same call had decided before (`ostinato.events.Event`)."""

    def __init__(self, message: str, events: list[Any] | None = None) -> None:
        super().__init__(message)
        self.events = events or []

    @staticmethod
    def at(frame: int) -> DivergedError:
        """The error of an utterance whose outputs are finite up to ``frame``, from 0."""
        return DivergedError(
            f"the outputs are infinite or NaN from frame {frame} of the utterance on: the network's state has "
            "overflowed, and the utterance is lost. Reset the stream, or flush it, to begin the next one; if it "
            "comes again, scale the input to what the model was trained on"
        )


class SnapshotError(StreamError):
    """A snapshot is damaged, of another model, or of another version."""

    code = "bad_snapshot"


class ProtocolError(OstinatoError):
    """A message cannot be understood or comes out of turn."""

    code = "protocol"


class BadMessageError(ProtocolError):
    """A message is not what docs/protocol.md says."""

    code = "bad_message"


class VersionError(ProtocolError):
    """A message of a protocol version that this side does not speak."""

    code = "unknown_version"


class TooLargeError(ProtocolError):
    """A message over the size limit."""

    code = "too_large"


class SequenceError(ProtocolError):
    """An input's sequence number skips some."""

    code = "sequence_gap"


class CreditError(ProtocolError):
    """More input in flight than the stream's credit."""

    code = "over_credit"


class CapacityError(OstinatoError):
    """No room for another stream or connection; try again later."""

    code = "at_capacity"


class DrainingError(OstinatoError):
    """The server is shutting down and opens no more streams."""

    code = "draining"


class ConnectionLostError(OstinatoError):
    """The server did not answer in time, or died meanwhile."""

    code = "server_gone"


class AudioDeviceError(OstinatoError):
    """PortAudio or the wanted microphone is missing."""

    code = "no_audio"


class PackageError(OstinatoError):
    """A package of weights or data cannot be had, is damaged, or is not the one that was expected."""

    code = "package"


class AddressError(OstinatoError):
    """A server cannot listen at that address, or may not."""

    code = "bad_address"


class TrainingError(OstinatoError):
    """Learning cannot start, go on, or be resumed."""

    code = "training"


def _tree(root: type[OstinatoError]) -> dict[str, type[OstinatoError]]:
    found = {root.code: root}
    for child in root.__subclasses__():
        found |= _tree(child)
    return found


BY_CODE = _tree(OstinatoError)
"""Error class by its code on the wire."""


def did_you_mean(wrong: str, known: Iterable[str]) -> str:
    """For a message about a name that does not exist: ``"; did you mean 'digits-uni'?"``, or nothing."""
    names = {name.casefold(): name for name in itertools.islice(known, 200)}
    near = difflib.get_close_matches(wrong[:100].casefold(), names, n=1)
    return f"; did you mean {names[near[0]]!r}?" if near else ""


def check_text(text: str) -> None:
    """Raise InputError for half a character (a lone surrogate), which no encoding has a place for."""
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise InputError(
            f"the text holds half a character (a lone surrogate) at position {error.start}: decode it with "
            "errors='replace'"
        ) from error
