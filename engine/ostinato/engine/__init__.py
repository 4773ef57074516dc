"""Many streams of several models, advanced together in ticks; no sockets.

engine = Engine({"digits-uni": load("digits-uni")})
engine.open("a stream", "digits-uni")
engine.push("a stream", 1, samples)
results = engine.tick()
"""

from ostinato.engine.columns import FEWEST
from ostinato.engine.core import Engine, Opened
from ostinato.engine.limits import Limits, Usage
from ostinato.engine.results import Answer, Answers
from ostinato.engine.session import unit

__all__ = ["FEWEST", "Engine", "Limits", "Usage", "Opened", "Answer", "Answers", "unit"]
