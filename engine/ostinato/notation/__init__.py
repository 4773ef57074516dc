"""Tunes in ABC notation: read, checked, transposed, and written as ABC, MIDI and sound.

A tune here is one melody: a metre, a unit length, a key, and a body of tokens (`tune`). Each token is a note with its
accidental, octave and length, a rest, a bar line, a tuplet or an ending, so text with spaces between tokens is ABC as
well as what a language model of words reads. Names follow the ABC standard 2.1 (abcnotation.com, December 2011).
"""

from ostinato.notation.bars import faults
from ostinato.notation.reader import read
from ostinato.notation.tune import Tune

__all__ = ["Tune", "faults", "read"]
