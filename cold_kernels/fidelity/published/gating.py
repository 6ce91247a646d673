"""Gates of a gated delta rule over [rows, heads]: tiles of 64 rows of 8 heads, so rows of 16 and 32 bytes."""

from functools import partial

import triton
import triton.language as tl

from .row import Clock, PublishedKernel, PublishedRow
from .tensors import untouched

SOURCE = "vllm-project/vllm-ascend 4335bd2561 (#9601), the Triton column, profiler's Task Duration"


@triton.jit(do_not_specialize=["steps", "heads", "rows", "slope", "most", "turns"])
def gate(
    g_ptr, beta_ptr, a_log_ptr, a_ptr, b_ptr, bias_ptr, steps, heads, rows, slope, most, turns,
    HEADS: tl.constexpr, ROWS: tl.constexpr,
):  # fmt: skip
    """``g = -exp(a_log) * softplus(a + bias)`` fp32 and ``beta = sigmoid(b)``, a and b [rows, heads].

    Program ``p`` takes ``turns`` tiles of ``ROWS`` rows from ``p * turns * ROWS`` on, eight heads at a time, and loads
    ``a_log`` and ``bias`` again for each; tiles beyond the last row are masked as a whole, and cost the same.
    """
    program, step = tl.program_id(0), tl.program_id(1)
    parts = tl.cdiv(heads, HEADS)
    for turn in range(0, turns):
        r = program * turns * ROWS + turn * ROWS + tl.arange(0, ROWS)
        for part in range(0, parts):
            h = part * HEADS + tl.arange(0, HEADS)
            at = r[:, None] * steps * heads + step * heads + h[None, :]
            there = h < heads
            mask = there[None, :] & (r[:, None] < rows)
            a_log = tl.load(a_log_ptr + h, mask=there)
            a = tl.load(a_ptr + at, mask=mask)
            b = tl.load(b_ptr + at, mask=mask)
            bias = tl.load(bias_ptr + h, mask=there)
            x = a.to(tl.float32) + bias.to(tl.float32)[None, :]
            soft = tl.where(slope * x <= most, (1 / slope) * tl.log(1 + tl.exp(slope * x)), x)
            g = -tl.exp(a_log.to(tl.float32)) * soft
            tl.store(g_ptr + at, g.to(g_ptr.dtype.element_ty), mask=mask)
            beta = tl.sigmoid(b.to(tl.float32))
            tl.store(beta_ptr + at, beta.to(beta_ptr.dtype.element_ty), mask=mask)


GATE = PublishedKernel(
    gate,
    {
        "g_ptr": "*fp32", "beta_ptr": "*bf16", "a_log_ptr": "*fp32", "a_ptr": "*bf16", "b_ptr": "*bf16",
        "bias_ptr": "*fp32", "steps": "i32", "heads": "i32", "rows": "i32", "slope": "fp32", "most": "fp32",
        "turns": "i32",
    },
    "gates of a gated delta rule, tiles of [64, 8]; after ops/triton/fused_gdn_gating.py of 1d350d0b45",
)  # fmt: skip

ROW_COUNTS = (1, 2, 4, 8, 16, 32, 48, 128, 1024, 4096, 16384, 65536, 262144)
MICROSECONDS = {
    16: (16.4, 16.3, 16.5, 16.8, 16.7, 16.6, 16.3, 17.0, 16.5, 27.8, 73.0, 257.4, 806.8),
    24: (22.0, 22.5, 22.1, 22.3, 22.1, 22.1, 22.2, 22.0, 22.0, 39.5, 106.6, 377.5, 1093.7),
    32: (27.7, 27.6, 27.9, 27.5, 27.6, 27.8, 27.7, 27.7, 27.7, 50.2, 140.4, 500.0, 1440.9),
    48: (39.0, 38.8, 39.2, 39.1, 39.3, 38.9, 39.0, 39.2, 38.8, 72.3, 208.4, 748.5, 2158.5),
    64: (50.4, 50.3, 50.0, 50.2, 50.3, 50.5, 50.3, 50.1, 51.0, 95.6, 275.1, 993.7, 2884.0),
}
"""Published, by heads."""

CORES = 48
"""Not stated: 48 fit the times to 1.2 % up to 65536 rows, 40 to 7.4 %."""


def _row(heads: int, rows: int, us: float) -> PublishedRow:
    turns = triton.cdiv(triton.cdiv(rows, CORES), 64)
    size = rows * heads
    return PublishedRow(
        name=f"gate H={heads} B={rows}",
        kernel=GATE,
        constants=dict(HEADS=8, ROWS=64),
        arguments=partial(
            untouched, GATE.signature, size, size, heads, size, size, heads, 1, heads, rows, 1.0, 20.0, turns
        ),
        grid=(CORES, 1),
        published_us=us,
        clock=Clock.TASK,
        source=SOURCE,
        alike=_alike(rows, 64 * turns) if rows >= 65536 else None,
        data="a and b are bf16, a_log and bias fp32, as in the source's test",
    )


def _alike(rows: int, each: int) -> dict[int, int]:
    """Programs with rows alone, the one that has some, and those that have none."""
    full = rows // each
    return {0: full, full: 1} | ({full + 1: CORES - full - 1} if full + 1 < CORES else {})


ROWS = tuple(
    _row(heads, rows, us) for heads, times in MICROSECONDS.items() for rows, us in zip(ROW_COUNTS, times, strict=True)
)
