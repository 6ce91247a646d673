"""Kernels whose device times are published, written again in Triton.

Each does what the published AscendC kernel does: the same cores, bytes a copy and bursts. None of them ships.
"""

import triton
import triton.language as tl


@triton.jit
def add(x_ptr, y_ptr, z_ptr, rows, COLUMNS: tl.constexpr, TILE: tl.constexpr):
    """``z = x + y``, rows dealt evenly over the programs; each copies ``TILE`` elements at a time."""
    program, programs = tl.program_id(0), tl.num_programs(0)
    first = program * (rows // programs) + tl.minimum(program, rows % programs)
    count = (rows // programs + (program < rows % programs).to(tl.int32)) * COLUMNS
    o = tl.arange(0, TILE)
    base = tl.cast(first, tl.int64) * COLUMNS
    for done in range(0, count, TILE):
        mask = o < count - done
        x = tl.load(x_ptr + base + done + o, mask=mask)
        y = tl.load(y_ptr + base + done + o, mask=mask)
        tl.store(z_ptr + base + done + o, x + y, mask=mask)


@triton.jit
def read(
    x_ptr, y_ptr, keep, ROWS: tl.constexpr, COLUMNS: tl.constexpr, TILE_M: tl.constexpr, TILE_N: tl.constexpr,
    PARTS: tl.constexpr, TIMES: tl.constexpr, BUFFERS: tl.constexpr,
):  # fmt: skip
    """Copies ``ROWS`` rows a program to the unified buffer by tiles, ``PARTS`` of the columns each ``TIMES`` times.

    Nothing is done with a tile unless ``keep`` says so; a load that no store needs would not be compiled.
    """
    first = tl.cast(tl.program_id(0), tl.int64) * ROWS
    o_m, o_n = tl.arange(0, TILE_M), tl.arange(0, TILE_N)
    WIDTH: tl.constexpr = COLUMNS // PARTS
    for part in range(PARTS):
        for _ in range(TIMES):
            for m in range(0, ROWS, TILE_M):
                for n in range(0, WIDTH, TILE_N):
                    at = x_ptr + (first + m) * COLUMNS + part * WIDTH + n + o_m[:, None] * COLUMNS + o_n[None, :]
                    if WIDTH % TILE_N:
                        tile = tl.load(at, mask=(n + o_n < WIDTH)[None, :])
                    else:
                        tile = tl.load(at)
                    if BUFFERS > 1:
                        tl.compile_hint(tile, "hivm.multi_buffer", BUFFERS)
                    if keep:
                        tl.store(y_ptr + o_m[:, None] * TILE_N + o_n[None, :], tile)


@triton.jit
def read_small(
    x_ptr, y_ptr, keep, ROWS: tl.constexpr, COLUMNS: tl.constexpr, TILE: tl.constexpr, BUFFERS: tl.constexpr
):
    """As `read`, a copy for ``TILE`` elements of one row; eight copies between two synchronisations."""
    base = tl.cast(tl.program_id(0), tl.int64) * ROWS * COLUMNS
    o = tl.arange(0, TILE)
    for n in range(0, ROWS * COLUMNS, 8 * TILE):
        at = x_ptr + base + n + o
        t0 = tl.load(at)
        t1 = tl.load(at + TILE)
        t2 = tl.load(at + 2 * TILE)
        t3 = tl.load(at + 3 * TILE)
        t4 = tl.load(at + 4 * TILE)
        t5 = tl.load(at + 5 * TILE)
        t6 = tl.load(at + 6 * TILE)
        t7 = tl.load(at + 7 * TILE)
        tl.compile_hint(t0, "hivm.multi_buffer", BUFFERS)
        tl.compile_hint(t1, "hivm.multi_buffer", BUFFERS)
        tl.compile_hint(t2, "hivm.multi_buffer", BUFFERS)
        tl.compile_hint(t3, "hivm.multi_buffer", BUFFERS)
        tl.compile_hint(t4, "hivm.multi_buffer", BUFFERS)
        tl.compile_hint(t5, "hivm.multi_buffer", BUFFERS)
        tl.compile_hint(t6, "hivm.multi_buffer", BUFFERS)
        tl.compile_hint(t7, "hivm.multi_buffer", BUFFERS)
        if keep:
            tl.store(y_ptr + o, t0)
            tl.store(y_ptr + TILE + o, t1)
            tl.store(y_ptr + 2 * TILE + o, t2)
            tl.store(y_ptr + 3 * TILE + o, t3)
            tl.store(y_ptr + 4 * TILE + o, t4)
            tl.store(y_ptr + 5 * TILE + o, t5)
            tl.store(y_ptr + 6 * TILE + o, t6)
            tl.store(y_ptr + 7 * TILE + o, t7)


@triton.jit
def to_fractals(
    x_ptr, z_ptr, ROWS: tl.constexpr, COLUMNS: tl.constexpr, TILES: tl.constexpr,
    TILE_M: tl.constexpr, TILE_N: tl.constexpr,
):  # fmt: skip
    """Row-major ``[ROWS, COLUMNS]`` to columns of 16 elements one after the other (ND to NZ); 8 programs a row."""
    o_m, o_n, o_c, o_16 = tl.arange(0, TILE_M), tl.arange(0, TILE_N), tl.arange(0, TILE_N // 16), tl.arange(0, 16)
    program = tl.program_id(0)
    across, down = program % 8, program // 8
    WIDTH: tl.constexpr = COLUMNS // 8
    for m in range(down * TILES * TILE_M, tl.minimum((down + 1) * TILES * TILE_M, ROWS), TILE_M):
        for n in range(across * WIDTH, (across + 1) * WIDTH, TILE_N):
            tile = tl.load(x_ptr + m * COLUMNS + n + o_m[:, None] * COLUMNS + o_n[None, :])
            tile = tl.permute(tl.reshape(tile, [TILE_M, TILE_N // 16, 16]), (1, 0, 2))
            z_at = o_c[:, None, None] * ROWS * 16 + o_m[None, :, None] * 16 + o_16[None, None, :]
            tl.store(z_ptr + n * ROWS + m * 16 + z_at, tile)


@triton.jit
def add_again(x_ptr, y_ptr, times, SIZE: tl.constexpr):
    """``x += y``, as often as said, on ``SIZE`` elements that stay in the unified buffer."""
    o = tl.arange(0, SIZE)
    x, y = tl.load(x_ptr + o), tl.load(y_ptr + o)
    for _ in range(times):
        x += y
    tl.store(x_ptr + o, x)
