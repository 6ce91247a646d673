"""RMSNorm with a residual, and LayerNorm, by row and by tile of rows."""

import torch
import triton
import triton.language as tl

from .example import BF16, FLOATS, FP16, FP32, Example, ExampleLaunch, Maker, U, blank, stored, tile_for

EPS = 1e-5


@triton.jit
def rms_norm(x_ptr, residual_ptr, w_ptr, y_ptr, N, eps, TILE: tl.constexpr):
    row, o_n = tl.program_id(0), tl.arange(0, TILE)
    mask = o_n < N
    x = tl.load(x_ptr + row * N + o_n, mask=mask, other=0.0).to(tl.float32)
    x += tl.load(residual_ptr + row * N + o_n, mask=mask, other=0.0).to(tl.float32)
    tl.store(residual_ptr + row * N + o_n, x.to(residual_ptr.dtype.element_ty), mask=mask)
    scale = tl.rsqrt(tl.sum(x * x, axis=0) / N + eps)
    w = tl.load(w_ptr + o_n, mask=mask, other=0.0).to(tl.float32)
    tl.store(y_ptr + row * N + o_n, (x * scale * w).to(y_ptr.dtype.element_ty), mask=mask)


@triton.jit
def layer_norm(x_ptr, w_ptr, b_ptr, y_ptr, mean_ptr, rstd_ptr, N, eps, TILE: tl.constexpr):
    row, o_n = tl.program_id(0), tl.arange(0, TILE)
    mask = o_n < N
    x = tl.load(x_ptr + row * N + o_n, mask=mask, other=0.0).to(tl.float32)
    mean = tl.sum(x, axis=0) / N
    centred = tl.where(mask, x - mean, 0.0)
    rstd = 1 / tl.sqrt(tl.sum(centred * centred, axis=0) / N + eps)
    tl.store(mean_ptr + row, mean)
    tl.store(rstd_ptr + row, rstd)
    w = tl.load(w_ptr + o_n, mask=mask, other=0.0).to(tl.float32)
    b = tl.load(b_ptr + o_n, mask=mask, other=0.0).to(tl.float32)
    tl.store(y_ptr + row * N + o_n, (centred * rstd * w + b).to(y_ptr.dtype.element_ty), mask=mask)


@triton.jit
def rms_norm_rows(x_ptr, w_ptr, y_ptr, M, eps, N: tl.constexpr, TILE_M: tl.constexpr):
    o_n = tl.arange(0, N)[None, :]
    w = tl.load(w_ptr + o_n).to(tl.float32)
    for start in range(tl.program_id(0) * TILE_M, M, tl.num_programs(0) * TILE_M):
        o_m = start + tl.arange(0, TILE_M)[:, None]
        x = tl.load(x_ptr + o_m * N + o_n, mask=o_m < M, other=0.0).to(tl.float32)
        scale = tl.rsqrt(tl.sum(x * x, axis=1) / N + eps)
        tl.store(y_ptr + o_m * N + o_n, (x * scale[:, None] * w).to(y_ptr.dtype.element_ty), mask=o_m < M)


def _rms(x: torch.Tensor, w: torch.Tensor, dtype: torch.dtype) -> tuple[torch.Tensor, torch.Tensor]:
    """Reference and bound: squares and their mean count half, through the root; then root and two products."""
    n = x.shape[1]
    reference = torch.nn.functional.rms_norm(x, (n,), w.double(), EPS)
    return reference, ((n + 3) / 2 + 4) * U * reference.abs() + stored(reference, dtype)


def rms(rows: int, n: int, dtype: torch.dtype) -> Example:
    x, residual = torch.randn(rows, n).to(dtype), torch.randn(rows, n).to(dtype)
    w, y = torch.randn(n).to(dtype), blank(rows, n, dtype=dtype)
    total = (x.float() + residual.float()).double()
    reference, bound = _rms(total, w, dtype)
    args = [x, residual, w, y, n, EPS]
    launch = ExampleLaunch(rms_norm, args, dict(TILE=tile_for(n)), (rows,))
    return Example([launch], [(y, reference, bound), (residual, total.to(dtype), 0.0)])


def rms_rows(rows: int, n: int, dtype: torch.dtype) -> Example:
    x, w, y = torch.randn(rows, n).to(dtype), torch.randn(n).to(dtype), blank(rows, n, dtype=dtype)
    launch = ExampleLaunch(rms_norm_rows, [x, w, y, rows, EPS], dict(N=n, TILE_M=8), (2,))
    return Example([launch], [(y, *_rms(x.double(), w, dtype))])


def layer(rows: int, n: int, dtype: torch.dtype) -> Example:
    x, w, b = (2 + torch.randn(rows, n)).to(dtype), torch.randn(n).to(dtype), torch.randn(n).to(dtype)
    y, mean, rstd = blank(rows, n, dtype=dtype), blank(rows), blank(rows)
    exact, weight = x.double(), w.double()
    mu = exact.mean(1, keepdim=True)
    centred = exact - mu
    variance = (centred**2).mean(1, keepdim=True) + EPS
    reference = centred * variance.rsqrt() * weight + b.double()
    off_mean = U * (n * exact.abs().mean(1, keepdim=True) + 2 * mu.abs())
    off = off_mean + U * centred.abs()
    off_scale = (centred.abs() * off).mean(1, keepdim=True) / variance + (n + 4) * U
    bound = (weight * variance.rsqrt()).abs() * (off + centred.abs() * (off_scale + 3 * U)) + U * reference.abs()
    args = [x, w, b, y, mean, rstd, n, EPS]
    launch = ExampleLaunch(layer_norm, args, dict(TILE=tile_for(n)), (rows,))
    scale = variance.rsqrt()
    expected = [
        (y, reference, bound + stored(reference, dtype)),
        (mean, mu[:, 0], (off_mean + U * mu.abs())[:, 0]),
        (rstd, scale[:, 0], (scale * (off_scale + U))[:, 0]),
    ]
    return Example([launch], expected)


EXAMPLES: dict[str, Maker] = {
    **{f"rms_norm-{name}-3x{n}": lambda n=n, d=d: rms(3, n, d) for n in (77, 1024) for name, d in FLOATS.items()},
    **{f"layer_norm-{name}-3x{n}": lambda n=n, d=d: layer(3, n, d) for n in (77, 1024) for name, d in FLOATS.items()},
    "rms_norm_rows-fp32-37x64": lambda: rms_rows(37, 64, FP32),
    "rms_norm_rows-fp16-37x128": lambda: rms_rows(37, 128, FP16),
    "rms_norm_rows-bf16-16x256": lambda: rms_rows(16, 256, BF16),
}
