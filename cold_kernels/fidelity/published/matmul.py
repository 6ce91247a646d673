"""Matrix products of the cube core: a tuned Triton kernel on every core, and hand-written ones as bounds."""

import math
from functools import partial

import triton
import triton.language as tl

from .row import Clock, PublishedKernel, PublishedRow
from .tensors import untouched

SOURCE = "FlagGems benchmark/reference_results/mm_w8a8_ascend_pr5972.csv of 4be14069, column of the Triton kernel"
HAND_WRITTEN = "PTO, gemm example, 24 cores"


@triton.jit
def mm(
    a_ptr, b_ptr, c_ptr,
    M: tl.constexpr, N: tl.constexpr, K: tl.constexpr, GROUP: tl.constexpr,
    TILE_M: tl.constexpr, TILE_N: tl.constexpr, TILE_K: tl.constexpr,
):  # fmt: skip
    """``c = a @ b``, a tile a program, ``GROUP`` rows of tiles after each other, so that ``b`` is in the cache."""
    program = tl.program_id(0)
    columns = tl.cdiv(N, TILE_N)
    group = program // (GROUP * columns)
    rows = min(tl.cdiv(M, TILE_M) - group * GROUP, GROUP)
    tile_m = group * GROUP + program % rows
    tile_n = program % (GROUP * columns) // rows
    o_m, o_n = tile_m * TILE_M + tl.arange(0, TILE_M), tile_n * TILE_N + tl.arange(0, TILE_N)
    o_k = tl.arange(0, TILE_K)
    a_at, b_at = a_ptr + o_m[:, None] * K + o_k[None, :], b_ptr + o_k[:, None] * N + o_n[None, :]
    total = tl.zeros((TILE_M, TILE_N), tl.float32)
    for _ in range(0, tl.cdiv(K, TILE_K)):
        a = tl.load(a_at, mask=(o_m < M)[:, None], other=0.0)
        b = tl.load(b_at, mask=(o_n < N)[None, :], other=0.0)
        total += tl.dot(a, b, out_dtype=tl.float32)
        a_at += TILE_K
        b_at += TILE_K * N
    inside = (o_m < M)[:, None] & (o_n < N)[None, :]
    tl.store(c_ptr + o_m[:, None] * N + o_n[None, :], total.to(c_ptr.dtype.element_ty), mask=inside)


MM = PublishedKernel(
    mm,
    {"a_ptr": "*bf16", "b_ptr": "*bf16", "c_ptr": "*bf16"},
    "A matrix product with a tile a program; ops/mm.py of FlagGems' Ascend backend",
)
MM_FP32 = PublishedKernel(
    mm,
    {"a_ptr": "*fp16", "b_ptr": "*fp16", "c_ptr": "*fp32"},
    "The same in fp16 with fp32 results; what a hand-written kernel of its tile takes bounds it",
)

SMALL, LARGE = dict(TILE_M=16, TILE_N=32, TILE_K=32), dict(TILE_M=128, TILE_N=128, TILE_K=128)
"""The published kernel was tuned over these and over 256 x 256 x 256, which does not fit L0C. Which one it took is not
stated: here it is the one whose simulated launch is shortest, a rule that was written down before any was simulated."""

MICROSECONDS = {
    (128, 64, 2048): 10.9,
    (128, 256, 2048): 12.6,
    (128, 2048, 512): 5.6,
    (256, 2048, 512): 8.8,
    (512, 2048, 512): 15.2,
    (2048, 2048, 512): 42.1,
    (128, 1024, 2048): 12.9,
    (2048, 1024, 2048): 79.2,
    (128, 2048, 4096): 24.5,
    (512, 2048, 4096): 88.4,
    (2048, 2048, 4096): 282,
    (16384, 2048, 4096): 2216,
}
"""By M, N, K."""

HAND_WRITTEN_US = {1536: 38.8, 3072: 206.7, 6144: 1506}
"""By M = N = K."""


def _row(kernel: PublishedKernel, m: int, n: int, k: int, tile: dict, us: float, item: int, **about) -> PublishedRow:
    programs = math.ceil(m / tile["TILE_M"]) * math.ceil(n / tile["TILE_N"])
    return PublishedRow(
        kernel=kernel,
        constants=dict(M=m, N=n, K=k, GROUP=8, **tile),
        arguments=partial(untouched, kernel.signature, m * k, k * n, m * n),
        grid=(programs,),
        published_us=us,
        alike={0: programs},
        read_once=(m * k + k * n) * item,
        **about,
    )


ROWS = (
    *(
        _row(
            MM,
            *shape,
            SMALL if shape == (128, 64, 2048) else LARGE,
            us,
            2,
            name=f"mm {' x '.join(map(str, shape))}",
            clock=Clock.GRAPH,
            chip="Ascend910B4-1",
            chip_stated=True,
            source=SOURCE,
            cube=True,
            explanation="which of three tiles was chosen is not stated; the gap between launches is in the time",
        )
        for shape, us in MICROSECONDS.items()
    ),
    *(
        _row(
            MM_FP32,
            size,
            size,
            size,
            dict(TILE_M=128, TILE_N=256, TILE_K=64),
            us,
            2,
            name=f"bound {size} cubed",
            clock=Clock.TASK,
            clock_stated=False,
            source=HAND_WRITTEN,
            same_program=False,
            other_compiler=True,
            explanation="a hand-written kernel of this tile, which bounds what a compiled one can reach",
        )
        for size, us in HAND_WRITTEN_US.items()
    ),
)
