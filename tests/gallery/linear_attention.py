"""Linear attention in chunks, with a state that decays: in one kernel, and in two as serving engines have it."""

import torch
import triton
import triton.language as tl

from .example import FP16, Example, ExampleLaunch, Maker, U, blank, stored


@triton.jit
def chunks(q_ptr, k_ptr, v_ptr, o_ptr, T, DECAY: tl.constexpr, D: tl.constexpr, CHUNK: tl.constexpr):
    base = tl.program_id(0) * T * D
    o_c, o_d = tl.arange(0, CHUNK), tl.arange(0, D)
    state = tl.zeros((D, D), tl.float32)
    for start in range(0, T, CHUNK):
        rows = start + o_c
        at, inside = rows[:, None] * D + o_d[None, :], (rows < T)[:, None]
        q = tl.load(q_ptr + base + at, mask=inside, other=0.0)
        k = tl.load(k_ptr + base + at, mask=inside, other=0.0)
        v = tl.load(v_ptr + base + at, mask=inside, other=0.0)
        s = tl.dot(q, tl.trans(k))
        s = tl.where(o_c[:, None] >= o_c[None, :], s, 0.0)
        o = tl.dot(s.to(v.dtype), v) + tl.dot(q, state.to(q.dtype))
        state = state * DECAY + tl.dot(tl.trans(k), v)
        tl.store(o_ptr + base + at, o.to(o_ptr.dtype.element_ty), mask=inside)


@triton.jit
def chunk_states(k_ptr, v_ptr, h_ptr, T, DECAY: tl.constexpr, D: tl.constexpr, CHUNK: tl.constexpr):
    head, count = tl.program_id(0), tl.cdiv(T, CHUNK)
    o_c, o_d = tl.arange(0, CHUNK), tl.arange(0, D)
    state = tl.zeros((D, D), tl.float32)
    for chunk in range(0, count):
        rows = chunk * CHUNK + o_c
        at, inside = rows[:, None] * D + o_d[None, :], (rows < T)[:, None]
        h = h_ptr + (head * count + chunk) * D * D + o_d[:, None] * D + o_d[None, :]
        tl.store(h, state.to(h_ptr.dtype.element_ty))
        k = tl.load(k_ptr + head * T * D + at, mask=inside, other=0.0)
        v = tl.load(v_ptr + head * T * D + at, mask=inside, other=0.0)
        state = state * DECAY + tl.dot(tl.trans(k), v)


@triton.jit
def chunk_outputs(q_ptr, k_ptr, v_ptr, h_ptr, o_ptr, T, D: tl.constexpr, CHUNK: tl.constexpr):
    chunk, head = tl.program_id(0), tl.program_id(1)
    o_c, o_d = tl.arange(0, CHUNK), tl.arange(0, D)
    rows = chunk * CHUNK + o_c
    at, inside = head * T * D + rows[:, None] * D + o_d[None, :], (rows < T)[:, None]
    q = tl.load(q_ptr + at, mask=inside, other=0.0)
    k = tl.load(k_ptr + at, mask=inside, other=0.0)
    v = tl.load(v_ptr + at, mask=inside, other=0.0)
    h = tl.load(h_ptr + (head * tl.num_programs(0) + chunk) * D * D + o_d[:, None] * D + o_d[None, :])
    s = tl.dot(q, tl.trans(k))
    s = tl.where(o_c[:, None] >= o_c[None, :], s, 0.0)
    o = tl.dot(s.to(v.dtype), v) + tl.dot(q, h)
    tl.store(o_ptr + at, o.to(o_ptr.dtype.element_ty), mask=inside)


DECAY, CHUNK = 0.9, 64


def example(heads: int, t: int, d: int, dtype: torch.dtype, in_one: bool) -> Example:
    q, k, v = (torch.randn(heads, t, d).to(dtype) for _ in range(3))
    o, count = blank(heads, t, d, dtype=dtype), -(-t // CHUNK)
    h = blank(heads, count, d, d, dtype=dtype)
    state = spread = torch.zeros(heads, d, d, dtype=torch.double)
    states, outputs, bounds = [], [], []
    terms = (2 * d + CHUNK + 4) * U + torch.finfo(dtype).eps  # of a sum of sums, and what is rounded between them
    for part in zip(*(x.double().split(CHUNK, 1) for x in (q, k, v)), strict=True):
        (queries, keys, values), (at_q, at_k, at_v) = part, [x.abs() for x in part]
        states.append((state, count * terms * spread + stored(state, dtype)))
        outputs.append((queries @ keys.transpose(1, 2)).tril() @ values + queries @ state)
        bounds.append(terms * ((at_q @ at_k.transpose(1, 2)).tril() @ at_v + (count + 1) * at_q @ spread))
        state = DECAY * state + keys.transpose(1, 2) @ values
        spread = DECAY * spread + at_k.transpose(1, 2) @ at_v
    reference = torch.cat(outputs, 1)
    expected = [(o, reference, torch.cat(bounds, 1) + stored(reference, dtype))]
    sizes = dict(D=d, CHUNK=CHUNK)
    if in_one:
        return Example([ExampleLaunch(chunks, [q, k, v, o, t], sizes | dict(DECAY=DECAY), (heads,))], expected)
    first = ExampleLaunch(chunk_states, [k, v, h, t], sizes | dict(DECAY=DECAY), (heads,))
    second = ExampleLaunch(chunk_outputs, [q, k, v, h, o, t], sizes, (count, heads))
    bound, far = (torch.stack(one, 1) for one in zip(*states, strict=True))
    return Example([first, second], [*expected, (h, bound, far)])


EXAMPLES: dict[str, Maker] = {
    "linear_attention-fp16-2x150x64": lambda: example(2, 150, 64, FP16, True),
    "linear_attention_two-fp16-2x150x64": lambda: example(2, 150, 64, FP16, False),
}
