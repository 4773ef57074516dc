"""What a model is: its specification, its weights, its file, and how it becomes a program of the kernels."""

from ostinato.model.bundled import available, resolve
from ostinato.model.file import read, write
from ostinato.model.network import Network
from ostinato.model.specification import Specification, weight_shapes

__all__ = ["Network", "Specification", "available", "read", "resolve", "weight_shapes", "write"]
