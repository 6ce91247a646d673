"""What a serving step writes back of its requests: chains of scalar loads and stores."""

from functools import partial

import torch
import triton
import triton.language as tl

from .row import Clock, PublishedKernel, PublishedRow

SOURCE = "vllm-project/vllm-ascend bdd90c0088 (#7496)"


@triton.jit
def write_back_by_request(
    slots_ptr, computed_ptr, last_ptr, counts_ptr, counts_stride, sampled_ptr, sampled_stride, number_ptr,
    rejected_ptr, starts_ptr, tokens_ptr, tokens_stride, length_ptr,
):  # fmt: skip
    """A program a request: its sampled tokens are counted and appended, its lengths moved on.

    ``slots`` [requests] says where a request's state is; ``counts`` [slots, vocabulary], ``tokens`` [slots, length].
    """
    request = tl.program_id(0)
    slot = tl.load(slots_ptr + request)
    length = tl.load(length_ptr + slot)
    number = tl.load(number_ptr + request)
    if number > 0:
        token = tl.load(sampled_ptr + request * sampled_stride + number - 1)
        tl.store(last_ptr + slot, token)
        tl.store(length_ptr + slot, length + number)
    for i in range(number):
        token = tl.load(sampled_ptr + request * sampled_stride + i)
        at = counts_ptr + slot * counts_stride + token
        count = tl.load(at)
        count += 1
        tl.store(at, count)
        tl.store(tokens_ptr + slot * tokens_stride + length + i, token)
    start = tl.load(starts_ptr + request)
    end = tl.load(starts_ptr + request + 1)
    query = end - start
    rejected = tl.load(rejected_ptr + request)
    computed = tl.load(computed_ptr + slot)
    computed += query - rejected
    tl.store(computed_ptr + slot, computed)


@triton.jit
def write_back_by_core(
    slots_ptr, slots_stride, computed_ptr, last_ptr, counts_ptr, counts_stride, sampled_ptr, sampled_stride, requests,
    number_ptr, rejected_ptr, starts_ptr, tokens_ptr, tokens_stride, length_ptr,
):  # fmt: skip
    """As `write_back_by_request`, for a contiguous part of the requests a program."""
    program, programs = tl.program_id(0), tl.num_programs(0)
    each = (requests + programs - 1) // programs
    first = program * each
    for request in range(first, tl.minimum(first + each, requests)):
        slot = tl.load(slots_ptr + request * slots_stride)
        length = tl.load(length_ptr + slot)
        number = tl.load(number_ptr + request)
        if number > 0:
            token = tl.load(sampled_ptr + request * sampled_stride + number - 1)
            tl.store(last_ptr + slot, token)
            tl.store(length_ptr + slot, length + number)
        for i in range(number):
            token = tl.load(sampled_ptr + request * sampled_stride + i)
            at = counts_ptr + slot * counts_stride + token
            count = tl.load(at)
            count += 1
            tl.store(at, count)
            tl.store(tokens_ptr + slot * tokens_stride + length + i, token)
        start = tl.load(starts_ptr + request)
        end = tl.load(starts_ptr + request + 1)
        query = end - start
        rejected = tl.load(rejected_ptr + request)
        computed = tl.load(computed_ptr + slot)
        computed += query - rejected
        tl.store(computed_ptr + slot, computed)


BY_REQUEST = PublishedKernel(
    write_back_by_request,
    {
        "slots_ptr": "*i32", "computed_ptr": "*i32", "last_ptr": "*i32", "counts_ptr": "*i32", "counts_stride": "i32",
        "sampled_ptr": "*i32", "sampled_stride": "i32", "number_ptr": "*i32", "rejected_ptr": "*i32",
        "starts_ptr": "*i32", "tokens_ptr": "*i32", "tokens_stride": "i32", "length_ptr": "*i32",
    },
    "state of requests after a step, a program a request; vLLM's v1/worker/gpu/input_batch.py, _post_update_kernel",
)  # fmt: skip
BY_CORE = PublishedKernel(
    write_back_by_core,
    {
        "slots_ptr": "*i32", "slots_stride": "i32", "computed_ptr": "*i32", "last_ptr": "*i32", "counts_ptr": "*i32",
        "counts_stride": "i32", "sampled_ptr": "*i32", "sampled_stride": "i32", "requests": "i32",
        "number_ptr": "*i32", "rejected_ptr": "*i32", "starts_ptr": "*i32", "tokens_ptr": "*i32",
        "tokens_stride": "i32", "length_ptr": "*i32",
    },
    "state of requests after a step, a program a core; worker/v2/input_batch.py of bdd90c0088, _post_update_kernel",
)  # fmt: skip

REQUESTS, CORES = 256, 48
VOCABULARY = 1024
"""Of 32000 in the source's test: only addresses depend on it."""

DATA = (
    "256 requests in order, each one of 1 to 6 tokens sampled at random, as in the source's test of 5 drafted tokens; "
    "the report says nothing but 256 requests"
)


def state(requests: int, drafted: int = 5, seed: int = 42) -> dict[str, torch.Tensor]:
    """What the kernels read and write, by the names of their pointers, after the source's test."""
    generator = torch.Generator().manual_seed(seed)

    def some(low: int, high: int, *shape: int) -> torch.Tensor:
        return torch.randint(low, high, shape, dtype=torch.int32, generator=generator)

    number = some(1, drafted + 2, requests)
    return {
        "slots": torch.arange(requests, dtype=torch.int32),
        "computed": some(0, 100, requests),
        "last": some(0, VOCABULARY, requests),
        "counts": some(0, 10, requests, VOCABULARY),
        "sampled": some(0, VOCABULARY, requests, drafted + 1),
        "number": number,
        "rejected": torch.minimum(some(0, drafted + 1, requests), number - 1),
        "starts": torch.cat([torch.zeros(1, dtype=torch.int32), some(1, 20, requests).cumsum(0).int()]),
        "tokens": some(0, VOCABULARY, requests, 300),
        "length": some(50, 200, requests),
    }


def arguments(kernel: PublishedKernel, of: dict[str, torch.Tensor] | None = None) -> list:
    """A kernel's run-time arguments over a `state`, by default that of the rows."""
    of = of or state(REQUESTS)
    numbers = {
        "slots_stride": 1,
        "counts_stride": of["counts"].stride(0),
        "sampled_stride": of["sampled"].stride(0),
        "tokens_stride": of["tokens"].stride(0),
        "requests": len(of["slots"]),
    }
    return [numbers[name] if name in numbers else of[name.removesuffix("_ptr")] for name in kernel.signature]


def _row(name: str, kernel: PublishedKernel, programs: int, us: float, **more) -> PublishedRow:
    return PublishedRow(
        name=name,
        kernel=kernel,
        constants={},
        arguments=partial(arguments, kernel),
        grid=(programs,),
        published_us=us,
        clock=Clock.TASK,
        clock_stated=False,
        source=SOURCE,
        data=DATA,
        **more,
    )


ROWS = (
    _row("write back by request B=256", BY_REQUEST, REQUESTS, 26.0),
    _row("write back by core B=256", BY_CORE, CORES, 11.0),
)
