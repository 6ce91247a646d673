"""Rows of ten logits that hurt, and how results are compared."""

import functools
import math

import torch

INF, NAN = math.inf, math.nan
USUAL = [1.0, 3.0, 2.5, 3.0, -1.0, 0.0, 2.0, 0.5, 1.5, 2.75]
OTHER = [0.5, 1.0, 3.0, -2.0, 1.0, 0.25, 2.0, -0.5, 1.5, 0.0]
BIG = 3.0e38
TINY = 1e-40

ROWS = {
    "usual": (USUAL, OTHER, 0.1, 0.5),
    "equal": (USUAL, USUAL, 0.1, 0.7),
    "equal-negative-zeros": ([-0.0, 0.0] * 5, [-0.0, 0.0] * 5, 1.0, 0.7),
    "ties-of-equal-inputs": ([2.0] * 10, [1.0] * 10, 0.5, 1.0),
    "tie-across-differences": ([3.0, 2.5] * 5, [3.0, 2.0] * 5, 0.1, 1.0),
    "alpha-1": (USUAL, OTHER, 1.0, 2.0),
    "on-the-cutoff": ([1.0, 3.0, 0.9990234375, 2.0] + [1.0] * 6, [0.0] * 10, math.exp(-2), 1.0),
    "tiny-alpha": (USUAL, OTHER, 1e-30, 2.0),
    "below-zero": ([x - 9 for x in USUAL], OTHER, 0.2, 0.5),
    "grammar": ([-INF, 1.0, -INF, 0.5] + [-INF] * 6, OTHER, 0.1, 0.5),
    "grammar-in-both": ([-INF, 1.0, -INF, 0.5] + [-INF] * 6, [-INF, 0.0, -INF, 0.0] + [-INF] * 6, 0.1, 0.5),
    "all-masked": ([-INF] * 10, OTHER, 0.1, 0.5),
    "all-masked-in-both": ([-INF] * 10, [-INF] * 10, 1.0, 0.5),
    "all-masked-without-contrast": ([-INF] * 10, [NAN] * 10, 1.0, 0.0),
    "infinite": (USUAL[:6] + [INF] + USUAL[7:], OTHER, 0.1, 0.5),
    "infinite-twice-and-in-both": (USUAL[:6] + [INF, INF] + USUAL[8:], [INF] * 10, 0.1, 0.5),
    "infinite-against-minus-infinity": ([INF] * 2 + USUAL[2:], [-INF] * 10, 0.1, 0.5),
    "infinite-without-contrast": ([1.0, INF] * 5, OTHER, 0.1, 0.0),
    "nan-first": ([NAN] + USUAL[1:], OTHER, 0.1, 0.5),
    "nan-last": (USUAL[:9] + [NAN], OTHER, 0.1, 0.5),
    "nan-after-infinity": ([1.0, INF, 2.0, NAN, -INF, NAN] + USUAL[6:], OTHER, 0.1, 0.5),
    "nan-negative": ([1.0, 2.0, -NAN, NAN] + USUAL[4:], OTHER, 0.1, 0.0),
    "nan-among-minus-infinity": ([-INF] * 7 + [NAN] + [-INF] * 2, OTHER, 0.1, 0.5),
    "nan-all": ([NAN] * 10, [NAN] * 10, 0.1, 0.5),
    "amateur-nan": (USUAL, [0.5, NAN, 3.0, 1.0] + [NAN] * 6, 0.1, 0.5),
    "amateur-minus-infinity": (USUAL, [0.5, -INF, 3.0, 1.0] + [-INF] * 6, 0.1, 0.5),
    "amateur-infinity": (USUAL, [0.5, INF, 3.0, 1.0] + [INF] * 6, 0.1, 0.5),
    "amateur-all-nan-without-contrast": (USUAL, [NAN] * 10, 0.1, 0.0),
    "overflow-without-contrast": ([BIG, -BIG] * 5, [-BIG, BIG] * 5, 1e-30, 0.0),
    "overflow-up": ([BIG, BIG, -BIG] + [0.0] * 7, [1.0, -BIG, BIG] + [0.0] * 7, 1.0, 0.5),
    "overflow-down": ([-BIG] * 10, [BIG] * 10, 1.0, 0.5),
    "overflow-of-the-product": ([1.0, 2.0] * 5, [-BIG, BIG / 2] * 5, 0.1, 100.0),
    "subnormal": ([TINY * x for x in USUAL], [TINY * x for x in OTHER], 1.0, 0.5),
    "negative-zero-without-contrast": ([-0.0] * 10, OTHER, 0.5, 0.0),
}
FIRST = {name: 0 for name in ("all-masked", "all-masked-in-both", "all-masked-without-contrast", "overflow-down")}
FIRST |= {"ties-of-equal-inputs": 0, "nan-first": 0, "nan-last": 9, "nan-after-infinity": 3, "nan-negative": 2}
FIRST |= {"nan-among-minus-infinity": 7, "nan-all": 0, "infinite": 6, "infinite-twice-and-in-both": 6, "usual": 3}
FIRST |= {"amateur-all-nan-without-contrast": 1, "infinite-without-contrast": 1, "equal": 1}
"""Choices that can be seen without a computer."""


@functools.cache
def batch(dtype: torch.dtype) -> tuple[torch.Tensor, ...]:
    """Expert, amateur, alpha and beta of all rows."""
    columns = zip(*ROWS.values(), strict=True)
    expert, amateur, alpha, beta = (torch.tensor(column, dtype=torch.float64) for column in columns)
    return expert.to(dtype), amateur.to(dtype), alpha.float(), beta.float()


def same_bits(one: torch.Tensor, other: torch.Tensor) -> bool:
    """Equal float32 numbers, signs of zeros included; one NaN is as good as another."""
    bits = one.view(torch.int32) == other.view(torch.int32)
    return bool((bits | (one.isnan() & other.isnan())).all())
