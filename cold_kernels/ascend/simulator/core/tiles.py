"""Matrices in the cube core's memories: blocks of 16 rows and 32 bytes (of L0C 16 columns), column after column.

A tile of ``c1 x r1 x 16 x c0`` elements holds element ``(row, column)`` at ``[column // c0, row // 16, row % 16,
column % c0]`` (AscendNPU-IR v1.2.0, bishengir/lib/Template, DMA/Cbuf/nd2nz.cpp and Cube/LocalMmad.cpp).
"""

import math

import numpy as np

from ...errors import UnsupportedProgram
from .memory import MemRef, OutOfBounds

BLOCK_ROWS = 16


def rows_of(tile: MemRef) -> int:
    return tile.shape[1] * tile.shape[2]


def columns_of(tile: MemRef) -> int:
    return tile.shape[0] * tile.shape[3]


def part(tile: MemRef, rows: tuple[int, int], columns: tuple[int, int]) -> MemRef:
    """Rows and columns from the first to before the second of a tile, as ``[column block, row, column of it]``.

    Columns are extended to whole blocks.

    Raises:
        UnsupportedProgram: it is no such tile.
        OutOfBounds: it has fewer rows or columns.
    """
    if len(tile.shape) != 4 or tile.strides[2:] != (tile.shape[3], 1) or tile.shape[2] != BLOCK_ROWS:
        raise UnsupportedProgram(f"a tile {tile!r} that is not made of blocks of 16 rows is not simulated")
    if tile.shape[1] > 1 and tile.strides[1] != tile.shape[2] * tile.shape[3]:
        raise UnsupportedProgram(f"a tile {tile!r} whose blocks do not follow each other is not simulated")
    width = tile.shape[3]
    first, last = columns[0] // width, math.ceil(columns[1] / width)
    if rows[1] > rows_of(tile) or last > tile.shape[0]:
        raise OutOfBounds(f"{rows[1]} rows and {columns[1]} columns of {tile!r}")
    offset = tile.offset + first * tile.strides[0] + rows[0] * width
    shape = (last - first, rows[1] - rows[0], width)
    return MemRef(tile.allocation, offset, shape, (tile.strides[0], width, 1), tile.dtype)


def matrix(some: MemRef) -> np.ndarray:
    """The elements of a `part` in rows, as a copy."""
    blocks, rows, width = some.shape
    return some.array().transpose(1, 0, 2).reshape(rows, blocks * width)


def place(some: MemRef, values: np.ndarray) -> None:
    """Write rows of elements to a `part`; columns beyond them become 0."""
    blocks, rows, width = some.shape
    whole = values
    if values.shape[1] < blocks * width:
        whole = np.zeros((rows, blocks * width), values.dtype)
        whole[:, : values.shape[1]] = values
    some.array()[...] = whole.reshape(rows, blocks, width).transpose(1, 0, 2)
