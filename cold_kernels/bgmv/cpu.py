"""BGMV on CPU tensors, in torch alone, with a row's bits independent of the other rows."""

import torch

CHUNK = 1 << 22
"""Products held at a time: 16 MB of float32."""


@torch.no_grad()
def shrink(x: torch.Tensor, a: torch.Tensor, y: torch.Tensor, idx: torch.Tensor, scale: float) -> None:
    """``y[t] = scale * a[idx[t]] @ x[t]`` in float32, rows of zeros where ``idx[t]`` is -1.

    The sum over the hidden dimension is torch's reduction of the last axis, which treats every output alike.
    A matrix product would be faster on many rows, but its order of summation changes with their number. The
    operands are made contiguous, since the order also follows from strides.
    """
    y.zero_()
    for slot in idx.unique().tolist():
        if slot < 0:
            continue
        weights = a[slot].float().contiguous()
        rows = (idx == slot).nonzero()[:, 0]
        for some in rows.split(max(1, CHUNK // max(1, weights.numel()))):
            products = x[some].float().contiguous()[:, None, :] * weights
            if len(some) * len(weights) == 1:  # torch sums a single output in an order of its own
                products = products.expand(2, -1, -1)
            y[some] = products.sum(-1)[: len(some)] * scale


@torch.no_grad()
def expand(b: torch.Tensor, x: torch.Tensor, y: torch.Tensor, idx: torch.Tensor, add: bool) -> None:
    """``y[t] = b[idx[t]] @ x[t] (+ y[t])`` in float32, then rounded to y; rows at -1 are left alone.

    The sum over the rank runs one product after the other: multiplications and additions of their own, each
    rounded correctly, so that nothing depends on where a row lies.
    """
    for slot in idx.unique().tolist():
        if slot < 0:
            continue
        columns = b[slot].float().T.contiguous()  # [R, H]
        rows = (idx == slot).nonzero()[:, 0]
        for some in rows.split(max(1, CHUNK // max(1, y.shape[1]))):
            factors = x[some].float()
            total = torch.zeros(len(some), y.shape[1])
            for column, factor in zip(columns, factors.T, strict=True):
                total += factor[:, None] * column
            y[some] = (y[some].float() + total if add else total).to(y.dtype)
