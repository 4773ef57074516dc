"""How wide vectors are: 16 float32 whatever the host, so that programs, states and snapshots are the same on all."""

LANES = 16


def padded(size: int) -> int:
    """``size`` values rounded up to whole vectors."""
    return -(-size // LANES) * LANES
