"""Kernels of `cold_kernels.fidelity.published`, compiled and executed, beside torch."""

import pytest
import torch

from cold_kernels.ascend.installation import toolchain_problem

if problem := toolchain_problem():
    pytest.skip(str(problem), allow_module_level=True)

from cold_kernels.ascend import compile_kernel, simulate
from cold_kernels.fidelity.published import gating, post_update, rejection, slot_mapping


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
        (slot_mapping.BY_BLOCK, dict(MOST=400, BLOCK=128, PAD=-1, TILE=64), (4, 7)),
    ],
)
def test_slots(kernel, constants, grid):
    args = slot_mapping.arguments(kernel, 3, 130, 400, 128)
    of = dict(zip(kernel.signature, args, strict=True))
    position, request = of["positions_ptr"], torch.arange(3).repeat_interleave(130)
    run(kernel, constants, args, grid)
    slots = of["table_ptr"][request, position // 128] * 128 + position % 128
    assert torch.equal(of["out_ptr"][:390].long(), slots.long()) and (of["out_ptr"][390:] == -1).all()
