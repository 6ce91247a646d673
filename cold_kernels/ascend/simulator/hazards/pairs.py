"""Pairs of accesses to the same bytes that nothing orders, and which bytes these are."""

from typing import NamedTuple

import numpy as np

from ..core.operations import Op
from ..core.regions import Region

Places = slice | np.ndarray


class Side(NamedTuple):
    """One access of a pair: a region that an instruction reads or writes; ``place`` is its event's in its program's
    trace."""

    program: int
    place: int
    op: Op
    region: Region
    writes: bool
    atomic: bool = False


class Pair(NamedTuple):
    """Two accesses, the first being the one that was simulated first; at least one of them writes."""

    first: Side
    second: Side


def addresses(region: Region) -> np.ndarray:
    """Where a region's bytes are within the memory that it lies in, in their order."""
    return (region.starts()[:, None] + np.arange(region.run)).ravel()


def taken(region: Region) -> np.ndarray:
    """A copy of a region's bytes, in the order of `addresses`."""
    return region.of(region.allocation.data).reshape(-1).copy()


def shared(one: Region, other: Region) -> tuple[Places, Places]:
    """The bytes that two regions share: of each, places among its `addresses`, in the same order."""
    ours, theirs = (region.allocation.data.ctypes.data for region in (one, other))  # arguments may be views of a tensor
    shift = theirs - ours
    if (one.start, one.run, one.shape, one.strides) == (other.start + shift, other.run, other.shape, other.strides):
        return slice(None), slice(None)
    if not one.shape and not other.shape:
        low, high = max(one.start, other.start + shift), min(one.end, other.end + shift)
        high = max(low, high)
        return slice(low - one.start, high - one.start), slice(low - shift - other.start, high - shift - other.start)
    return np.intersect1d(addresses(one), addresses(other) + shift, return_indices=True)[1:]
