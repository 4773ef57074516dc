"""Numba kernels: arrays in, arrays out. Knows nothing of models, streams or sockets.

- `program`: Program, Workspace, advance, advance_slice, bind
- `arrays`: log, exp, activate, pack_matrix, multiply
- `float_mode`: denormals are zeros in all of them
- `warm_up`, `ready`: compile, or load from the cache, now
"""

from ostinato.kernels._jit import ready, warm_up

__all__ = ["ready", "warm_up"]
