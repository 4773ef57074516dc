"""The front end that gives short-time Fourier transforms: against NumPy's and SciPy's in float64."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import scipy.signal
from hypothesis import given, settings
from hypothesis import strategies as st
from sounds import F32, frames_of, in_company, noise

from ostinato.errors import BadModelFileError, SnapshotError
from ostinato.model.front_ends import Spectrum
from ostinato.model.windows import window
from ostinato.pipeline import front_end, pack

ALL = ("real", "imaginary", "magnitude", "power", "log-power")
DTLN = Spectrum(16000, 512, 128, window="rect", outputs=("magnitude", "real", "imaginary"))
NSNET2 = Spectrum(16000, 320, 160, window="sqrt-hann", outputs=("log-power", "real", "imaginary"), pad=True)
GTCRN = Spectrum(16000, 512, 256, window="sqrt-hann", padding="reflect")
VARIANTS = [
    DTLN,
    NSNET2,
    GTCRN,
    replace(GTCRN, padding="constant", outputs=ALL),
    replace(GTCRN, padding="none"),
    Spectrum(8000, 100, 33, fft_size=128, window="hamming", place="middle", padding="none", outputs=("power",)),
    Spectrum(8000, 100, 90, fft_size=128, window="povey", padding="reflect", outputs=("imaginary", "magnitude")),
    Spectrum(8000, 45, 20, window="hann", symmetric=True, padding="reflect", epsilon=0.25, outputs=ALL),
    Spectrum(8000, 100, 40, fft_size=135, window="vorbis", padding="causal", pad=True, floor=1.0, outputs=ALL),
    Spectrum(8000, 64, 64, window="blackman", padding="reflect"),
]
F64 = npt.NDArray[np.float64]


def windowed(chosen: Spectrum, audio: F32) -> F64:
    """The windows of the audio, [n, fft_size], from the definitions of torch.stft and of `Spectrum`."""
    size, hop = chosen.size, chosen.hop
    fft_size = chosen.fft_size or size
    shape = window(chosen.window, size, chosen.symmetric)
    before = (fft_size - size) // 2 if chosen.place == "middle" else 0
    covered = fft_size if chosen.place == "middle" else size
    x = audio.astype(float)
    if chosen.padding in ("reflect", "constant"):
        covered = fft_size
        if len(x):
            x = np.pad(x, fft_size // 2, chosen.padding)  # type: ignore[call-overload]
    elif chosen.padding == "causal":
        end = -(-(len(x) + covered - hop) // hop) * hop - len(x) if chosen.pad and len(x) else 0
        x = np.pad(x, (covered - hop, end))
    rows = []
    for start in range(0, len(x) - covered + 1, hop):
        row = np.zeros(fft_size)
        row[before : before + size] = x[start + before : start + before + size] * shape
        rows.append(row)
    return np.array(rows).reshape(-1, fft_size)


def reference(chosen: Spectrum, audio: F32) -> F64:
    x = np.fft.rfft(windowed(chosen, audio))
    power = np.abs(x) ** 2 + chosen.epsilon
    parts: dict[str, Any] = {"real": x.real, "imaginary": x.imag, "magnitude": np.sqrt(power), "power": power}
    parts["log-power"] = np.log10(np.maximum(power, chosen.floor))
    return np.concatenate([parts[name] for name in chosen.outputs], axis=1)


@pytest.mark.parametrize("chosen", VARIANTS)
@pytest.mark.parametrize("count", [0, 1, 2, 40, 257, 256 * 9, 4001])
def test_values(chosen: Spectrum, count: int) -> None:
    audio = noise(count)
    wanted, got = reference(chosen, audio), frames_of(chosen, audio)
    assert got.shape == wanted.shape
    if count == 4001:
        assert len(got) > 10
    bins = chosen.bins
    for i, part in enumerate(chosen.outputs):
        ours, theirs = got[:, i * bins : (i + 1) * bins], wanted[:, i * bins : (i + 1) * bins]
        if part == "log-power":  # near zero a logarithm is a matter of taste
            clear = theirs > -4
            assert np.allclose(ours[clear], theirs[clear], atol=2e-3)
        else:
            assert np.allclose(ours, theirs, atol=3e-5, rtol=2e-5), part


@pytest.mark.parametrize("padding", ["none", "constant"])
def test_as_scipy_has_it(padding: Any) -> None:
    audio = noise(2048)
    boundary = None if padding == "none" else "zeros"
    _, _, wanted = scipy.signal.stft(
        audio.astype(float), 16000, "hann", 512, 384, boundary=boundary, padded=False, scaling="spectrum"
    )
    scale = 256.0  # the sum of the window
    got = frames_of(Spectrum(16000, 512, 128, padding=padding), audio)
    assert np.allclose(got, np.concatenate([wanted.real, wanted.imag]).T * scale, atol=1e-4)


def test_windows_are_those_of_scipy() -> None:
    for name in ("hann", "hamming", "blackman"):
        for symmetric in (False, True):
            wanted = scipy.signal.get_window(name, 37, fftbins=not symmetric)
            assert np.allclose(window(name, 37, symmetric), wanted, atol=1e-15)  # type: ignore[arg-type]
    assert np.allclose(window("sqrt-hann", 37) ** 2, window("hann", 37))
    assert np.allclose(window("vorbis", 36)[:18] ** 2 + window("vorbis", 36)[18:] ** 2, 1)  # Princen and Bradley
    assert window("hann", 1).tolist() == window("rect", 1).tolist() == [1.0]


def test_silence_is_at_the_floor() -> None:
    got = frames_of(replace(NSNET2, outputs=("log-power",)), np.zeros(4000, np.int16))
    assert np.allclose(got, -12, atol=1e-5)


# --- the same bits --------------------------------------------------------------------------------------------------


@settings(deadline=None, max_examples=80)
@given(
    st.sampled_from(VARIANTS),
    st.integers(0, 1500),
    st.lists(st.integers(0, 1500), max_size=8),
    st.sampled_from((None, 44100)),
    st.booleans(),
)
def test_chunking_does_not_matter(
    chosen: Spectrum, count: int, cuts: list[int], rate: int | None, whole: bool
) -> None:
    audio: Any = (noise(count) * 30000).astype(np.int16) if whole else noise(count)
    pieces = frames_of(chosen, audio, [min(cut, count) for cut in cuts], rate)
    assert pieces.tobytes() == frames_of(chosen, audio, (), rate).tobytes()


@settings(deadline=None, max_examples=40)
@given(
    st.sampled_from(VARIANTS),
    st.lists(st.tuples(st.sampled_from((None, 11025)), st.integers(0, 900)), min_size=1, max_size=20),
)
def test_company_does_not_matter(chosen: Spectrum, streams: list[tuple[int | None, int]]) -> None:
    assert in_company(chosen, [noise(n, i) for i, (_, n) in enumerate(streams)], [rate for rate, _ in streams])


@pytest.mark.parametrize("chosen", VARIANTS)
def test_times(chosen: Spectrum) -> None:
    """A frame exists as soon as the audio up to its end is there, and no sample earlier; of mirrored audio, the first
    needs one sample more."""
    front = front_end(chosen, {})
    for frame in (0, 1, 7):
        end = ((frame + 1) * front.frame_ms + front.latency_ms) * chosen.sample_rate / 1000
        last = round(end)
        assert end == pytest.approx(last, abs=1e-6)
        if chosen.padding == "reflect":
            last = max(last, (chosen.fft_size or chosen.size) // 2 + 1)
        for samples, frames in ((last - 1, frame), (last, frame + 1)):
            assert len(front.step(front.start(), noise(samples))) == frames


# --- what is refused ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "wrong",
    [
        {"hop": 0},
        {"hop": 513},
        {"fft_size": 511},
        {"fft_size": 1 << 17},
        {"outputs": ()},
        {"outputs": ("real", "real")},
        {"outputs": ("phase",)},
        {"size": 40000, "fft_size": 60000, "outputs": ALL},
        {"window": "square"},
        {"padding": "edge"},
        {"padding": "none", "pad": True},
        {"floor": 0.0},
        {"epsilon": -1.0},
        {"sample_rate": 0},
    ],
)
def test_settings_that_cannot_be(wrong: dict[str, Any]) -> None:
    with pytest.raises(BadModelFileError, match=r"front_end|spectrum"):
        replace(Spectrum(16000, 512, 256), **wrong)


@pytest.mark.parametrize("wrong", [{"taken": -1}, {"taken": 258}, {"taken": 257}, {"kept": 3}, {"kept": 600}])
def test_a_forged_state_is_refused(wrong: dict[str, int]) -> None:
    front = front_end(GTCRN, {})
    with pytest.raises(SnapshotError):
        front.restore(pack(front.start()) | wrong)
