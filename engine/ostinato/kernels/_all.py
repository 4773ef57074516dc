"""Imports every module that defines kernels, so that `warm_up` knows them all."""

from ostinato.kernels import arrays, audio, interpreter, operations, spectrum

__all__ = ["arrays", "audio", "interpreter", "operations", "spectrum"]
