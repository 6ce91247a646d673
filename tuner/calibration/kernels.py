"""Micro-benchmarks as Triton kernels: each spends its time in one thing that the chip's constants are about.

Numbers are run-time arguments and never specialised, so that few programs have to be compiled on the device.
"""

import triton
import triton.language as tl


@triton.jit(do_not_specialize=["y_stride_P"])
def start(y_ptr, y_stride_P, E: tl.constexpr):
    """Next to nothing: each program stores one block."""
    o = tl.arange(0, E)
    tl.store(y_ptr + tl.program_id(0) * y_stride_P + o, o.to(tl.float32))


@triton.jit(do_not_specialize=["y_stride_P", "times", "busy", "late"])
def queue(y_ptr, y_stride_P, times, busy, late, E: tl.constexpr):
    """Programs before ``busy`` and from ``late`` on work on a tile ``times`` times; those between do nothing at all."""
    p = tl.program_id(0)
    if (p < busy) | (p >= late):
        o = tl.arange(0, E)
        tile = o.to(tl.float32)
        for _ in range(times):
            tile = tile * -1.0
        tl.store(y_ptr + p * y_stride_P + o, tile)


@triton.jit(do_not_specialize=["y_stride_P", "times", "step", "away", "keep"])
def load(x_ptr, y_ptr, y_stride_P, times, step, away, keep, E: tl.constexpr):
    """Loads ``times`` tiles, ``step`` apart. Stores none unless ``keep`` says so; else none would be compiled."""
    o = tl.arange(0, E)
    for n in range(times):
        tile = tl.load(x_ptr + tl.program_id(0) * away + n * step + o)
        if keep:
            tl.store(y_ptr + tl.program_id(0) * y_stride_P + o, tile)


@triton.jit(do_not_specialize=["times", "keep"])
def load_many(x_ptr, y_ptr, times, keep, N: tl.constexpr):
    """As `load`, the same eight tiles every time, with nothing between them."""
    E: tl.constexpr = N // 8
    o = tl.arange(0, E)
    for _ in range(times):
        t0 = tl.load(x_ptr + o)
        t1 = tl.load(x_ptr + E + o)
        t2 = tl.load(x_ptr + 2 * E + o)
        t3 = tl.load(x_ptr + 3 * E + o)
        t4 = tl.load(x_ptr + 4 * E + o)
        t5 = tl.load(x_ptr + 5 * E + o)
        t6 = tl.load(x_ptr + 6 * E + o)
        t7 = tl.load(x_ptr + 7 * E + o)
        if keep:
            tl.store(y_ptr + o, t0)
            tl.store(y_ptr + E + o, t1)
            tl.store(y_ptr + 2 * E + o, t2)
            tl.store(y_ptr + 3 * E + o, t3)
            tl.store(y_ptr + 4 * E + o, t4)
            tl.store(y_ptr + 5 * E + o, t5)
            tl.store(y_ptr + 6 * E + o, t6)
            tl.store(y_ptr + 7 * E + o, t7)


@triton.jit(do_not_specialize=["y_stride_M", "times", "pitch", "keep"])
def load_rows(x_ptr, y_ptr, y_stride_M, times, pitch, keep, M: tl.constexpr, E: tl.constexpr):
    """As `load`, the same tile of ``M`` rows, a burst each, every time."""
    o_m, o_e = tl.arange(0, M), tl.arange(0, E)
    for _ in range(times):
        tile = tl.load(x_ptr + o_m[:, None] * pitch + o_e[None, :])
        if keep:
            tl.store(y_ptr + o_m[:, None] * y_stride_M + o_e[None, :], tile)


@triton.jit(do_not_specialize=["y_stride_P", "y_stride_K", "K"])
def store(y_ptr, y_stride_P, y_stride_K, K, E: tl.constexpr):
    """Stores one tile ``K`` times, one after the other."""
    o = tl.arange(0, E)
    tile = o.to(tl.float32)
    for n in range(K):
        tl.store(y_ptr + tl.program_id(0) * y_stride_P + n * y_stride_K + o, tile)


@triton.jit(do_not_specialize=["times"])
def store_many(y_ptr, y1_ptr, y2_ptr, y3_ptr, y4_ptr, y5_ptr, y6_ptr, y7_ptr, times, E: tl.constexpr):
    """As `store`, to eight tensors, so that none waits for another."""
    o = tl.arange(0, E)
    tile = o.to(tl.float32)
    for _ in range(times):
        tl.store(y_ptr + o, tile)
        tl.store(y1_ptr + o, tile)
        tl.store(y2_ptr + o, tile)
        tl.store(y3_ptr + o, tile)
        tl.store(y4_ptr + o, tile)
        tl.store(y5_ptr + o, tile)
        tl.store(y6_ptr + o, tile)
        tl.store(y7_ptr + o, tile)


@triton.jit(do_not_specialize=["y_stride_K", "y_stride_M", "K"])
def store_rows(y_ptr, y_stride_K, y_stride_M, K, M: tl.constexpr, W: tl.constexpr):
    """As `store`, the first half of each of ``M`` rows, a burst each."""
    o_m, o_e = tl.arange(0, M), tl.arange(0, W // 2)
    tile = o_m.to(tl.float32)[:, None] + o_e.to(tl.float32)[None, :]
    for n in range(K):
        tl.store(y_ptr + n * y_stride_K + o_m[:, None] * y_stride_M + o_e[None, :], tile)


@triton.jit(do_not_specialize=["x_stride_P", "x_stride_K", "y_stride_P", "y_stride_K", "K"])
def copy(x_ptr, y_ptr, x_stride_P, x_stride_K, y_stride_P, y_stride_K, K, E: tl.constexpr):
    """Loads and stores in turn."""
    o = tl.arange(0, E)
    for n in range(K):
        x = tl.load(x_ptr + tl.program_id(0) * x_stride_P + n * x_stride_K + o)
        tl.store(y_ptr + tl.program_id(0) * y_stride_P + n * y_stride_K + o, x)


@triton.jit(do_not_specialize=["x_stride_K", "y_stride_K", "K"])
def negate(x_ptr, y_ptr, x_stride_K, y_stride_K, K, E: tl.constexpr):
    """As `copy`, with the vector unit between the two."""
    o = tl.arange(0, E)
    for n in range(K):
        tl.store(y_ptr + n * y_stride_K + o, -tl.load(x_ptr + n * x_stride_K + o))


@triton.jit(do_not_specialize=["x_stride_K", "K"])
def accumulate(x_ptr, y_ptr, x_stride_K, K, E: tl.constexpr):
    """Loads, each added before the next one where there is one buffer."""
    o = tl.arange(0, E)
    total = tl.zeros([E], tl.float32)
    for n in range(K):
        total += tl.load(x_ptr + n * x_stride_K + o)
    tl.store(y_ptr + o, total)


@triton.jit(do_not_specialize=["times"])
def vector(x_ptr, y_ptr, times, E: tl.constexpr, OP: tl.constexpr):
    """One operation again and again, each on what the one before it gave."""
    o = tl.arange(0, E)
    x, y = tl.load(x_ptr + o), tl.load(y_ptr + o)
    for _ in range(times):
        if OP == "add":
            y = y + x
        if OP == "scale":
            y = y * -1.0
        if OP == "exp":
            y = tl.exp(y * -1.0)
        if OP == "divide":
            y = x / y
        if OP == "cast":
            y = y.to(tl.float16).to(tl.float32) + x
    tl.store(y_ptr + o, y)


@triton.jit(do_not_specialize=["times"])
def vector_many(x_ptr, y_ptr, times, N: tl.constexpr):
    """As `vector`, eight short operations that do not wait for each other."""
    E: tl.constexpr = N // 8
    o = tl.arange(0, E)
    y0 = tl.load(x_ptr + o)
    y1 = tl.load(x_ptr + E + o)
    y2 = tl.load(x_ptr + 2 * E + o)
    y3 = tl.load(x_ptr + 3 * E + o)
    y4 = tl.load(x_ptr + 4 * E + o)
    y5 = tl.load(x_ptr + 5 * E + o)
    y6 = tl.load(x_ptr + 6 * E + o)
    y7 = tl.load(x_ptr + 7 * E + o)
    for _ in range(times):
        y0, y1, y2, y3 = y0 * -1.0, y1 * -1.0, y2 * -1.0, y3 * -1.0
        y4, y5, y6, y7 = y4 * -1.0, y5 * -1.0, y6 * -1.0, y7 * -1.0
    tl.store(y_ptr + o, y0)
    tl.store(y_ptr + E + o, y1)
    tl.store(y_ptr + 2 * E + o, y2)
    tl.store(y_ptr + 3 * E + o, y3)
    tl.store(y_ptr + 4 * E + o, y4)
    tl.store(y_ptr + 5 * E + o, y5)
    tl.store(y_ptr + 6 * E + o, y6)
    tl.store(y_ptr + 7 * E + o, y7)


@triton.jit(do_not_specialize=["times"])
def issue(y_ptr, times, N: tl.constexpr):
    """As `vector_many` and `count` at once, so that the vector unit waits for the scalar unit."""
    E: tl.constexpr = N // 8
    o = tl.arange(0, E)
    y0 = o.to(tl.float32)
    y1, y2, y3, y4, y5, y6, y7 = y0 + 1.0, y0 + 2.0, y0 + 3.0, y0 + 4.0, y0 + 5.0, y0 + 6.0, y0 + 7.0
    number = 1
    for _ in range(times):
        for n in tl.static_range(20):
            number = (number * 5 + 3) & 1023
        y0, y1, y2, y3 = y0 * -1.0, y1 * -1.0, y2 * -1.0, y3 * -1.0
        y4, y5, y6, y7 = y4 * -1.0, y5 * -1.0, y6 * -1.0, y7 * -1.0
    tl.store(y_ptr + o, y0 + number.to(tl.float32))
    tl.store(y_ptr + E + o, y1)
    tl.store(y_ptr + 2 * E + o, y2)
    tl.store(y_ptr + 3 * E + o, y3)
    tl.store(y_ptr + 4 * E + o, y4)
    tl.store(y_ptr + 5 * E + o, y5)
    tl.store(y_ptr + 6 * E + o, y6)
    tl.store(y_ptr + 7 * E + o, y7)


@triton.jit(do_not_specialize=["times"])
def swap(x_ptr, y_ptr, times, E: tl.constexpr):
    """Two tiles that change places, so that one of them is copied within the unified buffer."""
    o = tl.arange(0, E)
    x, y = tl.load(x_ptr + o), tl.load(y_ptr + o)
    for _ in range(times):
        x, y = y, x
        y = y * -1.0
    tl.store(y_ptr + o, x)


@triton.jit(do_not_specialize=["x_stride_M", "y_stride_M", "times"])
def rows(x_ptr, r_ptr, y_ptr, x_stride_M, y_stride_M, times, M: tl.constexpr, E: tl.constexpr, OP: tl.constexpr):
    """As `vector`, on a tile of ``M`` rows that stay rows: each has a number of its own."""
    o_m, o_e = tl.arange(0, M), tl.arange(0, E)
    x, r = tl.load(x_ptr + o_m[:, None] * x_stride_M + o_e[None, :]), tl.load(r_ptr + o_m)
    for _ in range(times):
        x = x * r[:, None]
        if OP == "cast":
            x = x.to(tl.float16).to(tl.float32)
    tl.store(y_ptr + o_m[:, None] * y_stride_M + o_e[None, :], x)


@triton.jit(do_not_specialize=["x_stride_M", "times"])
def reduce(x_ptr, y_ptr, x_stride_M, times, M: tl.constexpr, E: tl.constexpr, OP: tl.constexpr):
    """Sums or maxima of ``M`` rows, which grow by one in between."""
    o_m, o_e = tl.arange(0, M), tl.arange(0, E)
    x = tl.load(x_ptr + o_m[:, None] * x_stride_M + o_e[None, :])
    total = tl.zeros([M], tl.float32)
    for _ in range(times):
        x = x + 1.0
        total += tl.sum(x, axis=1) if OP == "sum" else tl.max(x, axis=1)
    tl.store(y_ptr + o_m, total)


@triton.jit(do_not_specialize=["x_stride_M", "y_stride_M", "times"])
def transpose(x_ptr, y_ptr, x_stride_M, y_stride_M, times, M: tl.constexpr, N: tl.constexpr):
    """Transposes a square, which grows by one in between."""
    o_m, o_n = tl.arange(0, M), tl.arange(0, N)
    x = tl.load(x_ptr + o_m[:, None] * x_stride_M + o_n[None, :])
    for _ in range(times):
        x = tl.trans(x) + 1.0
    tl.store(y_ptr + o_m[:, None] * y_stride_M + o_n[None, :], x)


@triton.jit(do_not_specialize=["times"])
def read_back(x_ptr, y_ptr, times, E: tl.constexpr):
    """A sum that the scalar unit reads back and hands to the vector unit again."""
    o = tl.arange(0, E)
    x = tl.load(x_ptr + o)
    mean = 0.0
    for _ in range(times):
        mean = tl.sum(x + mean, axis=0) * 0.001
    tl.store(y_ptr + o, x + mean)


@triton.jit(do_not_specialize=["times"])
def running(x_ptr, y_ptr, times, E: tl.constexpr):
    """Running means, which the scalar unit makes element by element in the unified buffer."""
    o = tl.arange(0, E)
    x = tl.load(x_ptr + o)
    for _ in range(times):
        x = tl.cumsum(x, axis=0) * (1.0 / E)
    tl.store(y_ptr + o, x)


@triton.jit(do_not_specialize=["times"])
def chase(x_ptr, y_ptr, times):
    """Scalar loads, each from where the one before it points."""
    at = 0
    for _ in range(times):
        at = tl.load(x_ptr + at)
    tl.store(y_ptr, at)


@triton.jit(do_not_specialize=["times"])
def count(y_ptr, times):
    """Scalar arithmetic that nothing shortens."""
    number = 1
    for _ in range(times):
        number = (number * 5 + 3) & 1023
    tl.store(y_ptr, number)


@triton.jit
def touch(x0_ptr, x1_ptr, x2_ptr, x3_ptr, x4_ptr, x5_ptr, x6_ptr, x7_ptr, y_ptr):
    """As `chase`, each load from another tensor."""
    at = tl.load(x0_ptr)
    at = tl.load(x1_ptr + at)
    at = tl.load(x2_ptr + at)
    at = tl.load(x3_ptr + at)
    at = tl.load(x4_ptr + at)
    at = tl.load(x5_ptr + at)
    at = tl.load(x6_ptr + at)
    at = tl.load(x7_ptr + at)
    tl.store(y_ptr + tl.program_id(0), at)


@triton.jit(do_not_specialize=["times", "by"])
def divide(y_ptr, times, by):
    """As `count`, with a division by a number that the compiler does not know."""
    number = 1
    for _ in range(times):
        number = ((number * 5 + 3) // by) & 1023
    tl.store(y_ptr, number)
