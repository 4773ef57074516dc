"""What all front ends of audio share: samples at any rate are checked, resampled and cut into windows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Generic, TypeAlias, TypeVar, cast

import numpy as np
import numpy.typing as npt

from ostinato.errors import DtypeError, NotFiniteError, ShapeError
from ostinato.kernels.audio import cut
from ostinato.kernels.compiler import entry, prepare
from ostinato.lanes import LANES
from ostinato.pipeline import state as snapshots
from ostinato.pipeline.front_ends.front_end import Place, kind_of
from ostinato.pipeline.pieces import each_part
from ostinato.pipeline.resample import MAX_RATE, MIN_RATE, Resampler, ResamplerState, check_rate, resampler

F32 = npt.NDArray[np.float32]
I64 = npt.NDArray[np.int64]
Samples: TypeAlias = F32 | npt.NDArray[np.int16]

MAX_SAMPLE = 8.0
"""Float samples beyond this are refused: they are surely in another scale."""
SMALL = 4096
"""Samples up to which one thread computes their sum of squares."""


QUIET = 10 ** (-85 / 20)
"""Root mean square of white noise below which a background is taken to be that loud: less is digital silence."""


@dataclass(frozen=True, eq=False)
class Loudness:
    """How loud a frame is, in dB: ``weights`` [frame_size] @ frame + ``offset``. ``quiet``: how loud frames of white
    noise as quiet as `QUIET` are."""

    weights: npt.NDArray[np.float64]
    offset: float
    quiet: float


@dataclass(slots=True)
class AudioState:
    """``tail``: its first ``kept`` values are samples at the model's rate, in [-1, 1], from where the next window
    begins (less than a window), the others zero. ``skip``: how many samples to drop before it (a hop longer than its
    window). The kernel knows the tail by its ``address``, so it is never replaced. ``resampling`` is what moves
    ``resampler`` on."""

    sample_rate: int
    tail: snapshots.F32Vector
    kept: int = 0
    skip: int = 0
    resampler: ResamplerState | None = None
    address: int = field(init=False, repr=False)
    resampling: Resampler | None = field(init=False, repr=False, default=None)

    def __post_init__(self) -> None:
        self.address = self.tail.ctypes.data


A = TypeVar("A", bound=AudioState)


class AudioFrontEnd(Generic[A]):
    """Mono audio, one-dimensional int16 or float32 in [-1, 1], to windows of ``window`` samples, ``hop`` apart.

    Window i begins at sample i * hop - ``before`` of the audio at the model's rate. What lies before the audio is
    silence. If ``before`` is 0, windows lie wholly inside the audio (snip-edges): there are 1 + (n - window) // hop.
    Else there is one for each sample i * hop, ceil(n / hop) of them, and what lies after the audio is silence too.

    A kind of front end says what becomes of windows (`from_windows`) and what its state is (`fresh`, `expect`).
    """

    frame_size: int
    frame_ms: float
    latency_ms: float
    state: type[A]
    """The kind's state."""
    windows_alone = False
    """Whether `from_windows` makes a frame of each window, by itself, and keeps nothing."""

    def __init__(self, sample_rate: int, window: int, hop: int, before: int = 0) -> None:
        prepare(cut)
        self.sample_rate, self.window, self.hop, self.before = sample_rate, window, hop, before
        self._tail = -(-window // LANES) * LANES

    def fresh(self, sample_rate: int, tail: F32) -> A:
        """A fresh state of the kind."""
        return self.state(sample_rate, tail)

    def from_windows(
        self, states: Sequence[A], samples: F32, starts: I64, counts: list[int]
    ) -> tuple[F32, list[int]]:
        """The frames that windows complete, those of the first stream first, and how many each stream has: stream i
        has the next counts[i] of the windows that begin at ``starts`` in ``samples``."""
        raise NotImplementedError

    def expect(self, state: A) -> None:
        """Raise SnapshotError unless `from_windows` can have left behind what it keeps in ``state``."""

    def loudness(self) -> Loudness | None:
        """How loud frames are; None if that is no linear function of their values."""
        return None

    def after(self, state: A) -> F32:
        """What is taken to follow the audio, at the model's rate: where windows begin before it, the silence that
        completes all those with i * hop within it; else nothing."""
        left = -(-(state.kept - self.before) // self.hop) if self.before else 0
        return np.zeros((left - 1) * self.hop + self.window - state.kept if left > 0 else 0, np.float32)

    def in_ms(self, samples: int) -> float:
        """How long samples at the model's rate last, in ms."""
        return samples / self.sample_rate * 1000

    def resampling_ms(self, sample_rate: int) -> float:
        """How much later than by `latency_ms` a frame comes because the resampler looks ahead, in ms."""
        own = self.sample_rate
        return 0.0 if sample_rate == own else resampler(sample_rate, own).delay / sample_rate * 1000

    def start(self, sample_rate: int | None = None) -> A:
        """A fresh state for audio at ``sample_rate`` Hz (None: the model's own). Raises InputError if it is out of
        range."""
        own = self.sample_rate
        rate = own if sample_rate is None or sample_rate == own else check_rate(sample_rate)
        state = self.fresh(rate, np.zeros(self._tail, np.float32))
        state.kept = self.before
        if rate != own:
            state.resampling = resampler(rate, own)
            state.resampler = state.resampling.start()
        return state

    def check(self, data: object) -> Samples:
        """``data`` as contiguous samples, int16 or float32 in [-1, 1].

        Raises DtypeError for anything but int16 and float32 arrays, ShapeError if it is not mono, NotFiniteError for
        NaN or infinities, DtypeError for float samples far beyond [-1, 1].
        """
        if not isinstance(data, np.ndarray) or data.dtype not in (np.int16, np.float32):
            raise DtypeError(
                f"audio must be an int16 array, or float32 in [-1, 1], not {kind_of(data)}: "
                "convert it (samples.astype(np.float32))"
            )
        if data.ndim != 1:
            raise ShapeError(
                f"audio must be mono, of shape [n], not {list(data.shape)}: send one channel, or their mean"
            )
        if data.dtype == np.int16:
            return np.ascontiguousarray(data)
        # Their sum of squares bounds them all, and takes a tenth of the time; half, so that no rounding matters.
        if len(data) <= SMALL and np.vdot(data, data) <= MAX_SAMPLE**2 / 2:
            return np.ascontiguousarray(data)
        peak = max(data.max(), -data.min()) if len(data) else 0.0
        if not peak <= MAX_SAMPLE:
            if not np.isfinite(data).all():
                raise NotFiniteError("the audio holds NaN or infinite samples: repair or drop this chunk")
            raise DtypeError(
                f"a float sample is {peak:.6g}, far beyond [-1, 1]: int16 values in a float array? "
                "Send them as int16, or divide by 32768"
            )
        return np.ascontiguousarray(data)

    def units(self, data: Samples) -> int:
        """How many samples checked data holds."""
        return len(data)

    def step(self, state: A, data: Samples) -> F32:
        """The frames that checked samples complete, float32 [n, frame_size]."""
        return self.step_many([state], [data])[0]

    def step_many(
        self, states: Sequence[A], data: Sequence[Samples], lengths: Sequence[int] | None = None
    ) -> tuple[F32, list[int]]:
        """`step` for many streams: their windows are transformed as one batch."""
        if not states:
            return np.empty((0, self.frame_size), np.float32), []
        if any(state.resampler for state in states) or len({samples.itemsize for samples in data}) > 1:
            parts = each_part(data, lengths)
            data = [_resampled(state, samples) for state, samples in zip(states, parts, strict=True)]
            lengths = None
        return self.advance(states, data, lengths)

    def place(self, state: A) -> Place | None:
        """Of a stream at the model's own rate, where windows stand for themselves."""
        alone = self.windows_alone and state.resampler is None
        return Place(state.address, state.kept, state.skip) if alone else None

    def put_back(self, state: A, kept: int, skip: int) -> None:
        """The tail is where it was."""
        state.kept, state.skip = kept, skip

    def step_places(self, given: I64, data: Sequence[Samples]) -> F32:
        """`step_many` by columns."""
        windows, starts = self._cut(data, given)
        return self.from_windows((), windows, starts, given[3])[0]

    def flush(self, state: A) -> F32:
        """The frames that the resampler's last samples complete, and the silence after them where windows begin
        before the audio."""
        made = []
        if state.resampling is not None:
            made.append(self.step(state, np.zeros(state.resampling.delay, np.float32)))
        if len(after := self.after(state)):
            made.append(self.advance([state], [after], None)[0])
        return np.concatenate(made) if made else np.empty((0, self.frame_size), np.float32)

    def restore(self, packed: object) -> A:
        """The state that `state.pack` packed. Raises SnapshotError."""
        state, own, expect = snapshots.unpack(self.state, packed), self.sample_rate, snapshots.expect
        expect(
            state.sample_rate == own or MIN_RATE <= state.sample_rate <= MAX_RATE, "state.sample_rate is out of range"
        )
        expect(
            (state.resampler is None) == (state.sample_rate == own), "state.resampler does not fit the sample rate"
        )
        if state.resampler is not None:
            state.resampling = resampler(state.sample_rate, own)
            state.resampling.expect(state.resampler)
        expect(
            len(state.tail) == self._tail and 0 <= state.kept < self.window, "state.tail or state.kept is not right"
        )
        expect(0 <= state.skip <= max(0, self.hop - self.window), "state.skip is out of range")
        self.expect(state)
        return state

    def advance(
        self, states: Sequence[A], data: Sequence[Samples], lengths: Sequence[int] | None
    ) -> tuple[F32, list[int]]:
        """The frames that samples at the model's rate complete, all of one dtype. The states move on."""
        if lengths is None:
            lengths = [len(samples) for samples in data]
        addresses, skips = [state.address for state in states], [state.skip for state in states]
        streams = np.array([addresses, [state.kept for state in states], skips, lengths], np.int64)
        windows, starts = self._cut(data, streams)
        _, kept, skips, counts = streams.tolist()
        for state, here, beyond in zip(states, kept, skips, strict=True):
            state.kept, state.skip = here, beyond
        return self.from_windows(states, windows, starts, counts)

    def _cut(self, data: Sequence[Samples], streams: I64) -> tuple[F32, I64]:
        """The windows of samples of one dtype, and where they start: `kernels.audio.cut`."""
        _, kept, _, lengths = streams.sum(axis=1).tolist()
        samples = np.empty(lengths + LANES, np.float32)
        np.concatenate(cast(Sequence[F32], data), out=samples[:-LANES])
        size = len(samples) + kept
        windows, starts = np.empty(size, np.float32), np.empty(size // self.hop + streams.shape[1], np.int64)
        total = _compiled()(samples, _unit(data[0]), streams, self.window, self.hop, windows, starts)
        return windows, starts[:total]


@cache
def _compiled() -> Callable[..., int]:
    prepare(cut)
    return entry(cut)


def in_unit(samples: Samples) -> F32:
    """The samples as float32 in [-1, 1]."""
    floats: F32 = np.multiply(samples, np.float32(_unit(samples)), dtype=np.float32)
    return floats


def _resampled(state: AudioState, samples: Samples) -> F32:
    floats = in_unit(samples)
    if state.resampler is None or state.resampling is None:
        return floats
    return state.resampling.step(state.resampler, floats)


def _unit(samples: Samples) -> float:
    """By what these samples are multiplied to be in [-1, 1]."""
    return 2**-15 if samples.itemsize == 2 else 1.0
