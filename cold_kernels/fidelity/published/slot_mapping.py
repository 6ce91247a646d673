"""Where the keys and values of tokens go in a paged cache: gathers from a table of blocks, and what replaced them."""

from functools import partial

import torch
import triton
import triton.language as tl

from .row import Clock, PublishedKernel, PublishedRow

ASCEND = "vllm-project/vllm-ascend f9c2ecbd03 (#13048)"
GEMS = "flagos-ai/FlagGems-vllm #816, kernel_details summed"


@triton.jit(do_not_specialize=["tokens", "most"])
def slots_hybrid(
    tokens, most, starts_ptr, positions_ptr, table_ptr, table_stride, block, out_ptr, CACHE_BLOCK: tl.constexpr,
    PARTS: tl.constexpr, WORLD: tl.constexpr, RANK: tl.constexpr, INTERLEAVE: tl.constexpr, PAD: tl.constexpr,
    TILE: tl.constexpr,
):  # fmt: skip
    """``out[t] = table[request, position // block] * block + position % block`` in int64, a program a request.

    Positions of several ranks are dealt by ``INTERLEAVE``, and what another has gets ``PAD``; one program more pads
    the places of tokens that are not there.
    """
    request = tl.program_id(0)
    if request == tl.num_programs(0) - 1:
        for i in range(tokens, most, TILE):
            o = i + tl.arange(0, TILE)
            tl.store(out_ptr + o, PAD, mask=o < most)
        return
    start = tl.load(starts_ptr + request).to(tl.int64)
    end = tl.load(starts_ptr + request + 1).to(tl.int64)
    wide = CACHE_BLOCK * WORLD
    row = request * table_stride
    for i in range(start, end, TILE):
        o = i + tl.arange(0, TILE)
        mask = o < end
        position = tl.load(positions_ptr + o, mask=mask, other=0)
        group = position // wide
        within = position - group * wide
        mine = (within // INTERLEAVE) % WORLD == RANK
        local = (within // (WORLD * INTERLEAVE)) * INTERLEAVE + (within % INTERLEAVE)
        index = group * PARTS + local // block
        number = tl.load(table_ptr + row + index, mask=mask & mine, other=0).to(tl.int64)
        slot = number * block + local % block
        slot = tl.where(mine, slot, PAD)
        tl.store(out_ptr + o, slot, mask=mask)


@triton.jit(do_not_specialize=["tokens", "most"])
def slots_plain(
    tokens, most, starts_ptr, positions_ptr, table_ptr, table_stride, block, out_ptr, WORLD: tl.constexpr,
    RANK: tl.constexpr, INTERLEAVE: tl.constexpr, PAD: tl.constexpr, TILE: tl.constexpr,
):  # fmt: skip
    """As `slots_hybrid` where blocks of the cache are not cut into smaller ones, and every place is gathered."""
    request = tl.program_id(0)
    if request == tl.num_programs(0) - 1:
        for i in range(tokens, most, TILE):
            o = i + tl.arange(0, TILE)
            tl.store(out_ptr + o, PAD, mask=o < most)
        return
    start = tl.load(starts_ptr + request).to(tl.int64)
    end = tl.load(starts_ptr + request + 1).to(tl.int64)
    wide = block * WORLD
    row = request * table_stride
    for i in range(start, end, TILE):
        o = i + tl.arange(0, TILE)
        mask = o < end
        position = tl.load(positions_ptr + o, mask=mask, other=0)
        index = position // wide
        number = tl.load(table_ptr + row + index).to(tl.int64)
        within = position - index * wide
        mine = (within // INTERLEAVE) % WORLD == RANK
        local = (within // (WORLD * INTERLEAVE)) * INTERLEAVE + (within % INTERLEAVE)
        slot = number * block + local
        slot = tl.where(mine, slot, PAD)
        tl.store(out_ptr + o, slot, mask=mask)


@triton.jit(do_not_specialize=["tokens", "most"])
def slots_windowed(
    tokens, most, starts_ptr, positions_ptr, table_ptr, table_stride, block, out_ptr, PAD: tl.constexpr,
    TILE: tl.constexpr, WINDOW: tl.constexpr,
):  # fmt: skip
    """As `slots_hybrid` on one rank in int32, from ``WINDOW`` entries of the table that are loaded at once."""
    request = tl.program_id(0)
    if request == tl.num_programs(0) - 1:
        for i in range(tokens, most, TILE):
            o = i + tl.arange(0, TILE)
            tl.store(out_ptr + o, PAD, mask=o < most)
        return
    start = tl.load(starts_ptr + request).to(tl.int64)
    end = tl.load(starts_ptr + request + 1).to(tl.int64)
    row = request * table_stride
    w = tl.arange(0, WINDOW)
    for i in range(start, end, TILE):
        o = i + tl.arange(0, TILE)
        mask = o < end
        position = tl.load(positions_ptr + o, mask=mask, other=0).to(tl.int32)
        index = position // block
        within = position - index * block
        first = tl.min(tl.where(mask, index, 2147483647), axis=0)
        window = tl.load(table_ptr + row + (first + w), mask=(first + w) < table_stride, other=0).to(tl.float32)
        number = tl.gather(window, tl.where(mask, index - first, 0), 0).to(tl.int32)
        tl.store(out_ptr + o, number * block + within, mask=mask)


@triton.jit(do_not_specialize=["tokens"])
def slots_by_block(
    tokens, starts_ptr, positions_ptr, table_ptr, table_stride, out_ptr, MOST: tl.constexpr, BLOCK: tl.constexpr,
    PAD: tl.constexpr, TILE: tl.constexpr, WINDOW: tl.constexpr,
):  # fmt: skip
    """As `slots_windowed`, a program for each request and ``TILE`` of its places, most of which have no token.

    ``BLOCK`` is known to the compiler, and all arithmetic is int32; positions of a request follow each other.
    """
    request, part = tl.program_id(0), tl.program_id(1)
    o = tl.arange(0, TILE)
    if request == tl.num_programs(0) - 1:
        first = tokens + part * TILE
        if first < MOST:
            tl.store(out_ptr + first + o, PAD, mask=first + o < MOST)
        return
    first = tl.load(starts_ptr + request) + part * TILE
    end = tl.load(starts_ptr + request + 1)
    if first >= end:
        return
    mask = first + o < end
    position = tl.load(positions_ptr + first + o, mask=mask, other=0).to(tl.int32)
    index = position // BLOCK
    low = tl.load(positions_ptr + first).to(tl.int32) // BLOCK
    w = tl.arange(0, WINDOW)
    window = tl.load(table_ptr + request * table_stride + low + w, mask=low + w < table_stride, other=0)
    number = tl.gather(window.to(tl.float32), tl.where(mask, index - low, 0), 0).to(tl.int32)
    tl.store(out_ptr + first + o, number * BLOCK + (position - index * BLOCK), mask=mask)


NUMBERS = {"tokens": "i32", "most": "i32"}
TABLES = {"starts_ptr": "*i32", "positions_ptr": "*i64", "table_ptr": "*i32", "table_stride": "i32"}
HYBRID = PublishedKernel(
    slots_hybrid,
    NUMBERS | TABLES | {"block": "i32", "out_ptr": "*i32"},
    "slots of tokens in int64; vLLM's v1/worker/block_table.py before #13048",
)
PLAIN = PublishedKernel(
    slots_plain,
    NUMBERS | TABLES | {"block": "i32", "out_ptr": "*i64"},
    "slots of tokens in int64; vLLM 0.20's v1/worker/block_table.py",
)
WINDOWED = PublishedKernel(
    slots_windowed,
    NUMBERS | TABLES | {"block": "i32", "out_ptr": "*i32"},
    "slots of tokens from a window of the table; ops/triton/compute_slot_mapping.py of f9c2ecbd03",
)
BY_BLOCK = PublishedKernel(
    slots_by_block,
    {"tokens": "i32"} | TABLES | {"out_ptr": "*i64"},
    "slots of tokens, a program a request and 512 places; reconstructed from the description in #816",
)

ANOTHER_COMPILER = (
    "triton-ascend 3.2.0 adds and compares the int64 offsets of a tile one by one, twice 1024 times; the published "
    "times leave no room for that"
)

ONE_RANK = dict(WORLD=1, RANK=0, INTERLEAVE=1, PAD=-1)
TILE = 1024


def batch(requests: int, each: int, most: int, block: int, out: torch.dtype) -> dict:
    """Tensors and numbers of ``requests`` requests with ``each`` tokens from position 0 on, by the kernels' names."""
    generator = torch.Generator().manual_seed(0)
    width = max(most // block, 320)
    return {
        "tokens": requests * each,
        "most": most,
        "starts_ptr": torch.arange(requests + 1, dtype=torch.int32) * each,
        "positions_ptr": torch.arange(each).repeat(requests),
        "table_ptr": torch.randint(0, width, (requests, width), dtype=torch.int32, generator=generator),
        "table_stride": width,
        "block": block,
        "out_ptr": torch.full((max(most, requests * each),), 123456, dtype=out),
    }


def arguments(kernel: PublishedKernel, *of) -> list:
    """A kernel's run-time arguments over a `batch`."""
    out = torch.int64 if kernel.signature["out_ptr"] == "*i64" else torch.int32
    values = batch(*of, out)
    return [values[name] for name in kernel.signature]


def _row(name: str, kernel: PublishedKernel, of: tuple, constants: dict, us: float, **more) -> PublishedRow:
    return PublishedRow(
        name=name,
        kernel=kernel,
        constants=constants,
        arguments=partial(arguments, kernel, *of),
        **{"grid": (of[0] + 1,), "published_us": us, "clock": Clock.TASK} | more,
    )


def _ascend(kernel: PublishedKernel, constants: dict, requests: int, each: int, us: float) -> PublishedRow:
    name = "before" if kernel is HYBRID else "after"
    more = {} if kernel is HYBRID else dict(same_program=False, other_compiler=True, explanation=ANOTHER_COMPILER)
    data = "blocks of 128, tables of 320 entries, positions from 0 on, as in the source's documentation"
    return _row(
        f"slots {name} N={requests} T={requests * each}", kernel, (requests, each, 8192, 128),
        constants | dict(PAD=-1, TILE=TILE), us, source=ASCEND, data=data, clock_stated=False,
        **more,
    )  # fmt: skip


def _gems(requests: int, most: int, block: int, plain: float, by_block: float) -> tuple[PublishedRow, PublishedRow]:
    of, name = (requests, 200, most, block), f"N={requests} most={most} block={block}"
    about = dict(
        source=GEMS, chip="Ascend910_9392", chip_stated=True, data="200 tokens a request from position 0 on, as stated"
    )
    version = dict(
        same_program=False,
        other_compiler=True,
        explanation="which vLLM the upstream kernel was of is not stated; the same int64 loops of #13048 take 2.5 "
        "times as long an element",
    )
    before = _row(f"slots plain {name}", PLAIN, of, ONE_RANK | dict(TILE=TILE), plain, **about, **version)
    after = _row(
        f"slots by block {name}",
        BY_BLOCK,
        of,
        dict(MOST=most, BLOCK=block, PAD=-1, TILE=512, WINDOW=triton.next_power_of_2(512 // block + 1)),
        by_block,
        grid=(requests + 1, most // 512),
        explanation="the source is not to be had; from a window of the table, as a gather would take longer",
        same_program=False,
        other_compiler=True,
        **about,
    )
    return before, after


WIDE = ONE_RANK | dict(CACHE_BLOCK=128, PARTS=1)
ROWS = (
    _ascend(HYBRID, WIDE, 2, 2, 173.1),
    _ascend(HYBRID, WIDE, 256, 32, 1038.83),
    _ascend(WINDOWED, dict(WINDOW=16), 2, 2, 3.02),
    _ascend(WINDOWED, dict(WINDOW=16), 256, 32, 21.2),
    *_gems(1, 8192, 128, 69, 8),
    *_gems(4, 8192, 128, 69, 13),
    *_gems(8, 8192, 128, 70, 18),
    *_gems(12, 8192, 128, 70, 21),
    *_gems(16, 8192, 128, 70, 25),
    *_gems(32, 8192, 128, 71, 44),
    *_gems(128, 8192, 128, 204, 154),
    *_gems(4, 8192, 16, 69, 14),
    *_gems(8, 8192, 16, 70, 17),
    *_gems(8, 16384, 128, 71, 27),
)
