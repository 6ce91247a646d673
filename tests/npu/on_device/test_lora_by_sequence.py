"""The prefill operators on the cube cores of the simulated device, where rows of a sequence are multiplied together."""

import pytest
import torch

import cold_kernels as ck
from cold_kernels.npu import session
from cold_kernels.ops import lora_on_cube_from

LENGTHS = [1, 37, 0, 5, 2, 20]
SLOTS = [2, 0, 1, -1, 1, 0]


@pytest.fixture(autouse=True)
def on_cube():
    lora_on_cube_from(1)
    yield
    lora_on_cube_from(None)


def launched(kernel):
    return sum(each.launches for (name, _), each in session.current().kernels.items() if name == kernel)


def sequences(device):
    lengths, slots = torch.tensor(LENGTHS, device=device), torch.tensor(SLOTS, device=device)
    return (lengths.cumsum(0) - lengths, lengths, slots, len(LENGTHS), max(LENGTHS), sum(LENGTHS)), slots


def operands(rank, dtype=torch.float16):
    torch.manual_seed(rank)
    rows = sum(LENGTHS)
    x, a, b = torch.randn(rows, 200), torch.randn(3, rank, 200) / 8, torch.randn(3, 150, rank) / 8
    return x.to(dtype), a.to(dtype), b.to(dtype)


def prefill(x, a, b, scaling=1.0, low=None):
    metadata, _ = sequences(x.device)
    low = torch.full((len(x), a.shape[1]), float("nan"), device=x.device) if low is None else low
    out = torch.ones(len(x), b.shape[1], dtype=x.dtype, device=x.device)
    ck.sgmv_shrink(x, a, low, *metadata, scaling)
    ck.sgmv_expand(low, b, out, *metadata, add_inputs=True)
    return low, out


@pytest.mark.parametrize("rank, dtype", [(5, torch.float16), (64, torch.bfloat16), (200, torch.float16)])
@pytest.mark.parametrize("scaling", [1.0, 0.5])
def test_shrink_and_expand(rank, dtype, scaling):
    given = operands(rank, dtype)
    before = launched("_shrink_tiles"), launched("_expand_tiles")
    found = prefill(*(tensor.npu() for tensor in given), scaling)
    assert (launched("_shrink_tiles"), launched("_expand_tiles")) == (before[0] + 1, before[1] + 1)
    close = 4 * torch.finfo(dtype).eps
    for mine, theirs in zip(found, prefill(*given, scaling), strict=True):
        torch.testing.assert_close(mine.cpu(), theirs, rtol=close, atol=close)


def test_a_row_has_the_bits_that_it_has_alone():
    x, a, b = (tensor.npu() for tensor in operands(64))
    low, out = prefill(x, a, b)
    indices = torch.repeat_interleave(torch.tensor(SLOTS), torch.tensor(LENGTHS)).npu()
    one = torch.tensor([1]).npu()
    zero = torch.tensor([0]).npu()
    for row in (0, 1, 16, 37, 44, 64):
        mine = x[row : row + 1], indices[row : row + 1]
        metadata = zero, one, mine[1], 1, 1, 1
        alone = torch.empty(1, 64, device=x.device), torch.ones(1, 150, dtype=x.dtype, device=x.device)
        ck.sgmv_shrink(mine[0], a, alone[0], *metadata, 1.0)
        ck.sgmv_expand(alone[0], b, alone[1], *metadata, add_inputs=True)
        assert torch.equal(alone[0], low[row : row + 1])
        assert torch.equal(alone[1], out[row : row + 1])


def test_outputs_whose_columns_do_not_follow_one_another():
    x, a, b = (tensor.npu() for tensor in operands(16))
    wide = torch.full((len(x), 32), 7.0, device=x.device)
    low, _ = prefill(x, a, b, low=wide[:, ::2])
    assert torch.equal(low, prefill(x, a, b)[0])
    assert (wide[:, 1::2] == 7.0).all()


def test_a_slice_of_the_output():
    given = operands(32)
    outs = []
    for x, _, b in (given, [tensor.npu() for tensor in given]):
        metadata, _ = sequences(x.device)
        low = torch.linspace(-1, 1, len(x) * 32, device=x.device).view(len(x), 32).to(x.dtype)
        out = torch.zeros(len(x), 400, dtype=x.dtype, device=x.device)
        ck.sgmv_expand_slice(low, b, out, *metadata, 100, 150, False)
        outs.append(out.cpu())
    torch.testing.assert_close(*outs, rtol=4e-3, atol=4e-3)
    assert not outs[1][:, :100].any() and not outs[1][:, 250:].any()


def test_more_rows_than_the_lengths_say_are_not_written():
    x, a, _ = (tensor.npu() for tensor in operands(16))
    low = torch.full((len(x), 16), 7.0, device=x.device)
    lengths = torch.tensor([40, 60]).npu()  # in all 100, of 50 rows
    starts, slots = torch.tensor([0, 40]).npu(), torch.tensor([0, 1]).npu()
    ck.sgmv_shrink(x[:50], a, low[:50], starts, lengths, slots, 2, 60, 50, 1.0)
    assert (low[50:] == 7.0).all() and not (low[:50] == 7.0).any()
