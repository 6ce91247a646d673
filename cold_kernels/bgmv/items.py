"""Items of work on a batch, in Triton: slices of the rows that have an adapter, dealt to cores and shared by them."""

import triton
import triton.language as tl


@triton.jit
def rows_to_do(order_ptr, T, M):
    """How many rows have an adapter where the order says so (``M`` > 0); else all of them."""
    rows = T
    if M > 0:
        rows = tl.minimum(tl.load(order_ptr), T)
    return rows


@triton.jit
def slot_of(row, order_ptr, idx_ptr, T, M):
    """The row at that place of the order, if there is one, and its slot, which may be none."""
    if M > 0:
        row = tl.load(order_ptr + 1 + row)
    row = tl.cast(tl.minimum(tl.maximum(row, 0), T - 1), tl.int64)
    return row, tl.load(idx_ptr + row).to(tl.int64)


@triton.jit
def shared_item(before, items, SHARE: tl.constexpr):
    """This core's item of those from ``before`` on, which of its parts it takes, and of how many.

    Items that do not fill the cores again are shared, each by ``SHARE`` cores at most: by the last ones, whose items
    before were smaller where the largest come first. What is chosen is how many share an item, and not how many work:
    only the device knows how many rows have an adapter.
    """
    programs = tl.num_programs(0)
    whole = items // programs * programs
    share = tl.minimum(tl.maximum(programs // tl.maximum(items - whole, 1), 1), SHARE)
    parts = tl.where(before < whole, 1, share)
    place = tl.where(before < whole, tl.program_id(0), programs - 1 - tl.program_id(0))
    return before + place // parts, place % parts, parts


@triton.jit
def columns_of(s, part, parts, starts_ptr, D, S: tl.constexpr, TILE_D: tl.constexpr):
    """First and last of a slice's columns that are this part of it: whole tiles, none past the slice or ``D``."""
    start = tl.maximum(tl.load(starts_ptr + s).to(tl.int32), 0)
    end = tl.load(starts_ptr + tl.minimum(s + 1, S - 1)).to(tl.int32)
    end = tl.minimum(tl.where(s + 1 < S, end, D), D)
    span = tl.cdiv(tl.cdiv(end - start, TILE_D), parts) * TILE_D
    first = start + part * span
    return first, tl.minimum(first + span, end)
