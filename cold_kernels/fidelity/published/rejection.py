"""Rejection sampling of drafted tokens: scalar loads and branches, one program a request or one a core."""

import math
from functools import partial

import torch
import triton
import triton.language as tl

from .row import Clock, PublishedKernel, PublishedRow

SOURCE = "vllm-project/vllm-ascend 8ffe3f5d78 (#5259)"


@triton.jit(do_not_specialize=["longest"])
def accept_by_request(
    out_ptr, ends_ptr, draft_ptr, draft_p_ptr, target_p_ptr, bonus_ptr, recovered_ptr, uniform_ptr, greedy_ptr,
    longest, vocabulary, NO_DRAFT_P: tl.constexpr,
):  # fmt: skip
    """A program a request: drafted tokens until one is rejected, then its substitute; the bonus token if none is.

    ``draft`` holds the tokens of all requests one after the other, ``ends`` where each request's end; ``out`` has
    ``longest + 1`` places a request. A draft is accepted if target over draft probability is at least ``uniform``.
    """
    request = tl.program_id(0)
    greedy = tl.load(greedy_ptr + request)
    if greedy:
        return
    start = 0 if request == 0 else tl.load(ends_ptr + request - 1)
    end = tl.load(ends_ptr + request)
    count = end - start
    rejected = False
    for i in range(count):
        if not rejected:
            token = tl.load(draft_ptr + start + i)
            if NO_DRAFT_P:
                p = 1
            else:
                p = tl.load(draft_p_ptr + (start + i) * vocabulary + token)
            target = tl.load(target_p_ptr + (start + i) * vocabulary + token)
            uniform = tl.load(uniform_ptr + start + i)
            if p > 0 and target / p >= uniform:
                chosen = token
            else:
                rejected = True
                chosen = tl.load(recovered_ptr + start + i)
            tl.store(out_ptr + request * (longest + 1) + i, chosen)
    if not rejected:
        bonus = tl.load(bonus_ptr + request)
        tl.store(out_ptr + request * (longest + 1) + count, bonus)


@triton.jit(do_not_specialize=["longest"])
def accept_by_core(
    out_ptr, ends_ptr, draft_ptr, draft_p_ptr, target_p_ptr, bonus_ptr, recovered_ptr, uniform_ptr, greedy_ptr,
    longest, vocabulary, requests, NO_DRAFT_P: tl.constexpr, REQUESTS: tl.constexpr,
):  # fmt: skip
    """As `accept_by_request` for ``REQUESTS`` requests a program, whose ends are loaded as one vector.

    ``ends`` starts with a 0 that counts for no request: the published kernel reads in front of its tensor.
    """
    program = tl.program_id(0)
    o = program * REQUESTS + tl.arange(0, REQUESTS)
    mask = o < requests
    greedy = tl.load(greedy_ptr + o, mask, other=1)
    wanted = greedy == 0
    starts = tl.where(o == 0, 0, tl.load(ends_ptr + o, wanted))
    ends = tl.load(ends_ptr + 1 + o, wanted)
    counts = ends - starts
    for r in range(REQUESTS):
        here = tl.get_element(wanted, (r,))
        if here:
            rejected = False
            start = tl.get_element(starts, (r,))
            request = program * REQUESTS + r
            count = tl.get_element(counts, (r,))
            for i in range(count):
                if not rejected:
                    token = tl.load(draft_ptr + start + i)
                    if NO_DRAFT_P:
                        p = 1
                    else:
                        p = tl.load(draft_p_ptr + (start + i) * vocabulary + token)
                    target = tl.load(target_p_ptr + (start + i) * vocabulary + token)
                    uniform = tl.load(uniform_ptr + start + i)
                    if p > 0 and target / p >= uniform:
                        chosen = token
                    else:
                        rejected = True
                        chosen = tl.load(recovered_ptr + start + i)
                    tl.store(out_ptr + request * (longest + 1) + i, chosen)
            if not rejected:
                bonus = tl.load(bonus_ptr + request)
                tl.store(out_ptr + request * (longest + 1) + count, bonus)


POINTERS = {
    "out_ptr": "*i64", "ends_ptr": "*i32", "draft_ptr": "*i64", "draft_p_ptr": "*fp32", "target_p_ptr": "*fp32",
    "bonus_ptr": "*i64", "recovered_ptr": "*i64", "uniform_ptr": "*fp32", "greedy_ptr": "*i1",
}  # fmt: skip
BY_REQUEST = PublishedKernel(
    accept_by_request,
    POINTERS | {"longest": "i32", "vocabulary": "i32"},
    "rejection sampling, a program a request; rejection_random_sample_kernel of 91bf524364 and of vLLM",
)
BY_CORE = PublishedKernel(
    accept_by_core,
    POINTERS | {"longest": "i32", "vocabulary": "i32", "requests": "i32"},
    "rejection sampling, a program a core; rejection_random_sample_kernel of 8ffe3f5d78",
)

CORES = 48
"""Not stated."""

VOCABULARY = 1024
"""Of the source's 151936 tokens: which addresses are read does not change what is done, and memory does not suffice."""

DATA = (
    "as in the source's test: every request drafts as many tokens, none is greedy, probabilities and uniforms are "
    "evenly distributed, so that three drafts of four are accepted; a vocabulary of 1024 for 151936"
)

ONE_PROGRAM_A_REQUEST = {
    1: (2.934, 4.467, 6.98, 11.087, 13.414, 19.66, 39.908, 81.781, 137.923),
    2: (3.4, 3.74, 6.373, 9.747, 12.98, 20.834, 39.314, 83.135, 157.563),
}
ONE_PROGRAM_A_CORE = {
    1: (3.64, 4.0, 4.54, 6.42, 7.84, 8.487, 11.62, 18.16, 32.934),
    2: (4.02, 4.24, 7.394, 6.46, 7.76, 9.787, 13.56, 22.387, 40.607),
}
REQUESTS = (1, 8, 32, 64, 128, 256, 512, 1024, 2048)
"""Published microseconds, by drafted tokens a request, for so many requests each."""


def drafts(requests: int, drafted: int, seed: int = 0) -> list:
    """Arguments of `accept_by_request`, ``drafted`` tokens for each of so many requests."""
    generator = torch.Generator().manual_seed(seed)
    count = requests * drafted
    return [
        torch.full((requests, drafted + 1), -1, dtype=torch.int64),
        (1 + torch.arange(requests, dtype=torch.int32)) * drafted,
        torch.randint(0, VOCABULARY, (count,), generator=generator),
        torch.rand(count, VOCABULARY, generator=generator),
        torch.rand(count, VOCABULARY, generator=generator),
        torch.randint(0, VOCABULARY, (requests, 1), generator=generator),
        torch.zeros(count, dtype=torch.int64),
        torch.rand(count, generator=generator),
        torch.zeros(requests, dtype=torch.bool),
        drafted,
        VOCABULARY,
    ]


def drafts_by_core(requests: int, drafted: int, seed: int = 0) -> list:
    """Arguments of `accept_by_core` on the same data; places behind the last request are read as well."""
    out, ends, *others = drafts(requests, drafted, seed)
    all_ends = torch.zeros(1 + math.prod(dealt(requests)), dtype=torch.int32)
    all_ends[1 : 1 + requests] = ends
    return [out, all_ends, *others, requests]


def dealt(requests: int) -> tuple[int, int]:
    """Programs, and requests a program, that the second kernel is launched with."""
    return (requests, 1) if requests <= CORES else (CORES, triton.next_power_of_2(triton.cdiv(requests, CORES)))


def _by_request(requests: int, drafted: int, us: float) -> PublishedRow:
    return _row(
        name=f"accept by request MTP={drafted} B={requests}",
        kernel=BY_REQUEST,
        constants=dict(NO_DRAFT_P=False),
        arguments=partial(drafts, requests, drafted),
        grid=(requests,),
        published_us=us,
    )


def _by_core(requests: int, drafted: int, us: float) -> PublishedRow:
    programs, each = dealt(requests)
    return _row(
        name=f"accept by core MTP={drafted} B={requests}",
        kernel=BY_CORE,
        constants=dict(NO_DRAFT_P=False, REQUESTS=each),
        arguments=partial(drafts_by_core, requests, drafted),
        grid=(programs,),
        published_us=us,
    )


def _row(**about) -> PublishedRow:
    """The source names neither chip nor clock; times below 5 us hold no host's work."""
    return PublishedRow(clock=Clock.TASK, clock_stated=False, source=SOURCE, data=DATA, **about)


ROWS = tuple(
    make(requests, drafted, us)
    for make, table in ((_by_request, ONE_PROGRAM_A_REQUEST), (_by_core, ONE_PROGRAM_A_CORE))
    for drafted, times in table.items()
    for requests, us in zip(REQUESTS, times, strict=True)
)
