"""AscendC samples that Triton can express: adding, copying, fractals, bank groups.

Each kernel does what the published AscendC one does: the same cores, bytes a copy and bursts. None of them ships.
"""

from functools import partial

import triton
import triton.language as tl

from ...ascend.options import CompileOptions
from .row import Clock, PublishedKernel, PublishedRow
from .tensors import untouched

SAMPLES = "cannmirror/asc-devkit 0da921b9, examples/01_simd_cpp_api/05_best_practices"
ADD = f"{SAMPLES}/00_vector_compute/add_high_performance, msprof Task Duration, Atlas A2 training"
COPY = f"{SAMPLES}/04_memory_access/data_copy, msprof Task Duration, Atlas A2/A3"
FRACTALS = f"{SAMPLES}/04_memory_access/bank_conflict_nd2nz, msprof Task Duration, Atlas A2/A3"

BANKS = f"{SAMPLES}/04_memory_access/bank_conflict_ub, GetSystemCycle at 50 MHz, Atlas A2/A3"


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


ADDING = PublishedKernel(
    add,
    {"x_ptr": "*fp16", "y_ptr": "*fp16", "z_ptr": "*fp16", "rows": "i32"},
    "z = x + y over [8192, 8192] fp16",
)
READING = PublishedKernel(
    read, {"x_ptr": "*fp16", "y_ptr": "*fp16", "keep": "i32"}, "[12288, 12288] fp16 to the unified buffer, by tiles"
)
READING_SMALL = PublishedKernel(
    read_small, {"x_ptr": "*fp16", "y_ptr": "*fp16", "keep": "i32"}, "[12288, 12288] fp16, 128 bytes a copy"
)
FRACTALS_OF = PublishedKernel(to_fractals, {"x_ptr": "*fp16", "z_ptr": "*fp16"}, "ND to NZ, fp16")
ADDING_AGAIN = PublishedKernel(
    add_again, {"x_ptr": "*fp32", "y_ptr": "*fp32", "times": "i32"}, "x += y in the unified buffer, fp32"
)

MATRIX, LARGE = 8192 * 8192, 12288 * 12288
SAME_BUFFER = "the compiler puts the sum where x was, so a load waits for the last store; the sample has a third buffer"
ONE_BUFFER, TWO_BUFFERS = CompileOptions(multi_buffer=False), CompileOptions()


def _row(name: str, kernel: PublishedKernel, constants: dict, sizes: tuple, cores: int, us: float, source: str, **more):
    """The samples say their cores and clock, 48 and 1.85 GHz, which is Ascend910B1."""
    return PublishedRow(
        name=name,
        kernel=kernel,
        constants=constants,
        arguments=partial(untouched, kernel.signature, *sizes),
        grid=(cores,),
        published_us=us,
        source=source,
        chip_stated=True,
        **{"clock": Clock.TASK, "options": ONE_BUFFER} | more,
    )


def _add(name: str, cores: int, tile: int, us: float, explanation: str = SAME_BUFFER, **more) -> PublishedRow:
    constants = dict(COLUMNS=8192, TILE=tile)
    return _row(
        name, ADDING, constants, (MATRIX, MATRIX, MATRIX, 8192), cores, us, ADD, explanation=explanation, **more
    )


def _read(name: str, tile: tuple[int, int], us: float, explanation: str = "", **sizes) -> PublishedRow:
    constants = dict(ROWS=256, COLUMNS=12288, TILE_M=tile[0], TILE_N=tile[1], PARTS=1, TIMES=1, BUFFERS=1) | sizes
    return _row(
        name,
        READING,
        constants,
        (LARGE, 1 << 17, 0),
        48,
        us,
        COPY,
        alike={0: 48}
        if constants["TIMES"] == 1
        else None,  # what is read again is found in the cache or not by what all programs read
        options=TWO_BUFFERS if constants["BUFFERS"] > 1 else ONE_BUFFER,
        explanation=explanation,
    )


ROWS = (
    _add("Add 8 KB copies, 1 core", 1, 4096, 6909.6),
    _add("Add 8 KB copies, 48 cores", 48, 4096, 306.58),
    _add("Add 32 KB copies, 48 cores", 48, 16384, 268.5),
    _add("Add 32 KB copies, 48 cores, double buffer", 48, 16384, 264.02, "", options=TWO_BUFFERS),
    _row(
        "DataCopy 128 B",
        READING_SMALL,
        dict(ROWS=256, COLUMNS=12288, TILE=64, BUFFERS=4),
        (LARGE, 1 << 17, 0),
        48,
        564.84,
        COPY,
        alike={0: 48},
        options=TWO_BUFFERS,
        explanation="eight copies between two flags, four buffers each; the sample has no flag at all",
    ),
    _read("DataCopy 64 x 128 B", (64, 64), 233.54, "eight buffers; the sample has no flag at all", BUFFERS=8),
    _read("DataCopy 64 x 2 KB", (64, 1024), 215.82),
    _read("DataCopy 64 x 2 KB, rows of 12287", (64, 1024), 275.3, COLUMNS=12287),
    _read("DataCopy 64 x 2 KB, all of 302 MB four times", (64, 1024), 828.06, TIMES=4),
    _read("DataCopy 64 x 2 KB, each 75 MB four times", (64, 1024), 365.74, PARTS=4, TIMES=4),
    _row(
        "ND to NZ 8192 x 8192",
        FRACTALS_OF,
        dict(ROWS=8192, COLUMNS=8192, TILES=11, TILE_M=128, TILE_N=128),
        (MATRIX, MATRIX),
        48,
        144.0,
        FRACTALS,
        options=TWO_BUFFERS,
        explanation="tiles of 128 rows, as Triton has no 144; the sample without bank conflicts",
    ),
    _row(
        "Add 4096 fp32 a thousand times, sources in the same banks",
        ADDING_AGAIN,
        dict(SIZE=4096),
        (4096, 4096, 1000),
        1,
        4167 / 50,
        BANKS,
        explanation="cycles beyond the repeats are fitted to the same sample's additions without conflicts",
        clock=Clock.KERNEL,
    ),
)
