"""How a layer re-frames: which frames of its input a frame of its output is made of.

    target frame n takes source frames n * stride - left + j * dilation, j < taps;
    those before frame 0 or past the end are ``pad``

    with ``times`` above 1, target frame n is part (n + skip) % times of source frame (n + skip) // times

Frames are counted from the utterance's first: how many frames there are is a function of the number of input frames
alone, not of how they were cut.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Any


@dataclass(frozen=True)
class Framing:
    """See the module. ``right``: padding past the utterance's end. ``trim``: of the frames that ``times`` gives, how
    many are left out at the end, besides ``skip`` at the start; ``hold``: how many of the last wait for that."""

    taps: int = 1
    stride: int = 1
    dilation: int = 1
    left: int = 0
    right: int = 0
    pad: float = 0.0
    times: int = 1
    skip: int = 0
    trim: int = 0
    hold: int = 0

    @property
    def span(self) -> int:
        """From a window's first frame to its last."""
        return (self.taps - 1) * self.dilation

    @property
    def causal(self) -> bool:
        """Whether each source frame gives one target frame, at once: then both are in step."""
        return (
            self.stride == self.times == 1 and self.left == self.span and not (self.right or self.skip or self.trim)
        )

    @property
    def rate(self) -> Fraction:
        """Target frames per source frame."""
        return Fraction(self.times, self.stride)

    def made(self, frames: Any) -> Any:
        """How many target frames there are once ``frames`` source frames are; of an utterance that goes on."""
        if self.times > 1:
            return (frames * self.times - self.skip - self.hold).clip(0)
        return ((frames - 1 + self.left - self.span) // self.stride + 1).clip(0)

    def length(self, frames: Any) -> Any:
        """How many there are in the end, of ``frames`` source frames: ONNX's output size."""
        if self.times > 1:
            return (frames * self.times - self.skip - self.trim).clip(0)
        return ((frames + self.left + self.right - self.span - 1) // self.stride + 1).clip(0)

    def first(self, frame: Any) -> Any:
        """The first source frame that a target frame needs."""
        return (frame + self.skip) // self.times if self.times > 1 else frame * self.stride - self.left
