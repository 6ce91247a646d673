"""What the cube core's instructions cost (AscendNPU-IR v1.2.0, bishengir/lib/Template, DMA/Cbuf, Cube/LocalMmad.cpp and
Fixpipe)."""

import functools
import math

from .work import FIX, LOAD, LOAD_L0, MULTIPLY, Work, work

MAX_STRIDE = 65535
"""Elements between rows that one nd2nz instruction can step over."""

BLOCK = 32


@functools.cache
def to_l1_work(rows: int, columns: int, size: int, stride: int, beyond: int) -> Work:
    """Rows of global memory in blocks to L1: a burst a row; an instruction a row where rows lie too far apart."""
    issues = 1 if stride < MAX_STRIDE else rows
    counts = (("l1_issue", issues), ("l1_row", rows), ("line_byte", beyond))
    return work(LOAD, counts, rows * columns * size)


@functools.cache
def fill_work(bytes_: int) -> Work:
    """A number to all of a tile in L1."""
    return work(LOAD, (("l1_issue", 1), ("l1_fill_byte", bytes_)))


@functools.cache
def to_l0_work(name: str, instructions: int, bytes_: int) -> Work:
    """A part of a tile from L1 to L0A or L0B; ``name`` is the constant that a byte costs."""
    return work(LOAD_L0, (("l0_issue", instructions), (name, bytes_)))


@functools.cache
def multiply_work(rows: int, depth: int, columns: int, size: int) -> Work:
    """Blocks of 16 rows, 16 columns and 32 bytes of depth, a cycle each; fp32 takes more (its blocks are of 8)."""
    blocks = math.ceil(rows / 16) * math.ceil(columns / 16) * math.ceil(depth * size / BLOCK)
    name = "multiply_block_f32" if size == 4 else "multiply_block"
    return work(MULTIPLY, (("multiply_issue", 1), (name, blocks)))


@functools.cache
def out_work(rows: int, columns: int, size: int) -> Work:
    """Rows of L0C to global memory."""
    return work(FIX, (("fix_issue", 1), ("fix_row", rows)), rows * columns * size)
