"""What an operator costs before it does anything: with no rows, beside bare operators of its schema that do nothing."""

import functools

import pytest
import torch

import cold_kernels

SLOTS, HIDDEN, RANK = 4, 4096, 16
NAMES = sorted({*cold_kernels.__all__} - {"lora_row_order"})
"""A row order is made of torch's own operators, however few rows there are."""


def arguments(name):
    if name.startswith("contrastive"):
        draw = (0.7, 50, 0.9, torch.empty(0)) if name.endswith("sample") else ()
        return torch.empty(0, 32000), torch.empty(0, 32000), 0.1, 0.5, *draw
    none = torch.empty(0, dtype=torch.int64)
    if name == "bgmv_shrink_expand":
        rows, a, b = torch.empty(0, HIDDEN), torch.empty(SLOTS, 1, RANK, HIDDEN), torch.empty(SLOTS, HIDDEN, RANK)
        return rows, a, b, rows.clone(), none, torch.zeros(1, dtype=torch.int64), 1.0, True
    shrinks = name.endswith("shrink")
    inner, outer = (HIDDEN, RANK) if shrinks else (RANK, HIDDEN)
    tensors = (
        torch.empty(0, inner),
        torch.empty(SLOTS, outer, inner),
        torch.empty(0, outer + 8 * name.endswith("slice")),
    )
    prefill = (none, none, none, 0, 0, 0) if name.startswith("sgmv") else (none,)
    return *tensors, *prefill, *((1.0,) if shrinks else (0, HIDDEN) if name.endswith("slice") else ())


def nothing(name):
    """What a bare operator does: it allocates what it must return."""
    if name.startswith("contrastive"):
        dtype = torch.float32 if name.endswith("score") else torch.int64
        return lambda expert, *_: torch.empty(expert.shape[: 2 if name.endswith("score") else 1], dtype=dtype)
    return lambda *_: None


@functools.cache
def bare(name):
    """An operator by ``torch.library.Library``, the barest there is, and one by ``torch.library.custom_op``."""
    schema = str(getattr(torch.ops.cold_kernels, name).default._schema).split("::")[1]
    library = torch.library.Library("cold_kernels_bare", "FRAGMENT")
    library.define(schema)
    library.impl(name, nothing(name), "CPU")
    written = () if name.startswith("contrastive") else ("output_tensor",)
    custom = torch.library.custom_op(
        f"cold_kernels_bare::{name}_custom", nothing(name), mutates_args=written, schema=schema.removeprefix(name)
    )
    return library, {"Library": getattr(torch.ops.cold_kernels_bare, name), "custom_op": custom}


def described(result):
    return None if result is None else (result.shape, result.dtype)


@pytest.mark.parametrize("name", NAMES)
def test_dispatch(race, name):
    args, (_, operators) = arguments(name), bare(name)
    ours = functools.partial(getattr(cold_kernels, name), *args)
    others = {k: functools.partial(f, *args) for k, f in operators.items()}
    for other in others.values():
        assert described(ours()) == described(other())
    race(ours, others, rounds=40)
