"""Products of layers that share an input, against the definition, for products on the CPU and for kernels' stacks."""

import pytest
import torch

from cold_kernels.layers import group as group_module
from cold_kernels.layers.group import Group, Matrices
from cold_kernels.layers.siblings import siblings
from cold_kernels.layers.tokens import Tokens

HIDDEN, OUTPUTS = 20, (24, 13)
RANKS = {0: 4, 1: 1, 3: 7}
"""Of each slot that is held; a token at slot 2 is as one at -1."""


@pytest.fixture(params=["products on the CPU", "stacks"])
def kind(request, monkeypatch):
    """Stacks go to the operators, which do their work in torch all the same."""
    monkeypatch.setattr(group_module, "in_torch_on_cpu", lambda: request.param != "stacks")
    return request.param


def layers(scales, dtype=torch.float32):
    generator = torch.Generator().manual_seed(0)

    def matrices(rank, outputs, scale):
        return Matrices(
            torch.randn(rank, HIDDEN, generator=generator).to(dtype),
            torch.randn(outputs, rank, generator=generator).to(dtype),
            scale,
        )

    return [{slot: matrices(rank, outputs, scales[slot]) for slot, rank in RANKS.items()} for outputs in OUTPUTS]


def added(y, x, slots, matrices):
    y = y.double()
    for token, slot in enumerate(slots):
        if slot in matrices:
            a, b, scale = matrices[slot]
            y[token] += scale * (b.double() @ (a.double() @ x[token].double()))
    return y


SLOTS = {
    "interleaved": [0, 1, -1, 3, 0, 1, 2, 3, 0, -1, 1],
    "in order": [0, 0, 1, 3, 3, -1, -1],
    "one adapter": [1] * 5,
    "base": [-1, -1, 2],
    "long runs": [3] * 40 + [-1] * 30 + [0] * 20 + [3] * 10,
}


@pytest.mark.parametrize("slots", SLOTS.values(), ids=SLOTS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
@pytest.mark.parametrize("scales", [{0: 1.0, 1: 1.0, 3: 1.0}, {0: 2.0, 1: 0.3, 3: -1.0}], ids=["1", "own"])
def test_the_products(kind, slots, dtype, scales):
    weights, x = layers(scales, dtype), torch.randn(len(slots), 1, HIDDEN, generator=torch.Generator().manual_seed(1))
    group, x, tokens = Group(weights, 4), x.to(dtype), Tokens(torch.tensor(slots))
    for place, outputs in enumerate(OUTPUTS):
        y = torch.ones(len(slots), 1, outputs, dtype=dtype)
        wanted = added(y[:, 0], x[:, 0], slots, weights[place])
        found = group.add(place, x, y, tokens)
        assert found.shape == (len(slots), 1, outputs) and found.dtype == dtype and found.is_contiguous()
        bound = 1e-5 if dtype == torch.float32 else 0.05
        assert torch.allclose(found[:, 0].double(), wanted, rtol=bound, atol=bound * 10)
        untouched = torch.tensor([slot not in RANKS for slot in slots])
        assert (found[untouched] == 1).all()


def test_an_input_is_shrunk_once_for_all_layers(kind, monkeypatch):
    group, tokens = Group(layers(dict.fromkeys(RANKS, 1.0)), 4), Tokens(torch.tensor([0, 1, 0, 1]))
    shrunk, shrink = [], group._weights.shrink
    monkeypatch.setattr(group._weights, "shrink", lambda *args: shrunk.append(args) or shrink(*args))
    x = torch.randn(4, HIDDEN)

    def add(place, x=x, tokens=tokens):
        return group.add(place, x, torch.zeros(4, OUTPUTS[place]), tokens)

    first = add(0)
    add(1)
    assert len(shrunk) == 1 and group._shrunk is None
    add(0)
    assert torch.equal(add(0), first) and len(shrunk) == 3  # a layer that is called again
    x.mul_(2)
    assert torch.equal(add(1), add(1, x.clone())) and len(shrunk) == 5
    others = Tokens(torch.tensor([1, 0, 1, 0]))
    group.forget()
    add(0)
    assert torch.equal(add(1, tokens=others), add(1, x.clone(), others)) and len(shrunk) == 8


def test_b_stays_where_it_is():
    weights = layers(dict.fromkeys(RANKS, 1.0))
    held = {tensor.data_ptr() for tensor in Group(weights, 4).tensors}
    assert all(matrices.b.data_ptr() in held for layer in weights for matrices in layer.values())


def test_siblings():
    names = ["a.q_proj", "a.k_proj", "a.other", "b.q_proj", "a.v_proj", "up_proj", "gate_proj"]
    assert siblings(names) == [
        ["a.q_proj", "a.k_proj", "a.v_proj"],
        ["a.other"],
        ["b.q_proj"],
        ["up_proj", "gate_proj"],
    ]
    assert siblings(names[:2], rank=lambda name: 129) == [["a.q_proj"], ["a.k_proj"]]
    assert siblings(names[:2], kind=lambda name: name) == [["a.q_proj"], ["a.k_proj"]]
