"""The front end for audio: any sample rate in, log-mel frames out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias, cast

import numpy as np
import numpy.typing as npt

from ostinato.errors import DtypeError, NotFiniteError, ShapeError
from ostinato.kernels import warm_up
from ostinato.kernels.audio import cut
from ostinato.kernels.spectrum import log_mel, work_size
from ostinato.lanes import LANES
from ostinato.model import front_ends as specified
from ostinato.pipeline import state as snapshots
from ostinato.pipeline.frames import kind_of
from ostinato.pipeline.mel import filter_bank
from ostinato.pipeline.pieces import each_part, joined, split
from ostinato.pipeline.resample import MAX_RATE, MIN_RATE, Resampler, ResamplerState, check_rate, resampler

F32 = npt.NDArray[np.float32]
I64 = npt.NDArray[np.int64]
Samples: TypeAlias = F32 | npt.NDArray[np.int16]

MAX_SAMPLE = 8.0
"""Float samples beyond this are refused: they are surely in another scale."""


@dataclass(slots=True)
class LogMelState:
    """``tail``: its first ``kept`` values are samples at the model's rate, in [-1, 1], from where the next window
    begins (less than a window), the others zero. ``skip``: how many samples to drop before it (a hop longer than its
    window). ``rows``, ``skip_rows``: the same for stacks of frames. The kernel knows the tail by its ``address``, so
    it is never replaced. ``resampling`` is what moves ``resampler`` on."""

    sample_rate: int
    tail: snapshots.F32Vector
    rows: snapshots.F32Matrix
    kept: int = 0
    skip: int = 0
    skip_rows: int = 0
    resampler: ResamplerState | None = None
    address: int = field(init=False, repr=False)
    resampling: Resampler | None = field(init=False, repr=False, default=None)

    def __post_init__(self) -> None:
        self.address = self.tail.ctypes.data


class LogMelFrontEnd:
    """Mono audio, one-dimensional int16 or float32 in [-1, 1], to log-mel frames float32 [n, mels * stack].

    The conventions are those of `specified.LogMel`. Windows lie wholly inside the audio (snip-edges): n samples
    give 1 + (n - window) // hop filter-bank frames, and model frame j stacks those from j * stride to j * stride +
    stack - 1; an incomplete window or stack at the end is dropped. Frame j ends, in ms,

        ((j * stride + stack - 1) * hop + window) / sample_rate * 1000 = (j + 1) * frame_ms + latency_ms

    after the utterance's first sample. The same bits come out however the audio is cut, and whatever else is in the
    batch.
    """

    def __init__(self, settings: specified.LogMel, weights: Mapping[str, F32]) -> None:
        """``weights``: ``front_end.mean`` and ``front_end.scale`` [mels], if the settings ask for normalisation."""
        warm_up()
        self.settings = settings
        self.bank = bank = filter_bank(settings)
        self.window, self.hop = len(bank.window), bank.hop
        self._tail = -(-self.window // LANES) * LANES
        self.frame_size = settings.frame_size
        self.frame_ms = self._ms(self.hop * settings.stride)
        self.latency_ms = self._ms(self.window + (settings.stack - 1 - settings.stride) * self.hop)
        padded = -(-bank.bands // LANES) * LANES
        self._mean, self._scale = np.zeros(padded, np.float32), np.ones(padded, np.float32)
        if settings.normalise:
            self._mean[: bank.bands] = weights["front_end.mean"]
            self._scale[: bank.bands] = weights["front_end.scale"]

    def resampling_ms(self, sample_rate: int) -> float:
        """How much later than by `latency_ms` a frame comes because the resampler looks ahead, in ms."""
        own = self.settings.sample_rate
        return 0.0 if sample_rate == own else resampler(sample_rate, own).delay / sample_rate * 1000

    def start(self, sample_rate: int | None = None) -> LogMelState:
        """A fresh state for audio at ``sample_rate`` Hz (None: the model's own). Raises InputError if it is out of
        range."""
        own = self.settings.sample_rate
        rate = own if sample_rate is None or sample_rate == own else check_rate(sample_rate)
        tail, rows = np.zeros(self._tail, np.float32), np.empty((0, self.bank.bands), np.float32)
        state = LogMelState(rate, tail, rows)
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

    def step(self, state: LogMelState, data: Samples) -> F32:
        """The frames that checked samples complete, float32 [n, frame_size]."""
        return self.step_many([state], [data])[0]

    def step_many(
        self, states: Sequence[LogMelState], data: Sequence[Samples], lengths: Sequence[int] | None = None
    ) -> tuple[F32, list[int]]:
        """`step` for many streams: their windows are transformed as one batch."""
        if not states:
            return np.empty((0, self.frame_size), np.float32), []
        windows, starts, counts = self._cut(states, data, lengths)
        frames = self._features(windows, starts)
        if self.settings.stack == self.settings.stride == 1:
            return frames, counts
        stacks = [self._stack(*each) for each in zip(states, split(frames, counts), strict=True)]
        return joined(stacks, self.frame_size), [len(each) for each in stacks]

    def flush(self, state: LogMelState) -> F32:
        """The frames that the resampler's last samples complete."""
        if state.resampling is None:
            return np.empty((0, self.frame_size), np.float32)
        return self.step(state, np.zeros(state.resampling.delay, np.float32))

    def restore(self, packed: object) -> LogMelState:
        """The state that `state.pack` packed. Raises SnapshotError."""
        state, own, expect = snapshots.unpack(LogMelState, packed), self.settings.sample_rate, snapshots.expect
        expect(
            state.sample_rate == own or MIN_RATE <= state.sample_rate <= MAX_RATE, "state.sample_rate is out of range"
        )
        expect(
            (state.resampler is None) == (state.sample_rate == own), "state.resampler does not fit the sample rate"
        )
        if state.resampler is not None:
            state.resampling = resampler(state.sample_rate, own)
            state.resampling.expect(state.resampler)
        stack, stride = self.settings.stack, self.settings.stride
        expect(
            len(state.tail) == self._tail and 0 <= state.kept < self.window, "state.tail or state.kept is not right"
        )
        expect(len(state.rows) < stack, "state.rows is too long")
        expect(state.rows.shape[1] == self.bank.bands, "state.rows has another number of mel bands")
        skips = 0 <= state.skip <= max(0, self.hop - self.window) and 0 <= state.skip_rows <= max(0, stride - stack)
        expect(skips, "state.skip or state.skip_rows is out of range")
        return state

    def _cut(
        self, states: Sequence[LogMelState], data: Sequence[Samples], lengths: Sequence[int] | None
    ) -> tuple[F32, I64, list[int]]:
        """The windows that the data completes: float32 [n] that holds them, int64 [windows] where each begins in it,
        and how many each stream has. The states move on."""
        if any(state.resampler for state in states) or len({samples.itemsize for samples in data}) > 1:
            parts = each_part(data, lengths)
            data = [self._resampled(state, samples) for state, samples in zip(states, parts, strict=True)]
            lengths = None
        if lengths is None:
            lengths = [len(samples) for samples in data]
        kept = [state.kept for state in states]
        samples = np.empty(sum(lengths) + LANES, np.float32)
        np.concatenate(cast(Sequence[F32], data), out=samples[:-LANES])
        addresses, skips = [state.address for state in states], [state.skip for state in states]
        streams = np.array([addresses, kept, skips, lengths], np.int64)
        size = len(samples) + sum(kept)
        windows, starts = np.empty(size, np.float32), np.empty(size // self.hop + len(states), np.int64)
        total = cut(samples, _unit(data[0]), streams, self.window, self.hop, windows, starts)
        _, kept, skips, counts = streams.tolist()
        for state, here, beyond in zip(states, kept, skips, strict=True):
            state.kept, state.skip = here, beyond
        return windows, starts[:total], counts

    def _resampled(self, state: LogMelState, samples: Samples) -> F32:
        floats: F32 = np.multiply(samples, np.float32(_unit(samples)), dtype=np.float32)
        if state.resampler is None or state.resampling is None:
            return floats
        return state.resampling.step(state.resampler, floats)

    def _features(self, samples: F32, starts: I64) -> F32:
        """Normalised log-mel values of the windows at ``starts``, [n, mels]."""
        bank = self.bank
        out = np.empty((len(starts), len(self._mean)), np.float32)
        work = np.empty(work_size(self.window, bank.fft_size, len(self._mean)), np.float32)
        log_mel(
            samples, starts, bank.gain, bank.remove_mean, bank.preemphasis, bank.window, bank.plan.permutation,
            bank.plan.passes, bank.plan.roots, bank.first, bank.offset, bank.weights, bank.floor, self._mean,
            self._scale, work, out,
        )  # fmt: skip
        return out[:, : bank.bands]

    def _stack(self, state: LogMelState, rows: F32) -> F32:
        stack, stride = self.settings.stack, self.settings.stride
        skipped = min(state.skip_rows, len(rows))
        state.skip_rows -= skipped
        rows = np.concatenate((state.rows, rows[skipped:]))
        count = max(0, (len(rows) - stack) // stride + 1)
        drop = count * stride
        state.rows = rows[drop:].copy()
        state.skip_rows += max(0, drop - len(rows))
        pick = np.arange(count)[:, None] * stride + np.arange(stack)
        return np.reshape(rows[pick], (count, self.frame_size))

    def _ms(self, samples: int) -> float:
        return samples / self.settings.sample_rate * 1000


def _unit(samples: Samples) -> float:
    """By what these samples are multiplied to be in [-1, 1]."""
    return 2**-15 if samples.itemsize == 2 else 1.0
