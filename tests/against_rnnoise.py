"""Is the imported RNNoise that of its library? A command of its own, as nothing else runs a foreign library.

    python tests/against_rnnoise.py [RECORDING.wav ...]

Mono recordings in int16 are one after the other the speech; without any, espeak-ng says some sentences. Noise is
added, and digital silence comes between. Features, gains, voice activity and sound are compared, then how long one
stream and fifty take, the best of five times. The library is loaded by a child process.

The library approximates tanh and sigmoid, with the processor's approximate reciprocal on x86: to 3.4e-4, other on
another make of processor. Ours are exact, and recurrences carry the difference on. So that nothing hides behind that,
the imported weights are also put into the network's formulas in float64, with the library's own activations, each
frame from the states that the library has then: those gains must be the library's.
"""

from __future__ import annotations

import ctypes
import io
import subprocess
import sys
import tempfile
import time
import wave
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

RATE, HOP, BANDS, FEATURES = 48000, 480, 32, 65
SECONDS, STREAMS, TIMED, ROUNDS = 60, 50, 100, 5
STATES = (2 * FEATURES, 2 * 128, 384, 384, 384)
"""Values that the library's network keeps: of two convolutions and three GRUs."""
SIGMOID, TANH = 1, 2  # numbers of the library's activations
MOST = 1e-3
"""Difference of features, where both find the same pitch, and of gains with the library's activations and
states."""
Array = npt.NDArray[Any]

SENTENCES = (
    ("en-us", "The birch canoe slid on the smooth planks. Glue the sheet to the dark blue background."),
    ("en-gb+f3", "It is easy to tell the depth of a well. These days a chicken leg is a rare dish."),
    ("de", "Der Nordwind und die Sonne stritten sich, wer von ihnen wohl der Stärkere wäre."),
    ("fr+f2", "La bise et le soleil se disputaient, chacun assurant qu'il était le plus fort."),
    ("en-us+m7", "Rice is often served in round bowls. The juice of lemons makes fine punch."),
    ("es+f4", "El viento del norte y el sol discutían sobre cuál de ellos era el más fuerte."),
)


# --- the library ----------------------------------------------------------------------------------------------------


class Listed(ctypes.Structure):
    """An array in the library's table."""

    _fields_ = (("name", ctypes.c_char_p), ("type", ctypes.c_int), ("size", ctypes.c_int), ("data", ctypes.c_void_p))


def by_the_library(path: str, samples: Array, weights: dict[str, Array]) -> dict[str, Array]:
    """Features, gains and voice activity of each frame, the sound, and the least seconds of processing of one and of
    many streams; ``controlled``: gains by the formulas and these weights, with the library's activations and states.
    Frames of digital silence have no gains: NaN."""
    library, pointer = ctypes.CDLL(path), ctypes.c_void_p
    library.rnnoise_create.restype, library.rnnoise_create.argtypes = pointer, [pointer]
    library.rnnoise_process_frame.restype = ctypes.c_float
    library.rnnoise_process_frame.argtypes = [pointer] * 3
    library.rnn_compute_frame_features.argtypes = [pointer] * 8
    library.rnn_biquad.argtypes = [pointer] * 5 + [ctypes.c_int]
    library.init_rnnoise.argtypes = [pointer] * 2
    library.compute_rnn.argtypes = [pointer] * 5 + [ctypes.c_int]

    frames = samples.astype(np.float32).reshape(-1, HOP)
    model, rnn = ctypes.create_string_buffer(1 << 16), np.zeros(1 << 14, np.float32)
    table = (Listed * 1).in_dll(library, "rnnoise_arrays")
    if library.init_rnnoise(ctypes.addressof(model), ctypes.addressof(table)):
        raise SystemExit("the library does not take its own weights")
    state, memory = library.rnnoise_create(None), np.zeros(2, np.float32)
    poles, zeros = np.array([-1.99599, 0.996], np.float32), np.array([-2, 1], np.float32)
    analysis = [np.zeros(size, np.float32) for size in (2 * HOP + 2, 2 * HOP + 2, BANDS, BANDS, BANDS)]
    features = np.zeros((len(frames), FEATURES), np.float32)
    gains, voice = np.full((len(frames), BANDS), np.nan, np.float32), np.zeros((len(frames), 1), np.float32)
    filtered, controlled = np.zeros(HOP, np.float32), np.full_like(gains, np.nan)
    weights = {name: array.astype(np.float64) for name, array in weights.items()}
    for i, frame in enumerate(frames):
        library.rnn_biquad(
            filtered.ctypes.data, memory.ctypes.data, frame.ctypes.data, zeros.ctypes.data, poles.ctypes.data, HOP
        )
        silent = library.rnn_compute_frame_features(
            state, *(each.ctypes.data for each in analysis), features[i].ctypes.data, filtered.ctypes.data
        )
        if not silent:
            states = rnn[: sum(STATES)].copy()
            library.compute_rnn(
                ctypes.addressof(model), rnn.ctypes.data, gains[i].ctypes.data, voice[i].ctypes.data,
                features[i].ctypes.data, 0,
            )  # fmt: skip
            controlled[i] = by_formulas(features[i], states, weights, library.rnn_compute_activation_c)
    sound, state = np.zeros_like(frames), library.rnnoise_create(None)
    for frame, out in zip(frames, sound, strict=True):
        library.rnnoise_process_frame(state, out.ctypes.data, frame.ctypes.data)
    seconds = []
    for count in (1, STREAMS):
        states, out = [library.rnnoise_create(None) for _ in range(count)], np.zeros(HOP, np.float32)
        best = np.inf
        for addresses in np.split(np.array([frame.ctypes.data for frame in frames[: ROUNDS * TIMED]]), ROUNDS):
            began = time.perf_counter()
            for address in addresses.tolist():
                for each in states:
                    library.rnnoise_process_frame(each, out.ctypes.data, address)
            best = min(best, time.perf_counter() - began)
        seconds.append(best)
    made = {
        "features": features,
        "controlled": controlled,
        "gains": gains,
        "voice": voice,
        "sound": sound.ravel() / 32768,
    }
    return made | {"seconds": np.array(seconds)}


def by_formulas(features: Array, states: Array, weights: dict[str, Array], activation: Any) -> Array:
    """Gains of a frame by its features and the states before, in float64 but for activations."""

    def activated(sums: Array, number: int) -> Array:
        given, made = sums.astype(np.float32), np.zeros(len(sums), np.float32)
        activation(ctypes.c_void_p(made.ctypes.data), ctypes.c_void_p(given.ctypes.data), len(given), number)
        return made.astype(np.float64)

    before, y = np.split(states, np.cumsum(STATES)[:-1]), features
    for held, name in zip(before, ("conv1", "conv2"), strict=False):
        y = activated(weights[f"{name}.W"] @ np.concatenate([held, y]) + weights[f"{name}.b"], TANH)
    skips = [y]
    for number, h in enumerate(before[2:], 1):
        W, R, Wb, Rb = (weights[f"gru{number}.forward.{part}"] for part in ("W", "R", "Wb", "Rb"))
        (z, r, n), (hz, hr, hn) = np.split(W[:, :-1] @ y + Wb, 3), np.split(R @ h + Rb, 3)
        z, r = np.split(activated(np.concatenate([z + hz, r + hr]), SIGMOID), 2)
        y = z * h + (1 - z) * activated(n + r * hn, TANH)
        skips.append(y)
    return activated(weights["dense-out.W"] @ np.concatenate(skips) + weights["dense-out.b"], SIGMOID)


# --- ours -----------------------------------------------------------------------------------------------------------


def speech(recordings: list[str]) -> Array:
    """A minute of speech at 48 kHz, noise that comes and goes, and silence."""
    from ostinato.pipeline.resample import resampler

    parts = [Path(path).read_bytes() for path in recordings]
    if not parts:
        said = [["espeak-ng", "--stdout", "-v", voice, text] for voice, text in SENTENCES]
        parts = [subprocess.run(command, check=True, capture_output=True).stdout for command in said]
    clips = []
    for part in parts:
        with wave.open(io.BytesIO(part)) as file:
            data = file.readframes(1 << 30)
            samples = np.frombuffer(data[: len(data) // 2 * 2], np.int16).astype(np.float32) / 32768
            if (rate := file.getframerate()) != RATE:
                own = resampler(rate, RATE)
                samples = own.step(own.start(), np.concatenate([samples, np.zeros(own.delay, np.float32)]))
            clips.append(samples)
    made = np.zeros(SECONDS * RATE)
    generator, at, turn = np.random.default_rng(1), 0, 0
    while at < len(made):
        clip = clips[turn % len(clips)]
        level = (0.0, 0.003, 0.01, 0.03, 0.1)[turn % 5]
        white = generator.normal(size=len(clip) + RATE)
        noise = np.convolve(white, 0.95 ** np.arange(100))[: len(white)] * 0.3 + 0.2 * white
        heard = np.concatenate([np.zeros(RATE // 2), clip, np.zeros(RATE // 2)])[: len(white)] + level * noise
        piece = np.concatenate([heard, np.zeros(RATE // 2)])[: len(made) - at]  # and digital silence
        made[at : at + len(piece)] = piece
        at, turn = at + len(piece), turn + 1
    whole: Array = np.clip(np.rint(made * 32767), -32768, 32767).astype(np.int16)
    return whole


def by_ours(network: Any, samples: Array) -> dict[str, Array]:
    """The same of the imported model."""
    from ostinato.pipeline import front_end
    from ostinato.streaming import Model, push

    model = Model(network)
    front = front_end(network.specification.front_end, network.weights)
    frames = front.step(front.start(), samples)

    def values(head: str, decoder: str | None) -> Array:
        stream = model.stream(head=head, decoder=decoder)
        events = [event for piece in np.split(samples, SECONDS) for event in stream.push(piece)]
        if decoder is None:
            return np.concatenate([event.values for event in events + stream.flush()])
        return np.array([event.values for event in events])

    made = {
        "features": frames[:, :FEATURES],
        "gains": values("main", "outputs")[:, :BANDS],
        "voice": values("voice", "outputs"),
        "sound": values("main", None),
    }
    seconds = []
    for count in (1, STREAMS):
        streams = [model.stream() for _ in range(count)]
        records = [stream.record for stream in streams]
        best = np.inf
        for pieces in np.split(samples[: ROUNDS * TIMED * HOP].reshape(-1, HOP), ROUNDS):
            began = time.perf_counter()
            for piece in pieces:
                push(records, [piece] * count, [HOP] * count, 1 << 20)
            best = min(best, time.perf_counter() - began)
        seconds.append(best)
    return made | {"seconds": np.array(seconds)}


def main(recordings: list[str]) -> int:
    """Compare, and tell; 1 if features or formulas are not the library's."""
    from ostinato.importing import import_model
    from ostinato.importing.named import well_known

    (library,) = well_known("rnnoise").fetch().values()
    network = import_model("rnnoise").network
    samples = speech(recordings)
    with tempfile.TemporaryDirectory() as folder:
        np.save(f"{folder}/in.npy", samples)
        np.savez(f"{folder}/weights.npz", **network.weights)
        files = [f"{folder}/{name}" for name in ("in.npy", "weights.npz", "out.npz")]
        command = [sys.executable, __file__, "--library", str(library), *files]
        subprocess.run(command, check=True)
        with np.load(files[-1]) as file:
            theirs = dict(file)
    ours = by_ours(network, samples)
    ours["controlled"] = theirs.pop("controlled")
    theirs["controlled"] = theirs["gains"]
    heard = np.isfinite(theirs["gains"]).all(axis=1)
    print(f"{len(heard)} frames, {np.count_nonzero(~heard)} of them digital silence")
    same = np.abs(ours["features"] - theirs["features"])[:, -1] < 0.005
    print(f"other periods of pitch in {np.count_nonzero(~same)} frames")
    worst = {}
    for what in ("features", "controlled", "gains", "voice"):
        difference = np.abs(ours[what] - theirs[what])[heard & same].max(axis=1)
        worst[what] = float(difference.max())
        note = " (gains, the library's activations and states)" if what == "controlled" else ""
        print(
            f"{what:10} largest difference {worst[what]:.1e}, mean of frames' largest {difference.mean():.1e}{note}"
        )
    theirs_sound = theirs["sound"][2 * HOP :]
    difference = ours["sound"][: len(theirs_sound)] - theirs_sound
    loud = float(np.sqrt(np.mean(theirs_sound**2)))
    error = float(np.sqrt(np.mean(difference**2)))
    print(f"sound      largest difference {np.abs(difference).max():.1e} of {np.abs(theirs_sound).max():.2f}, "
          f"{20 * np.log10(loud / error):.1f} dB below what is heard")  # fmt: skip
    for number, count in enumerate((1, STREAMS)):
        shares = [made["seconds"][number] / (TIMED * HOP / RATE) for made in (ours, theirs)]
        print(f"{count:2} streams: {shares[0]:.4f} of real time, the library {shares[1]:.4f}")
    return int(worst["features"] > MOST or worst["controlled"] > MOST or np.mean(same) < 0.999)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--library"]:
        with np.load(sys.argv[4]) as file:
            np.savez(sys.argv[5], **by_the_library(sys.argv[2], np.load(sys.argv[3]), dict(file)))
    else:
        sys.exit(main(sys.argv[1:]))
