"""Tensors in every layout that an operator must take, in memory that shows whether anything else was written."""

import torch
from hypothesis import strategies as st

DTYPES = ("fp16", "bf16", "fp32")
FLOATS = (torch.float16, torch.bfloat16, torch.float32)
INDICES = (torch.int32, torch.int64)
LAYOUTS = ("dense", "gaps", "inner", "transposed", "offset")


def laid_out(tensor, layout):
    """``(view, whole)``: equal values in that layout, within memory that is NaN everywhere else."""
    *outer, last = tensor.shape
    if layout == "dense":
        whole = torch.full(tensor.shape, torch.nan, dtype=tensor.dtype)
        view = whole
    elif layout == "gaps":
        whole = torch.full((*outer, last + 3), torch.nan, dtype=tensor.dtype)
        view = whole[..., :last]
    elif layout == "inner":
        whole = torch.full((*outer, last, 2), torch.nan, dtype=tensor.dtype)
        view = whole[..., 1]
    elif layout == "transposed":
        whole = torch.full((*outer[:-1], last, outer[-1]), torch.nan, dtype=tensor.dtype)
        view = whole.transpose(-1, -2)
    else:
        whole = torch.full((*(size + 2 for size in outer), last + 5), torch.nan, dtype=tensor.dtype)
        view = whole[(*(slice(1, size + 1) for size in outer), slice(3, last + 3))]
    view.copy_(tensor)
    return view, whole


def untouched_around(view, whole):
    """Whether everything of ``whole`` that is not ``view`` is still NaN; spoils the view."""
    view.fill_(torch.nan)
    return bool(whole.isnan().all())


def every_other(indices):
    """The indices with a stride of 2, what is between being no index at all."""
    return torch.stack([indices, torch.full_like(indices, 99)], 1)[:, 0]


def indices(slots, rows):
    return st.lists(st.integers(-1, slots - 1), min_size=rows, max_size=rows).map(
        lambda listed: torch.tensor(listed, dtype=torch.int64)
    )
