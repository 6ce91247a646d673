"""Adapters within one forward pass: which tokens they act on, in every layout that a layer may be given."""

import pytest
import torch

pytest.importorskip("transformers")

from torch import nn

from decoding.adapters.adapter import LoRA
from decoding.layers.injection import Injection

HIDDEN, VOCABULARY = 6, 11


class Toy(nn.Module):
    """Two layers, the second of which may be given its tokens in any way, and a head on the tokens that are kept."""

    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Linear(HIDDEN, HIDDEN), nn.Linear(HIDDEN, HIDDEN)
        self.head = nn.Linear(HIDDEN, VOCABULARY)

    def get_output_embeddings(self):
        return self.head

    def forward(self, x, keep=0, second=None):
        x = self.first(x)
        x = self.second(x) if second is None else second(self.second, x)
        return self.head(x[:, keep if isinstance(keep, torch.Tensor) else slice(-keep, None)])


@pytest.fixture(scope="module")
def toy():
    torch.manual_seed(0)
    return Toy()


@pytest.fixture(scope="module")
def adapters():
    generator = torch.Generator().manual_seed(1)

    def lora(outputs):
        return LoRA(*(torch.randn(*shape, generator=generator) for shape in ((2, HIDDEN), (outputs, 2))))

    return [dict(first=lora(HIDDEN), second=lora(HIDDEN), head=lora(VOCABULARY)) for _ in range(2)]


@pytest.fixture
def injected(toy, adapters, request):
    injection = Injection(toy, adapters, getattr(request, "param", None))
    yield injection
    injection.remove()


def linear(module, x, slots, loras):
    """By the definition, a token at a time."""
    y = nn.functional.linear(x, module.weight, module.bias)
    flat_x, flat_y = x.reshape(-1, x.shape[-1]), y.reshape(-1, y.shape[-1])
    for t, slot in enumerate(slots.tolist()):
        if slot >= 0:
            flat_y[t] += loras[slot].b @ (loras[slot].a @ flat_x[t])
    return flat_y.view(y.shape)


def expected(toy, adapters, x, slots, twice=False):
    for name in ("first", *["second"] * (1 + twice), "head"):
        x = linear(toy.get_submodule(name), x, slots, [adapter[name] for adapter in adapters])
    return x


@pytest.fixture
def batch():
    x = torch.randn(3, 4, HIDDEN, generator=torch.Generator().manual_seed(2))
    return x, torch.tensor([0, -1, 1]).repeat_interleave(4)


@torch.no_grad()
def run(toy, injection, x, slots, keep=0, **options):
    with injection.acting(slots, tuple(x.shape[:2]), keep):
        return toy(x, keep, **options)


@pytest.mark.parametrize("keep", [0, 1, 2, 4, 9])
@torch.no_grad()
def test_kept_tokens_are_the_last_ones_of_each_row(toy, adapters, injected, batch, keep):
    wanted = expected(toy, adapters, *batch)[:, -keep:]
    assert torch.allclose(run(toy, injected, *batch, keep), wanted, atol=1e-5)


@pytest.mark.parametrize("keep", [[3], [0, 2], [2, 0, 1], [0, 1, 2, 3], [1, 1]])
@torch.no_grad()
def test_kept_tokens_are_at_places(toy, adapters, injected, batch, keep):
    wanted = expected(toy, adapters, *batch)[:, keep]
    assert torch.allclose(run(toy, injected, *batch, torch.tensor(keep)), wanted, atol=1e-5)


def test_all_kept_tokens_in_another_order(toy, injected, batch):
    with pytest.raises(ValueError, match="logits_to_keep has the 4 tokens of a row in another order, or some twice"):
        run(toy, injected, *batch, torch.tensor([0, 2, 1, 3]))


@pytest.mark.parametrize("keep", [0, torch.tensor([1, 4, 6])])
@torch.no_grad()
def test_tokens_of_one_packed_row_with_slots_of_their_own(toy, adapters, injected, keep):
    x, slots = torch.randn(1, 7, HIDDEN), torch.tensor([1, 1, -1, -1, 0, 0, 1])
    wanted = expected(toy, adapters, x, slots)
    wanted = wanted if isinstance(keep, int) else wanted[:, keep]
    assert torch.allclose(run(toy, injected, x, slots, keep), wanted, atol=1e-5)


@torch.no_grad()
def test_a_flattened_batch(toy, adapters, injected, batch):
    flattened = run(toy, injected, *batch, second=lambda layer, x: layer(x.view(-1, HIDDEN)).view(x.shape))
    assert torch.allclose(flattened, expected(toy, adapters, *batch), atol=1e-5)


@torch.no_grad()
def test_an_input_by_name_and_one_that_is_not_contiguous(toy, adapters, injected, batch):
    def strided(layer, x):
        return layer(input=x.transpose(0, 1).contiguous().transpose(0, 1))

    assert torch.allclose(run(toy, injected, *batch, second=strided), expected(toy, adapters, *batch), atol=1e-5)


@pytest.mark.parametrize("injected", [dict(second=("rows", "tokens"))], indirect=True)
@torch.no_grad()
def test_calls_as_proven(toy, adapters, injected, batch):
    twice = run(toy, injected, *batch, second=lambda layer, x: layer(layer(x).view(-1, HIDDEN)).view(x.shape))
    assert torch.allclose(twice, expected(toy, adapters, *batch, twice=True), atol=1e-5)
    with pytest.raises(RuntimeError, match="second is given its tokens as tokens, and was given them as rows when"):
        run(toy, injected, *batch, second=lambda layer, x: layer(layer(x.view(-1, HIDDEN)).view(x.shape)))
    with pytest.raises(RuntimeError, match="second was called 1 times in a forward pass, not 2"):
        run(toy, injected, *batch)


@pytest.mark.parametrize("injected", [dict(second=("kept",))], indirect=True)
def test_a_layer_of_kept_tokens_as_proven(toy, injected, batch):
    def last(layer, x):
        return layer(x[:, -1:])

    assert run(toy, injected, *batch, 1, second=last).shape == (3, 1, VOCABULARY)


@pytest.mark.parametrize(
    "second",
    [
        lambda layer, x: layer(x.transpose(0, 1)).transpose(0, 1),
        lambda layer, x: layer(x[:, -1:]).expand_as(x),
        lambda layer, x: layer(x[:2]).repeat(2, 1, 1)[:3],
        lambda layer, x: layer(x.view(1, -1, HIDDEN)).view(x.shape),
        lambda layer, x: layer(x.view(-1, HIDDEN)[:5])[:1].expand_as(x),
        lambda layer, x: layer(x[0, 0]).expand_as(x),
    ],
)
def test_other_layouts(toy, injected, batch, second):
    with pytest.raises(RuntimeError, match=r"second is given tokens of shape \[.*\] in a pass of 3 rows of 4 tokens"):
        run(toy, injected, *batch, 1, second=second)


@torch.no_grad()
def test_a_tensor_that_is_written_between_layers_that_are_given_it(adapters):
    class Siblings(nn.Module):
        def __init__(self):
            super().__init__()
            self.q_proj, self.k_proj = nn.Linear(HIDDEN, HIDDEN), nn.Linear(HIDDEN, HIDDEN)

        def forward(self, x):
            return self.q_proj(x), self.k_proj(x.mul_(2))

    model, lora = Siblings(), adapters[0]["first"]
    injection = Injection(model, [dict(q_proj=lora, k_proj=lora)])
    x, slots = torch.randn(2, 3, HIDDEN), torch.zeros(6, dtype=torch.int64)
    wanted = linear(model.q_proj, x, slots, [lora]), linear(model.k_proj, 2 * x, slots, [lora])
    with injection.acting(slots, (2, 3)):
        found = model(x)
    assert all(map(torch.allclose, found, wanted))


def test_slots_that_are_not_one_a_token(toy, injected):
    with pytest.raises(ValueError, match=r"slots has shape \[3\]; 3 rows of 4 tokens have one a token"):
        run(toy, injected, torch.zeros(3, 4, HIDDEN), torch.tensor([0, 0, 0]))


def test_nothing_acts_without_slots(toy, injected, batch):
    with torch.no_grad():
        assert torch.equal(run(toy, injected, batch[0], None), toy(batch[0]))
