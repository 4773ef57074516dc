"""Imports every module that defines kernels, so that `warm_up` knows them all."""

from ostinato.kernels import arrays, audio, interpreter, spectrum

__all__ = ["arrays", "audio", "interpreter", "spectrum"]
