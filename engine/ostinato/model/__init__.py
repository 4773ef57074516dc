"""What a model is: its specification, its weights, its file, and how it becomes a program of the kernels.

Kinds of front ends, layers and decoders are in `front_ends`, `layers` and `decoders`."""

from ostinato.model.bundled import available, resolve
from ostinato.model.file import read, write
from ostinato.model.network import Network
from ostinato.model.specification import Head, Node, Sequential, Specification

__all__ = ["Network", "Specification", "Sequential", "Node", "Head", "available", "read", "resolve", "write"]
