"""Models and streams: push input in, get events out; snapshot, restore, fork, reset.

model = load("digits-uni")
stream = model.stream()
events = stream.push(samples)
events = stream.flush()
"""

from ostinato.streaming.model import Delay, Model, load
from ostinato.streaming.stream import Stream, accept, advance
from ostinato.streaming.utterance import UtteranceRun

__all__ = ["load", "Model", "Stream", "Delay", "accept", "advance", "UtteranceRun"]
