"""Regions of rows beside each other: what proves that nothing reaches outside."""

from __future__ import annotations

from collections.abc import Sequence

from ostinato.kernels.operations import Region


def inside(region: Region, limit: int, who: str, where: str) -> None:
    """Raise ValueError unless a region lies within the first ``limit`` values."""
    if region.offset < 0 or region.size < 0 or region.offset + region.size > limit:
        raise ValueError(f"{who} {region.size} values from {region.offset} on, outside {where} of {limit}")


def covered(region: Region, held: Sequence[Region]) -> bool:
    """Whether each value of a region is in one of those that are held."""
    at = region.offset
    for other in sorted(held):
        if other.offset <= at < other.offset + other.size:
            at = other.offset + other.size
    return at >= region.offset + region.size


def overlap(one: Region, other: Region) -> bool:
    """Whether they have a value in common."""
    return one.size > 0 and one.offset < other.offset + other.size and other.offset < one.offset + one.size
