"""What a decoder emits. Shared by pipeline, engine, protocol and clients; imports nothing but NumPy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

Kind = Literal[
    "output", "label", "symbol", "class", "end-of-speech", "peak", "audio", "speech-start", "speech-end", "beat",
    "token", "end-of-generation",
]  # fmt: skip


@dataclass(slots=True)
class Event:
    """One result of a stream. Nothing changes it once it has been handed out; it is not frozen, because making a
    frozen one takes four times as long, and a second of speech may be a hundred of them.

    ``kind`` says which fields matter:

    - ``output``: one frame's raw outputs in ``values``.
    - ``label``: the most probable label of one frame: ``index``, ``text``, ``probability``.
    - ``symbol``: a recognised symbol (CTC): ``index``, ``text``, ``probability``.
    - ``class``: the class of a whole sequence: ``index``, ``text``, ``probability``, all probabilities in ``values``.
    - ``peak``: an activation peaks (an onset, a beat, a note, a word to wake): ``text`` is its label, ``index`` the
      output, ``probability`` its height; ``time_ms`` is where the peak is.
    - ``end-of-speech``: the speaker has stopped; ``time_ms`` is where speech ended.
    - ``audio``: samples in ``values``; ``time_ms`` is where the last of them ends, in the input's time.
    - ``speech-start``, ``speech-end``: speech goes from the one's ``time_ms`` to the other's.
    - ``beat``: a beat of music: ``time_ms`` is where, ``probability`` the output there, ``values`` [1] the tempo in
      beats a minute.
    - ``token``: what a language model goes on with: ``index``, ``text``, and the ``probability`` that the model gave
      it (at temperature 1, whatever it was drawn with). ``frame`` is the one whose outputs it was drawn from.
    - ``end-of-generation``: that ends. ``index`` is the end token that the model gave, with its ``probability``; -1
      if there are as many tokens as were asked for.

    ``frame`` is the 0-based number, within the utterance, of the model frame that decided it, and ``time_ms`` where
    that frame ends in the utterance's audio, in ms from its start (for tokens: the number of tokens consumed).
    """

    kind: Kind
    frame: int
    time_ms: float
    text: str = ""
    index: int = -1
    probability: float = 0.0
    values: npt.NDArray[np.float32] | None = None
    utterance: int = 0
    utterance_ms: float = 0.0
