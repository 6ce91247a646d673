"""torch on the simulated device: tensors, views, copies, autograd, modules, random numbers, files."""

import copy
import io

import pytest
import torch

DEVICE = "npu"


def matrix(*shape):
    return torch.randn(*shape, device=DEVICE)


def same(found, wanted, **tolerance):
    torch.testing.assert_close(found.cpu(), wanted, **tolerance or {"rtol": 0, "atol": 0})


def test_where_tensors_are():
    x = matrix(3, 4)
    assert x.device == torch.device("npu", 0) and x.is_npu and x.device.type == "npu"
    assert torch.zeros(2).npu().is_npu and torch.zeros(2).to("npu:0").is_npu
    assert not x.cpu().is_npu and not x.to("cpu").is_npu
    assert torch.empty_like(x, dtype=torch.float16).is_npu and x.new_zeros(2).is_npu
    torch.set_default_device(DEVICE)
    try:
        assert torch.randn(2).is_npu and torch.tensor(3.0).is_npu
    finally:
        torch.set_default_device(None)


def test_copies_copy():
    x = torch.ones(3)
    there = x.npu()
    back = there.cpu()
    there.add_(1)
    assert x.tolist() == [1, 1, 1] == back.tolist() and there.tolist() == [2, 2, 2]


def test_views_share():
    x = torch.zeros(4, 6, device=DEVICE)
    for view in (x[1], x.t()[2], x.view(-1)[3:], x.unfold(1, 2, 2)[0, 1], x.detach(), x.unsqueeze(0).squeeze(0)):
        assert view.untyped_storage().data_ptr() == x.untyped_storage().data_ptr()
        view.add_(1)
    wanted = torch.zeros(4, 6)
    wanted[1] += 1
    wanted.t()[2] += 1
    wanted.view(-1)[3:] += 1
    wanted.unfold(1, 2, 2)[0, 1] += 1
    same(x, wanted + 2)
    assert x.as_strided((2, 2), (6, 1), 7).storage_offset() == 7
    assert x.view(torch.int32).data_ptr() == x.data_ptr()


@pytest.mark.parametrize("shape, stride", [((1, 7), (7, 1)), ((3, 1), (1, 1)), ((2, 1, 5), (5, 5, 1))])
def test_strides_of_dimensions_of_one(shape, stride):
    assert torch.empty(shape, device=DEVICE).stride() == stride
    assert torch.zeros(shape).npu().stride() == stride


def test_indexing_and_reductions():
    host = torch.randn(5, 7)
    x = host.npu()
    same(x[x > 0], host[host > 0])
    same(x[[0, 2]], host[[0, 2]])
    same(x[torch.tensor([1, 3])], host[[1, 3]])  # as on any device, an index may lie on the host
    same(x.sort(dim=1).indices, host.sort(dim=1).indices)
    same(torch.where(x > 0, x, 0), torch.where(host > 0, host, 0))
    same(x % 2, host % 2)
    x[1:3, ::2] = 4
    host[1:3, ::2] = 4
    same(x, host)


def test_devices_do_not_mix():
    with pytest.raises(RuntimeError, match="same device"):
        matrix(3) + torch.ones(3)
    with pytest.raises(RuntimeError, match="same device"):
        torch.cat([matrix(3), torch.ones(3)])
    assert (matrix(3) + torch.tensor(2.0)).is_npu


def test_outputs_that_grow():
    x = matrix(3, 4)
    out = torch.empty(0, device=DEVICE)
    torch.mul(x, 2, out=out)
    same(out, 2 * x.cpu())
    same(out.resize_(2, 3), 2 * x.cpu().flatten()[:6].view(2, 3))
    assert out.set_(x).data_ptr() == x.data_ptr()
    whole = torch.empty(0, device=DEVICE).set_(x.untyped_storage(), 2, (2, 2), (4, 1))
    same(whole, x.cpu().as_strided((2, 2), (4, 1), 2))


def test_lazy_bits_of_complex_numbers():
    host = torch.randn(3, dtype=torch.complex64)
    x = host.npu()
    same(x.conj(), host.conj().resolve_conj())
    same(host.conj().npu(), host.conj().resolve_conj())
    same(torch.view_as_real(x), torch.view_as_real(host))
    same(x.conj().imag + 0, -host.imag)


def test_autograd_and_modules():
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.LayerNorm(8), torch.nn.GELU(), torch.nn.Linear(8, 2))
    there = copy.deepcopy(model).npu()
    assert all(parameter.is_npu for parameter in copy.deepcopy(there).parameters())
    x = torch.randn(5, 4)
    model(x).square().sum().backward()
    there(x.npu()).square().sum().backward()
    for mine, wanted in zip(there.parameters(), model.parameters(), strict=True):
        assert mine.grad.is_npu
        same(mine.grad, wanted.grad, rtol=1e-5, atol=1e-5)

    class Double(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x * 2

        @staticmethod
        def backward(ctx, grad):
            return grad * 2

    leaf = matrix(3).requires_grad_()
    Double.apply(leaf).sum().backward()
    assert leaf.grad.tolist() == [2, 2, 2]


def test_autocast():
    layer = torch.nn.Linear(4, 4).npu()
    with torch.autocast("npu", dtype=torch.bfloat16):
        found = layer(matrix(2, 4))
        assert found.dtype == torch.bfloat16 and found.exp().dtype == torch.float32
    assert layer(matrix(2, 4)).dtype == torch.float32


def test_random_numbers_are_the_devices_own():
    torch.manual_seed(3)
    first, host = torch.rand(4, device=DEVICE), torch.rand(4)
    torch.manual_seed(3)
    assert torch.equal(torch.rand(4), host), "drawing on the device leaves the host's numbers alone"
    assert torch.equal(torch.rand(4, device=DEVICE), first)
    torch.npu.manual_seed(3)
    assert torch.equal(torch.rand(4, device=DEVICE), first)
    given = torch.Generator(DEVICE).manual_seed(5)
    assert torch.equal(
        torch.randn(4, device=DEVICE, generator=given), torch.randn(4, generator=torch.Generator().manual_seed(5)).npu()
    )
    assert sorted(torch.randperm(5, device=DEVICE).tolist()) == [0, 1, 2, 3, 4]


def test_files():
    x = matrix(3, 4)
    file = io.BytesIO()
    torch.save({"x": x, "part": x[1]}, file)
    file.seek(0)
    loaded = torch.load(file)
    same(loaded["x"], x.cpu())
    assert loaded["part"].is_npu
    file.seek(0)
    assert not torch.load(file, map_location="cpu")["x"].is_npu


def test_attention_and_maps():
    host = [torch.randn(1, 2, 8, 4) for _ in range(3)]
    found = torch.nn.functional.scaled_dot_product_attention(*(x.npu() for x in host))
    torch.testing.assert_close(found.cpu(), torch.nn.functional.scaled_dot_product_attention(*host))
    x = matrix(3, 4)
    same(torch.func.vmap(lambda row: row * 2)(x), 2 * x.cpu())
    same(torch.autograd.functional.jacobian(lambda v: v * 2, x[0]), 2 * torch.eye(4))


def test_torch_compile_runs_what_it_has_traced():
    layer = torch.nn.Linear(4, 3).npu()
    x = matrix(2, 4).requires_grad_()
    found = torch.compile(lambda value: torch.nn.functional.gelu(layer(value)))(x)
    same(found.detach(), torch.nn.functional.gelu(layer(x)).detach().cpu())
    found.sum().backward()
    assert x.grad.is_npu


def test_pinned_memory_is_any_memory():
    x = torch.ones(3, pin_memory=True).pin_memory()
    same(torch.empty_like(x, device=DEVICE, pin_memory=True).copy_(x, non_blocking=True), torch.ones(3))
    assert torch.full((2,), 3, pin_memory=True, dtype=torch.int8).tolist() == [3, 3]
    torch.accelerator.synchronize()


def test_products_of_lazily_conjugated_and_negated_tensors():
    host, other = (torch.randn(4, 4, dtype=torch.complex64) for _ in range(2))
    x, y = host.npu(), other.npu()
    same(x.conj() @ y, host.conj() @ other)
    same(x @ y.mH, host @ other.mH)
    same(torch.einsum("ij,jk->ik", x.conj(), y), torch.einsum("ij,jk->ik", host.conj(), other))
    same(x.conj().imag @ y.real, host.conj().imag @ other.real)
    out = torch.empty_like(x)
    torch.add(x, y, out=out.conj())
    same(out, (host + other).conj().resolve_conj())


def test_buffers_and_storages_are_copied():
    norm = torch.nn.BatchNorm1d(3).npu()
    norm(matrix(4, 3))
    twin = copy.deepcopy(norm)
    same(twin.running_mean, norm.running_mean.cpu())
    x = matrix(6)
    both = copy.deepcopy({"all": x, "part": x[2:4]})
    both["part"].fill_(7)
    assert both["all"][2:4].tolist() == [7, 7] and x[2] != 7
    assert x.untyped_storage().clone().nbytes() == 24


def test_sizes_change_within_a_storage():
    for device in ("cpu", DEVICE):
        base = torch.zeros(6, device=device)
        torch.add(torch.ones(3, device=device), 1, out=base[:0])
        assert base.tolist() == [2, 2, 2, 0, 0, 0]
        x = torch.arange(6.0, device=device)
        view = x[:]
        x.resize_(2).fill_(9)
        assert view.tolist() == [9, 9, 2, 3, 4, 5]
        assert torch.arange(6.0, device=device).view(2, 3).t().resize_(6).tolist() == [0, 1, 2, 3, 4, 5]
    shared = matrix(3)
    part = shared[1:]
    with pytest.raises(NotImplementedError, match="does not grow"):
        shared.resize_(100)
    assert len(part) == 2


def test_dropout_draws_from_the_device():
    x = torch.ones(100, device=DEVICE)
    torch.npu.manual_seed(1)
    host, first = torch.get_rng_state(), torch.nn.functional.dropout(x)
    torch.npu.manual_seed(1)
    assert torch.equal(torch.nn.functional.dropout(x), first)
    assert torch.equal(torch.get_rng_state(), host)


def test_what_a_device_refuses():
    x = matrix(3)
    with pytest.raises(RuntimeError, match="same device"):
        x[torch.tensor([0, 1])] = torch.ones(2)
    with pytest.raises(RuntimeError, match="same device"):
        torch.ones(3)[torch.tensor([0, 1], device=DEVICE)]
    for device in ("npu:3", torch.device("npu", 7)):
        with pytest.raises(RuntimeError, match="invalid device ordinal"):
            torch.empty(2, device=device)
    with pytest.raises(NotImplementedError, match="_thnn_fused_lstm_cell.default is not simulated"):
        torch.nn.LSTM(3, 3).npu()(matrix(2, 1, 3))


def test_operators_of_others_need_a_kernel_for_the_device():
    @torch.library.custom_op("simulated_npu_tests::twice", mutates_args=(), device_types="cpu")
    def twice(x: torch.Tensor) -> torch.Tensor:
        return x * 2

    with pytest.raises(NotImplementedError, match="no kernel is registered for PrivateUse1"):
        twice(matrix(3))
    twice.register_kernel("npu")(lambda x: x * 2)
    x = matrix(3)
    same(twice(x), 2 * x.cpu())


def test_torchscript_and_forward_mode_know_the_factories():
    @torch.jit.script
    def ones(x: torch.Tensor):
        return x + torch.ones([2])

    assert ones(torch.zeros(2)).tolist() == [1, 1]
    value, tangent = torch.func.jvp(torch.sin, (torch.zeros(2),), (torch.ones(2),))
    assert tangent.tolist() == [1, 1] and value.tolist() == [0, 0]
    assert isinstance(torch.default_generator, torch.Generator)
    assert torch.ones(2).pin_memory().is_pinned() and not torch.ones(2).is_pinned()


def test_numbers_that_do_not_fit_are_converted():
    small = torch.ones(4, dtype=torch.int8, device="npu")
    small[0], small[1], small[2] = 300, -129, float("nan")
    assert small.tolist() == [44, 127, 0, 1]
    assert torch.zeros(2, dtype=torch.uint8, device="npu").fill_(-1).tolist() == [255, 255]
    assert torch.zeros(1, dtype=torch.int32, device="npu").fill_(1e20).tolist() == [2**31 - 1]
    assert torch.zeros(1, device="npu").fill_(1e20).item() == torch.tensor(1e20).item()


def test_integers_are_drawn_between_bounds():
    drawn = torch.empty(500, dtype=torch.int64, device="npu").uniform_(2, 5)
    assert drawn.unique().tolist() == [2, 3, 4]
    assert torch.rand(9, dtype=torch.int32, device="npu").tolist() == [0] * 9
    with pytest.raises(NotImplementedError, match="uniform_ of torch.bool"):
        torch.empty(2, dtype=torch.bool, device="npu").uniform_()


@pytest.mark.parametrize("weights", [None, torch.bfloat16, torch.float32])
def test_layer_norm_rounds_once(weights):
    torch.manual_seed(0)
    x = -2.3 + 0.5 * torch.randn(64, 128).bfloat16()
    scale = [] if weights is None else [torch.rand(128).to(weights), torch.rand(128).to(weights)]
    exact = torch.nn.functional.layer_norm(x.double(), (128,), *(one.double() for one in scale))
    on_device = x.npu().requires_grad_()
    y = torch.nn.functional.layer_norm(on_device, (128,), *(one.npu() for one in scale))
    assert y.dtype == torch.bfloat16 and ((y.cpu() - exact).abs() <= exact.abs() * 2**-8 + 1e-5).all()
    y.sum().backward()
    assert on_device.grad.dtype == torch.bfloat16
