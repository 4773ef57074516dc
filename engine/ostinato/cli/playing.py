"""Where the audio that a model makes goes: to the loudspeaker, into a WAV, or to both."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from ostinato.errors import InputError
from ostinato.protocol import HeadInfo
from ostinato_client import Loudspeaker

SUFFIXES = (".wav",)
CHUNK_MS = 10.0
"""Of a microphone whose sound is to be heard again soon."""


def check_audio(head: str, decoder: str, audio: bool) -> None:
    """Raise InputError unless the head gives ``audio``."""
    if not audio:
        raise InputError(f"head {head!r} gives no audio (its decoder is {decoder}), which --play and --output need")


class Playback:
    """Of the audio of a head: ``aloud``, and into ``file``, as float32, not louder or softer than it came.

    Raises InputError for a head that gives no audio, AudioDeviceError without a loudspeaker.
    """

    def __init__(self, head: HeadInfo, aloud: bool, file: Path | None) -> None:
        check_audio(head.name, head.decoder, head.sample_rate is not None)
        self.sample_rate = head.sample_rate or 0
        self.samples = 0
        self._loudspeaker = Loudspeaker(self.sample_rate) if aloud else None
        self._file: Any = None
        if file is not None:
            import soundfile

            self._path, self._errors = file, soundfile.SoundFileError
            with self._writing():
                self._file = soundfile.SoundFile(file, "w", self.sample_rate, 1, "FLOAT")

    @property
    def underruns(self) -> int:
        """Gaps, as audio came too late."""
        return self._loudspeaker.underruns if self._loudspeaker else 0

    @property
    def delay_s(self) -> float | None:
        """When audio that is given now is heard; None if it is only written."""
        return self._loudspeaker.delay_s if self._loudspeaker else None

    def take(self, samples: npt.NDArray[np.float32]) -> None:
        """The next samples."""
        self.samples += len(samples)
        if self._file is not None:
            with self._writing():
                self._file.write(samples)
        if self._loudspeaker:
            self._loudspeaker.play(samples)

    def finish(self) -> None:
        """Until all is heard."""
        if self._loudspeaker:
            self._loudspeaker.finish()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._loudspeaker:
            self._loudspeaker.close()
        if self._file is not None:
            with self._writing():
                self._file.close()

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """Errors of libsndfile, which does not say why a disk takes nothing, as those of the file."""
        try:
            yield
        except self._errors as error:
            raise OSError(errno.EIO, "the sound cannot be written", str(self._path)) from error
