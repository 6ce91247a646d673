"""Kernels of `cold_kernels.fidelity.published`, compiled and executed, beside torch."""

import pytest
import torch

from cold_kernels.ascend.installation import toolchain_problem

if problem := toolchain_problem():
    pytest.skip(str(problem), allow_module_level=True)

from cold_kernels.ascend import compile_kernel, simulate
from cold_kernels.fidelity.published import (
    distance,
    drafting,
    gating,
    gemma_norm,
    post_update,
    rejection,
    rms_norm,
    silu,
    slot_mapping,
    swiglu_step,
    weighted_norm,
)


def run(kernel, constants, args, grid):
    return simulate(compile_kernel(kernel.function, kernel.signature, constants), args, grid)


@pytest.mark.parametrize("rows, heads", [(5, 12), (70, 8)])
def test_gates(rows, heads):
    a, b = torch.randn(rows, heads).bfloat16() * 8, torch.randn(rows, heads).bfloat16()
    a_log, bias = torch.randn(heads), torch.randn(heads)
    g, beta = torch.full((rows, heads), torch.nan), torch.full((rows, heads), torch.nan).bfloat16()
    run(gating.GATE, dict(HEADS=8, ROWS=32), [g, beta, a_log, a, b, bias, 1, heads, rows, 1.0, 20.0, 2], (2, 1))
    wanted = -a_log.exp() * torch.nn.functional.softplus(a.float() + bias)
    assert torch.allclose(g, wanted, rtol=1e-4, atol=1e-5)
    assert torch.allclose(beta.float(), b.float().sigmoid(), atol=4e-3)


def accepted(out, ends, draft, draft_p, target_p, bonus, recovered, uniform, greedy, longest, vocabulary):
    """The same choice in Python."""
    start = 0
    for request, end in enumerate(ends.tolist()):
        whole = True
        for i in range(start, end):
            token = int(draft[i])
            if target_p[i, token] / draft_p[i, token] < uniform[i]:
                out[request, i - start] = recovered[i]
                whole = False
                break
            out[request, i - start] = token
        if whole:
            out[request, end - start] = bonus[request, 0]
        start = end
    return out


@pytest.mark.parametrize("drafted", [1, 3])
def test_both_rejection_samplings(drafted):
    args = rejection.drafts(70, drafted, seed=3)
    args[6] = torch.arange(70 * drafted) + 5000
    wanted = accepted(args[0].clone(), *args[1:])
    assert (wanted >= 5000).any() and (wanted[:, -1] >= 0).any()
    run(rejection.BY_REQUEST, dict(NO_DRAFT_P=False), args, (70,))
    assert torch.equal(args[0], wanted)
    programs, each = rejection.dealt(70)
    by_core = rejection.drafts_by_core(70, drafted, seed=3)
    by_core[6] = args[6]
    run(rejection.BY_CORE, dict(NO_DRAFT_P=False, REQUESTS=each), by_core, (programs,))
    assert programs == 48 and each == 2 and torch.equal(by_core[0], wanted)


def written_back(of):
    """The state after a step, in Python."""
    of = {name: tensor.clone() for name, tensor in of.items()}
    for request, slot in enumerate(of["slots"].tolist()):
        number, length = int(of["number"][request]), int(of["length"][slot])
        tokens = of["sampled"][request, :number]
        of["last"][slot] = tokens[-1]
        of["tokens"][slot, length : length + number] = tokens
        of["counts"][slot].index_add_(0, tokens.long(), torch.ones_like(tokens))
        of["length"][slot] += number
        of["computed"][slot] += of["starts"][request + 1] - of["starts"][request] - of["rejected"][request]
    return of


@pytest.mark.parametrize("kernel, programs", [(post_update.BY_REQUEST, 7), (post_update.BY_CORE, 3)])
def test_state_is_written_back(kernel, programs):
    of = post_update.state(7)
    of["slots"] = of["slots"].flip(0).contiguous()
    wanted = written_back(of)
    run(kernel, {}, post_update.arguments(kernel, of), (programs,))
    assert all(torch.equal(of[name], wanted[name]) for name in of)


@pytest.mark.parametrize(
    "kernel, constants, grid",
    [
        (slot_mapping.HYBRID, slot_mapping.WIDE | dict(TILE=64), (4,)),
        (slot_mapping.PLAIN, slot_mapping.ONE_RANK | dict(TILE=64), (4,)),
        (slot_mapping.WINDOWED, dict(PAD=-1, TILE=64, WINDOW=16), (4,)),
        (slot_mapping.BY_BLOCK, dict(MOST=400, BLOCK=128, PAD=-1, TILE=64, WINDOW=4), (4, 7)),
    ],
)
def test_slots(kernel, constants, grid):
    args = slot_mapping.arguments(kernel, 3, 130, 400, 128)
    of = dict(zip(kernel.signature, args, strict=True))
    position, request = of["positions_ptr"], torch.arange(3).repeat_interleave(130)
    run(kernel, constants, args, grid)
    slots = of["table_ptr"][request, position // 128] * 128 + position % 128
    assert torch.equal(of["out_ptr"][:390].long(), slots.long()) and (of["out_ptr"][390:] == -1).all()


def rms(x, epsilon):
    return x.float() * (x.float().square().mean(-1, keepdim=True) + epsilon).rsqrt()


def test_norms_of_short_rows():
    x = torch.randn(11, 128).bfloat16()
    given, fixed = torch.full_like(x, torch.nan), torch.full_like(x, torch.nan)
    run(rms_norm.ROWS_GIVEN, dict(WIDTH=128, TILE=3), [x, 128, given, 1e-6, 11], (3,))
    run(rms_norm.ROWS_FIXED, dict(WIDTH=128, TILE=3, ROWS=11), [x, 128, fixed, 1e-6], (3,))
    assert torch.allclose(given.float(), rms(x, 1e-6), rtol=2e-2) and torch.equal(given, fixed)


@pytest.mark.parametrize("kernel, tile", [(gemma_norm.ROW, 512), (gemma_norm.PARTS, 128)])
def test_norms_of_long_rows(kernel, tile):
    x, w = torch.randn(3, 300).bfloat16(), torch.randn(300).bfloat16()
    y = torch.full_like(x, torch.nan)
    run(kernel, dict(TILE=tile), [x, w, y, 300, 300, 1e-5], (3,))
    assert torch.allclose(y.float(), rms(x, 1e-5) * (1 + w.float()), rtol=1e-2, atol=1e-3)


@pytest.mark.parametrize("kind, p", [("sum", 1), ("root", 2), ("count", 0), ("most", torch.inf), ("least", -torch.inf)])
def test_distances(kind, p):
    x, y, out = torch.randn(12).half(), torch.randn(12).half(), torch.zeros(1).half()
    y[3] = x[3] if kind == "count" else y[3]
    run(distance.DISTANCE, dict(KIND=kind, TILE=16), [x, y, out, 12], (1,))
    assert torch.allclose(out.float(), torch.dist(x.float(), y.float(), p), rtol=2e-3)


def test_clamped_activation():
    x, y = 3 * torch.randn(7, 64).half(), torch.zeros(7, 32).half()
    run(swiglu_step.STEP, dict(WIDE=64, HALF=32, MOST=2.0, CORES=3), [x, y, 7], (3,))
    gate, up = x.float().chunk(2, -1)
    wanted = torch.nn.functional.silu(gate).clamp(max=2) * up.clamp(-2, 2)
    assert torch.allclose(y.float(), wanted, rtol=3e-3, atol=1e-3)


@pytest.mark.parametrize("anchored", [False, True])
def test_drafts_are_extended(anchored):
    of, queries = drafting.inputs(3, 5, anchored), drafting.queries_of(anchored)
    run(
        drafting.EXTEND,
        dict(HAS_REJECTED=anchored, FROM_ANCHOR=anchored),
        drafting.arguments(3, 5, anchored, of),
        (1,),
    )
    assert torch.equal(of["out_positions_ptr"], of["positions_ptr"]) and torch.equal(
        of["out_slots_ptr"], of["slots_ptr"]
    )
    rejected = of["rejected_ptr"] if anchored else torch.zeros(3, dtype=torch.int32)
    last = of["positions_ptr"][of["starts_ptr"][1:].long() - rejected - 1]
    q = torch.arange(queries)
    assert torch.equal(of["out_query_positions_ptr"].view(3, -1), (last[:, None] + 1 + q).int())
    cached = (of["lengths_ptr"] - rejected)[:, None] + q
    slots = of["table_ptr"].gather(1, cached // drafting.BLOCK) * drafting.BLOCK + cached % drafting.BLOCK
    assert torch.equal(of["out_query_slots_ptr"].view(3, -1), slots.int())
    ids = of["out_ids_ptr"].view(3, -1)
    assert torch.equal(ids[:, 0], of["next_ptr"]) and (ids[:, 1:] == drafting.FILL).all()
    places = torch.arange(3)[:, None] * queries + torch.arange(drafting.DRAFTED) + (0 if anchored else 1)
    assert torch.equal(of["out_places_ptr"].view(3, -1), places.int())


def test_silu():
    x, y = torch.randn(32, 64), torch.zeros(32, 64)
    run(silu.SILU, dict(WIDTH=64, TILE=8), [x, y, 64, 32, 64], (3,))
    assert torch.allclose(y, torch.nn.functional.silu(x), rtol=1e-5, atol=1e-6)


def test_norms_with_a_weight():
    x, w, y = torch.randn(11, 100), torch.randn(100), torch.zeros(11, 100)
    run(weighted_norm.WEIGHTED, dict(TILE_M=3, TILE_N=64), [x, y, w, 100, 100, 11, 100, 1e-6], (2,))
    assert torch.allclose(y, rms(x, 1e-6) * w, rtol=1e-4, atol=1e-5)
