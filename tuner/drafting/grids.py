"""The grid of a kernel as a formula of sizes and tiles, where one explains all launches that were seen."""

import itertools
import math
from collections.abc import Mapping, Sequence
from typing import Any

Term = tuple[str, ...]
"""``(size,)``, or ``(size, tile)`` for the number of tiles that cover it."""


def axis_of(size: int, values: Mapping[str, Any], tile: str, other: int) -> int:
    """An axis of a fixed grid, as it would be with another tile: where it covers an integer argument or a dimension."""
    sizes = [value for name, value in values.items() if type(value) is int and name != tile]
    sizes += [math.prod(value.shape) for value in values.values() if hasattr(value, "strides")]
    sizes += [extent for value in values.values() if hasattr(value, "strides") for extent in value.shape]
    for covered in sizes:
        if size > 1 and covered > 1 and -(-covered // values[tile]) == size:
            return -(-covered // other)
    return size


def formula(
    axis: int, seen: Sequence[tuple[Mapping[str, int], tuple[int, ...]]], sizes: Sequence[str], tiles: Sequence[str]
):
    """The terms whose product is the grid's size along ``axis`` in all that was seen.

    Args:
        axis: Of the grid.
        seen: Sizes and tiles by name, and the grid there.
        sizes: Names of dimensions, those that the kernel is told first.
        tiles: Names of constexprs that may divide them.

    Returns:
        ``(terms, others)``, the shortest product and how many other products of as many terms fit; None for no product.
    """
    singles = [(size,) for size in sizes] + [(size, tile) for size in sizes for tile in tiles]
    wanted = [(env, grid[axis] if axis < len(grid) else 1) for env, grid in seen]
    if all(value == 1 for _, value in wanted):
        return (), 0
    for count in (1, 2, 3):
        fits = []
        for terms in itertools.combinations(singles, count):
            if len({term[0] for term in terms}) == count and all(
                _product(terms, env) == value for env, value in wanted
            ):
                fits.append(terms)
        if fits:
            return fits[0], len(fits) - 1
    return None


def _product(terms: Sequence[Term], env: Mapping[str, int]) -> int:
    return math.prod(env[term[0]] if len(term) == 1 else -(-env[term[0]] // max(1, env[term[1]])) for term in terms)
