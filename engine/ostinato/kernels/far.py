"""Weights that are more than the nearer caches hold, and so come from afar for each frame of a lone stream."""

from __future__ import annotations

from typing import Any

import llvmlite.binding
from numba.core import config

from ostinato.kernels.operations import KINDS
from ostinato.kernels.operations import record as i

_KINDS = tuple(KINDS.values())
_HOST = vars(config)["CPU_NAME"] or llvmlite.binding.get_host_cpu_name()
FAR_FROM = {"znver5": 2 << 20}
"""From how many bytes of weights on a single row's products read them by `product.far_row`, on processors where that
was measured to be faster, by 9 to 21 % at 2.4 MB and more; with 1.5 MB there is no difference, and those that stay
in the second-level cache, 1 MB, are read 10 % slower. On other processors never."""


def weight_bytes(operations: Any) -> int:
    """Bytes of weights that ``operations`` [n, FIELDS] read for a frame: of a table of tokens next to nothing."""
    return 4 * sum(
        int(region.size)
        for op in operations
        for region in _KINDS[op[i.KIND]].reach(op).weights
        if not (op[i.TOKENS] and region.offset == op[i.W])
    )


def far(operations: Any, processor: str = _HOST) -> bool:
    """Whether a program of these operations has weights from afar."""
    return processor in FAR_FROM and weight_bytes(operations) >= FAR_FROM[processor]
