"""Models and streams: push input in, get events out; snapshot, restore, fork, reset.

model = load("digits-uni")
stream = model.stream()
events = stream.push(samples)
events = stream.flush()
"""

from ostinato.streaming.batch import accept, advance, push
from ostinato.streaming.columns import Columns
from ostinato.streaming.heads import Head
from ostinato.streaming.model import Model, load
from ostinato.streaming.options import BoundedWait, Delay
from ostinato.streaming.record import Record
from ostinato.streaming.stream import Stream
from ostinato.streaming.utterance import FinishedUtterance

__all__ = [
    "load",
    "Model",
    "Stream",
    "Record",
    "Head",
    "Delay",
    "BoundedWait",
    "Columns",
    "accept",
    "advance",
    "push",
    "FinishedUtterance",
]
