"""A clamped gated activation, one row an iteration on every core."""

from functools import partial

import triton
import triton.language as tl

from .row import Clock, PublishedKernel, PublishedRow
from .tensors import untouched

SOURCE = "vllm-project/vllm-ascend abfb0e59f0 (#11467), operator-level bench"


@triton.jit
def swiglu_step(x_ptr, y_ptr, rows, WIDE: tl.constexpr, HALF: tl.constexpr, MOST: tl.constexpr, CORES: tl.constexpr):
    """``y = min(silu(gate), MOST) * clamp(up, -MOST, MOST)``; x [rows, 2 * HALF] holds gate and up side by side."""
    each = (rows - 1) // CORES + 1
    program = tl.program_id(0)
    first = program * each
    if first >= rows:
        return
    last = tl.minimum((program + 1) * each, rows)
    o, o_half = tl.arange(0, WIDE), tl.arange(0, HALF)
    for row in range(first, last):
        x = tl.load(x_ptr + row * WIDE + o)
        gate = tl.extract_slice(x, (0,), (HALF,), (1,)).to(tl.float32)
        up = tl.extract_slice(x, (HALF,), (HALF,), (1,)).to(tl.float32)
        silu = gate * tl.sigmoid(gate)
        silu = tl.minimum(silu, MOST)
        up = tl.minimum(up, MOST)
        up = tl.maximum(-MOST, up)
        tl.store(y_ptr + row * HALF + o_half, (silu * up).to(x_ptr.dtype.element_ty))


STEP = PublishedKernel(
    swiglu_step,
    {"x_ptr": "*fp16", "y_ptr": "*fp16", "rows": "i32"},
    "clamped gated activation, a row an iteration; ops/triton/activation/swiglustep.py of abfb0e59f0",
)

MICROSECONDS = {
    64: (Clock.GRAPH, 13.6, 22.8),
    512: (Clock.GRAPH, 22.2, 24.7),
    2048: (Clock.GRAPH, 53.6, 51.5),
    4096: (Clock.HOST, 171.1, 77.4),
    8192: (Clock.HOST, 170.5, 138.2),
    65536: (Clock.HOST, 1642.9, 1340.1),
}
"""Published, by rows: clock, on 910B and on 910C."""

CHIPS = {"910B": "Ascend910B3", "910C": "Ascend910_9392"}
CORES = {"910B": 40, "910C": 48}
"""Which 910B is not stated."""

WIDTH = 1280


def _row(name: str, rows: int, clock: Clock, us: float) -> PublishedRow:
    return PublishedRow(
        name=f"swiglu step {name} [{rows}, {WIDTH}]",
        kernel=STEP,
        constants=dict(WIDE=WIDTH, HALF=WIDTH // 2, MOST=7.0, CORES=CORES[name]),
        arguments=partial(untouched, STEP.signature, rows * WIDTH, rows * WIDTH // 2, rows),
        grid=(CORES[name],),
        published_us=us,
        clock=clock,
        clock_stated=False,
        chip=CHIPS[name],
        chip_stated=name == "910C",
        source=SOURCE,
        data="fp16; the shape is taken to be the input's, as in the same report's table of errors",
        explanation="eager times hold the host's work at 4096 rows" if clock is Clock.HOST else "",
        alike={0: CORES[name]} if rows >= 65536 else None,
    )


ROWS = tuple(
    _row(name, rows, clock, us)
    for rows, (clock, *times) in MICROSECONDS.items()
    for name, us in zip(CHIPS, times, strict=True)
)
