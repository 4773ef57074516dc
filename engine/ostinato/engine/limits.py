"""The bounds of an engine: every queue has one, and each can be computed before the first stream opens."""

from __future__ import annotations

import math
from dataclasses import dataclass

SHARE_MS = 10.0


@dataclass(frozen=True, slots=True)
class Limits:
    """What an engine holds, and how long it computes at a time. A character of text counts as 1 ms of signal."""

    max_streams: int = 4096
    """Open streams of all models together."""
    credit_ms: float = 4000.0
    """Signal that may wait in one stream."""
    inputs: int = 256
    """Messages that may wait in one stream: empty ones and marks use no credit, but memory."""
    tokens: int = 256
    """Tokens that a stream may be allowed to generate before its client asks for more."""
    max_utterance_s: float = 60.0
    """Longest utterance of a bidirectional stream."""
    max_block_ms: float = 2000.0
    """Longest block, its right context included, of a stream with bounded wait: it is computed in one go."""
    max_buffer_bytes: int = 2 << 30
    """What all streams together may come to hold of input and utterances; each open reserves its part."""
    max_run_bytes: int = 512 << 20
    """Memory of the finished utterances that are computed in turn; further ones wait in line, and one that needs more
    (its rows, of ``max_utterance_s`` at most) is computed alone. At most half of it goes to utterances that are
    computed early, while their frames arrive; further ones are computed when they end."""
    share: int = 32
    """Frames that one stream gets computed in one tick, or those of 10 ms where they are more, as a frame may be a
    sample; the rest of a longer message comes in later ticks."""
    tick_ms: float = 8.0
    """Computing of frames in one tick, about; streams beyond it come first in the next one."""
    slice_ms: float = 1.5
    """Computing of finished utterances between the frames of two ticks, about."""

    def share_of(self, frame_ms: float) -> int:
        """Frames in one tick of a stream whose frames are ``frame_ms`` apart."""
        return max(self.share, math.ceil(SHARE_MS / frame_ms))


@dataclass(frozen=True, slots=True)
class Usage:
    """What an engine holds just now of what its `Limits` bound."""

    reserved_bytes: int
    """Of `Limits.max_buffer_bytes`, for the open streams."""
    early_bytes: int
    """Of `Limits.max_run_bytes`, for utterances that are computed while they go on, or are in line."""
    run_bytes: int
    """Of the same, for the finished utterances in work."""
    runs: int
    """Finished utterances in work."""
