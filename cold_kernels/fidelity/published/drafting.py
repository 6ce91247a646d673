"""Inputs of a drafting model copied and extended by one program alone: thousands of scalar loads and stores."""

from functools import partial

import torch
import triton
import triton.language as tl

from .row import Clock, PublishedKernel, PublishedRow

SOURCE = "vllm-project/vllm-ascend acbd2bb28d (#13191), torch.npu.Event, Ascend910C"


@triton.jit
def extend_serially(
    next_ptr, positions_ptr, slots_ptr, out_ids_ptr, out_positions_ptr, out_query_positions_ptr, out_slots_ptr,
    out_query_slots_ptr, out_places_ptr, table_ptr, table_stride, starts_ptr, lengths_ptr, rejected_ptr, fill, block,
    queries, drafted, tokens, requests, HAS_REJECTED: tl.constexpr, FROM_ANCHOR: tl.constexpr,
):  # fmt: skip
    """Positions and slots of every token are copied one by one; then ``queries`` tokens a request are appended.

    A query's slot is looked up in ``table`` [requests, blocks]; its token is the request's next one, then ``fill``.
    """
    for request in range(0, requests):
        start = tl.load(starts_ptr + request)
        end = tl.load(starts_ptr + request + 1)
        for i in range(0, end - start):
            position = tl.load(positions_ptr + start + i)
            tl.store(out_positions_ptr + start + i, position)
            slot = tl.load(slots_ptr + start + i)
            tl.store(out_slots_ptr + start + i, slot)
        if HAS_REJECTED:
            rejected = tl.load(rejected_ptr + request)
            valid_end = end - rejected
        else:
            rejected = 0
            valid_end = end
        length = tl.load(lengths_ptr + request) - rejected
        last = tl.load(positions_ptr + valid_end - 1)
        for q in range(0, queries):
            at = request * queries + q
            tl.store(out_query_positions_ptr + at, last + 1 + q)
            cached = length + q
            number = tl.load(table_ptr + request * table_stride + cached // block).to(tl.int64)
            tl.store(out_query_slots_ptr + at, number * block + (cached % block))
            if q == 0:
                token = tl.load(next_ptr + request)
                tl.store(out_ids_ptr + at, token)
            else:
                tl.store(out_ids_ptr + at, fill)
            if FROM_ANCHOR:
                tl.store(out_places_ptr + request * drafted + q, at)
            else:
                if q > 0:
                    tl.store(out_places_ptr + request * drafted + (q - 1), at)


NUMBERS = ("fill", "block", "queries", "drafted", "tokens", "requests")
POINTERS = (
    "next_ptr", "positions_ptr", "slots_ptr", "out_ids_ptr", "out_positions_ptr", "out_query_positions_ptr",
    "out_slots_ptr", "out_query_slots_ptr", "out_places_ptr", "table_ptr",
)  # fmt: skip
EXTEND = PublishedKernel(
    extend_serially,
    dict.fromkeys(POINTERS, "*i32")
    | {"table_stride": "i32", "starts_ptr": "*i32", "lengths_ptr": "*i32", "rejected_ptr": "*i32"}
    | dict.fromkeys(NUMBERS, "i32"),
    "inputs of a drafting model, one program; ops/triton/spec_decode/utils.py of c198cdd864",
)

BLOCK, DRAFTED, FILL = 128, 3, 151643


def inputs(requests: int, each: int, anchored: bool, seed: int = 0) -> dict[str, torch.Tensor]:
    """Tensors by the kernel's pointers, after the source's test: ``each`` tokens a request behind a short history."""
    generator = torch.Generator().manual_seed(seed)

    def some(low: int, high: int, *shape: int) -> torch.Tensor:
        return torch.randint(low, high, shape, dtype=torch.int32, generator=generator)

    queries, tokens = queries_of(anchored), requests * each
    lengths = some(0, 100, requests) + each
    blocks = (each + 100 + queries) // BLOCK + 2
    empty = partial(torch.zeros, dtype=torch.int32)
    return {
        "next_ptr": some(0, 150000, requests),
        "positions_ptr": torch.cat([torch.arange(int(end) - each, int(end), dtype=torch.int32) for end in lengths]),
        "slots_ptr": some(0, 1 << 30, tokens),
        "out_ids_ptr": empty(requests * queries),
        "out_positions_ptr": empty(tokens),
        "out_query_positions_ptr": empty(requests * queries),
        "out_slots_ptr": empty(tokens),
        "out_query_slots_ptr": empty(requests * queries),
        "out_places_ptr": empty(requests * DRAFTED),
        "table_ptr": some(1, 10000, requests, blocks),
        "starts_ptr": torch.arange(requests + 1, dtype=torch.int32) * each,
        "lengths_ptr": lengths,
        "rejected_ptr": torch.minimum(some(0, DRAFTED + 1, requests), torch.tensor(each - 1, dtype=torch.int32)),
    }


def queries_of(anchored: bool) -> int:
    return DRAFTED if anchored else 1 + DRAFTED


def arguments(requests: int, each: int, anchored: bool, of: dict[str, torch.Tensor] | None = None) -> list:
    """The kernel's run-time arguments over `inputs`."""
    of = of or inputs(requests, each, anchored)
    numbers = {
        "table_stride": of["table_ptr"].shape[1],
        "fill": FILL,
        "block": BLOCK,
        "queries": queries_of(anchored),
        "drafted": DRAFTED,
        "tokens": requests * each,
        "requests": requests,
    }
    return [(of | numbers)[name] for name in EXTEND.signature]


def _row(requests: int, each: int, us: float) -> PublishedRow:
    return PublishedRow(
        name=f"extend serially B={requests} ctx={each}",
        kernel=EXTEND,
        constants=dict(HAS_REJECTED=False, FROM_ANCHOR=False),
        arguments=partial(arguments, requests, each, False),
        grid=(1,),
        published_us=us,
        clock=Clock.HOST,
        chip="Ascend910_9392",
        chip_stated=True,
        source=SOURCE,
        data="int32 and 3 drafted tokens a request, as in the source's test",
        explanation="calls in a row hide the host's 75 us behind the kernel, so that this is near device time",
    )


ROWS = (
    _row(256, 4, 279.0),
    _row(1, 8192, 1085.0),
)
