"""Decoders: a model's outputs, frame by frame, to events. A file each, and the table of them all.

Each is immutable settings with a small state, `step` and `flush`. However the outputs are cut into steps, the events
are the same. ``event.frame`` counts the model's frames from 0, and ``event.time_ms`` is where that frame ends in the
audio:

    time_ms(frame) = (frame + 1) * frame_ms + latency_ms

where frame_ms is the time between model frames and latency_ms what a frame covers beyond that (see
`FrontEnd.latency_ms`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ostinato.pipeline.decoders.audio import AudioDecoder
from ostinato.pipeline.decoders.beats import BeatsDecoder
from ostinato.pipeline.decoders.crf import CrfDecoder
from ostinato.pipeline.decoders.ctc import CtcDecoder
from ostinato.pipeline.decoders.ctc_beam import CtcBeamDecoder
from ostinato.pipeline.decoders.decoder import Decoder
from ostinato.pipeline.decoders.end_of_speech import EndOfSpeechDecoder, EndOfSpeechState
from ostinato.pipeline.decoders.generation import GenerationDecoder
from ostinato.pipeline.decoders.inverse_spectrum import InverseSpectrumDecoder
from ostinato.pipeline.decoders.labels import LabelsDecoder
from ostinato.pipeline.decoders.outputs import OutputsDecoder
from ostinato.pipeline.decoders.overlap_add import OverlapAddDecoder
from ostinato.pipeline.decoders.peaks import PeaksDecoder
from ostinato.pipeline.decoders.rnnoise_synthesis import RnnoiseSynthesisDecoder
from ostinato.pipeline.decoders.sequence_class import SequenceClassDecoder
from ostinato.pipeline.decoders.sequence_outputs import SequenceOutputsDecoder
from ostinato.pipeline.decoders.speech_activity import SpeechActivityDecoder

DECODERS: dict[str, Callable[..., Decoder[Any, Any]]] = {
    "outputs": OutputsDecoder,
    "labels": LabelsDecoder,
    "ctc": CtcDecoder,
    "ctc-beam": CtcBeamDecoder,
    "sequence-class": SequenceClassDecoder,
    "sequence-outputs": SequenceOutputsDecoder,
    "end-of-speech": EndOfSpeechDecoder,
    "peaks": PeaksDecoder,
    "crf": CrfDecoder,
    "speech-activity": SpeechActivityDecoder,
    "audio": AudioDecoder,
    "overlap-add": OverlapAddDecoder,
    "inverse-spectrum": InverseSpectrumDecoder,
    "rnnoise-synthesis": RnnoiseSynthesisDecoder,
    "beats": BeatsDecoder,
    "generation": GenerationDecoder,
}
"""All kinds, by their name in model files and on the wire: made of their settings, the time between frames and what
a frame covers beyond that, in ms, and of their weights, if they have any."""

__all__ = ["DECODERS", "Decoder", "EndOfSpeechDecoder", "EndOfSpeechState"]
