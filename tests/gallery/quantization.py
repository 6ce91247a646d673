"""To int8 with a scale for each row, and back."""

import torch
import triton
import triton.language as tl

from .example import FLOATS, FP16, FP32, Example, ExampleLaunch, Maker, U, blank, stored, tile_for


@triton.jit
def quantize(x_ptr, q_ptr, scale_ptr, N, ROUND: tl.constexpr, TILE: tl.constexpr):
    row, o_n = tl.program_id(0), tl.arange(0, TILE)
    mask = o_n < N
    x = tl.load(x_ptr + row * N + o_n, mask=mask, other=0.0).to(tl.float32)
    scale = tl.maximum(tl.max(tl.abs(x), axis=0), 1e-8) / 127.0
    q = x / scale
    if ROUND == "rint":
        q = tl.math.rint(q)
    else:
        q = tl.floor(q + 0.5)
    tl.store(scale_ptr + row, scale)
    tl.store(q_ptr + row * N + o_n, q.to(tl.int8), mask=mask)


@triton.jit
def dequantize(q_ptr, scale_ptr, y_ptr, N, TILE: tl.constexpr):
    row, o_n = tl.program_id(0), tl.program_id(1) * TILE + tl.arange(0, TILE)
    mask = o_n < N
    y = tl.load(q_ptr + row * N + o_n, mask=mask, other=0).to(tl.float32) * tl.load(scale_ptr + row)
    tl.store(y_ptr + row * N + o_n, y.to(y_ptr.dtype.element_ty), mask=mask)


def to_int8(rows: int, n: int, dtype: torch.dtype, rounding: str) -> Example:
    x, q, scale = torch.randn(rows, n).to(dtype), blank(rows, n, dtype=torch.int8), blank(rows)
    exact = x.double().abs().amax(1) / 127
    launch = ExampleLaunch(quantize, [x, q, scale, n], dict(ROUND=rounding, TILE=tile_for(n)), (rows,))
    # Half a step from the quotient, which is at most 127 and off by the scale's rounding, its own and that of + 0.5.
    return Example([launch], [(scale, exact, U * exact), (q, x.double() / exact[:, None], 0.5 + 127 * 4 * U)])


def from_int8(rows: int, n: int, dtype: torch.dtype) -> Example:
    q, scale = torch.randint(-128, 128, (rows, n)).to(torch.int8), torch.rand(rows)
    y, reference = blank(rows, n, dtype=dtype), q.double() * scale.double()[:, None]
    launch = ExampleLaunch(dequantize, [q, scale, y, n], dict(TILE=256), (rows, -(-n // 256)))
    return Example([launch], [(y, reference, U * reference.abs() + stored(reference, dtype))])


EXAMPLES: dict[str, Maker] = {
    **{
        f"quantize-{rounding}-{name}-3x1000": lambda r=rounding, d=dtype: to_int8(3, 1000, d, r)
        for rounding in ("floor", "rint")
        for name, dtype in FLOATS.items()
    },
    "quantize-floor-fp32-2x31": lambda: to_int8(2, 31, FP32, "floor"),
    "quantize-rint-fp16-2x128": lambda: to_int8(2, 128, FP16, "rint"),
    **{f"dequantize-{name}-3x777": lambda d=dtype: from_int8(3, 777, d) for name, dtype in FLOATS.items()},
}
