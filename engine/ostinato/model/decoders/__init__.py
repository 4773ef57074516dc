"""The kinds of decoders, a file each, and the table of them all."""

from ostinato.model.decoders.audio import Audio
from ostinato.model.decoders.audio_output import AudioOutput
from ostinato.model.decoders.beats import Beats
from ostinato.model.decoders.crf import Crf
from ostinato.model.decoders.ctc import Ctc
from ostinato.model.decoders.ctc_beam import CtcBeam
from ostinato.model.decoders.ctc_symbols import CtcSymbols
from ostinato.model.decoders.decoder import Decoder
from ostinato.model.decoders.end_of_speech import EndOfSpeech
from ostinato.model.decoders.generation import Generation
from ostinato.model.decoders.inverse_spectrum import InverseSpectrum
from ostinato.model.decoders.labels import Labels
from ostinato.model.decoders.outputs import Outputs
from ostinato.model.decoders.overlap_add import OverlapAdd
from ostinato.model.decoders.overlapping import Overlapping
from ostinato.model.decoders.peaks import Peaks
from ostinato.model.decoders.rnnoise_synthesis import RnnoiseSynthesis
from ostinato.model.decoders.sequence_class import SequenceClass
from ostinato.model.decoders.sequence_outputs import SequenceOutputs
from ostinato.model.decoders.speech_activity import SpeechActivity

DECODERS: dict[str, type[Decoder]] = {
    kind.kind: kind
    for kind in (
        Outputs, Labels, Ctc, CtcBeam, SequenceClass, SequenceOutputs, EndOfSpeech, Peaks, Beats, Crf, SpeechActivity,
        Audio,
        OverlapAdd, InverseSpectrum, RnnoiseSynthesis, Generation,
    )
}  # fmt: skip
"""All kinds, by their name in model files and on the wire."""

__all__ = [
    "DECODERS", "Decoder", "Outputs", "Labels", "CtcSymbols", "Ctc", "CtcBeam", "SequenceClass", "SequenceOutputs",
    "EndOfSpeech", "Peaks", "Beats", "Crf", "SpeechActivity", "AudioOutput", "Audio", "Overlapping", "OverlapAdd",
    "InverseSpectrum",
    "RnnoiseSynthesis", "Generation",
]  # fmt: skip
