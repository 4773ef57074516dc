"""The kinds of decoders, a file each, and the table of them all."""

from ostinato.model.decoders.crf import Crf
from ostinato.model.decoders.ctc import Ctc
from ostinato.model.decoders.decoder import Decoder
from ostinato.model.decoders.end_of_speech import EndOfSpeech
from ostinato.model.decoders.labels import Labels
from ostinato.model.decoders.outputs import Outputs
from ostinato.model.decoders.peaks import Peaks
from ostinato.model.decoders.sequence_class import SequenceClass

DECODERS: dict[str, type[Decoder]] = {
    kind.kind: kind for kind in (Outputs, Labels, Ctc, SequenceClass, EndOfSpeech, Peaks, Crf)
}
"""All kinds, by their name in model files and on the wire."""

__all__ = ["DECODERS", "Decoder", "Outputs", "Labels", "Ctc", "SequenceClass", "EndOfSpeech", "Peaks", "Crf"]
