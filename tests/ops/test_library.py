"""The operators as PyTorch's own: schemas, fakes, what compiles and exports."""

import subprocess
import sys
import warnings

import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode

import cold_kernels

ROWS, SLOTS, HIDDEN, RANK = 5, 3, 48, 6
NAMES = sorted({*cold_kernels.__all__} - {"tuned"})
FUSED = 9
"""Arguments of bgmv_shrink_expand, whose output is the fourth one."""


def arguments(name, dtype=torch.float32, rows=ROWS):
    """Of the operator, by position."""
    generator = torch.Generator().manual_seed(0)

    def random(*shape):
        return torch.randn(*shape, generator=generator).to(dtype)

    if name.startswith("contrastive"):
        draw = (0.7, 5, 0.9, torch.rand(rows, generator=generator)) if name.endswith("sample") else ()
        return random(rows, HIDDEN), random(rows, HIDDEN), 0.1, 0.5, *draw
    if name == "lora_row_order":
        return (torch.arange(rows) % (SLOTS + 1) - 1,)
    if name == "bgmv_shrink_expand":
        a, b = random(SLOTS, 2, RANK, HIDDEN), random(SLOTS, HIDDEN + 2, RANK)
        indices, starts = torch.arange(rows) % (SLOTS + 1) - 1, torch.tensor([0, 20])
        order = cold_kernels.lora_row_order(indices)
        return random(rows, HIDDEN), a, b, torch.ones(rows, HIDDEN + 2), indices, starts, 0.5, True, order
    shrinks = name.endswith("shrink")
    inner, outer = (HIDDEN, RANK) if shrinks else (RANK, HIDDEN)
    tensors = random(rows, inner), random(SLOTS, outer, inner), torch.ones(rows, outer + 4 * name.endswith("slice"))
    indices = torch.arange(rows) % (SLOTS + 1) - 1
    prefill = (indices, torch.ones(rows, dtype=torch.int64), indices, rows, 1, rows)
    numbers = (0.5,) if shrinks else ((2, HIDDEN, True) if name.endswith("slice") else (True,))
    return (*tensors, *(prefill if name.startswith("sgmv") else (indices,)), *numbers)


def packet(name):
    return getattr(torch.ops.cold_kernels, name)


def copied(args):
    return [arg.clone() if isinstance(arg, torch.Tensor) else arg for arg in args]


def outcome(result, args):
    """What an operator returned, or the tensor that it has written."""
    return result if result is not None else args[3 if len(args) == FUSED else 2]


def run(function, args):
    """What the function returns or writes."""
    args = copied(args)
    return outcome(function(*args), args)


def assert_same(function, name, args):
    assert torch.equal(run(function, args), run(getattr(cold_kernels, name), args))


@pytest.mark.parametrize("rows", [ROWS, 0])
@pytest.mark.parametrize("name", NAMES)
def test_opcheck(name, rows):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        torch.library.opcheck(packet(name).default, arguments(name, rows=rows))


@pytest.mark.parametrize("kinds", ["Scalar_Tensor", "Tensor_Scalar", "Tensor"])
@pytest.mark.parametrize("name", ["contrastive_score", "contrastive_argmax"])
def test_opcheck_of_numbers_by_row(name, kinds):
    expert, amateur, alpha, beta = arguments(name)
    alpha = torch.full([ROWS], alpha) if kinds.startswith("Tensor") else alpha
    beta = torch.full([ROWS], beta) if kinds.endswith("Tensor") else beta
    args = expert, amateur, alpha, beta
    torch.library.opcheck(getattr(packet(name), kinds), args)
    assert_same(packet(name), name, args)


@pytest.mark.parametrize("name", NAMES)
def test_schema_says_what_is_written(name):
    schema = packet(name).default._schema
    written = [arg.name for arg in schema.arguments if arg.alias_info and arg.alias_info.is_write]
    assert written == ([] if name.startswith(("contrastive", "lora_row_order")) else ["output_tensor"])
    for kernel in ("CPU", "CUDA", "PrivateUse1"):
        assert torch._C._dispatch_has_kernel_for_dispatch_key(f"cold_kernels::{name}", kernel)


@pytest.mark.parametrize("dynamic", [False, True])
@pytest.mark.parametrize("name", NAMES)
def test_compiles_whole(name, dynamic):
    torch._dynamo.reset()
    operator = getattr(cold_kernels, name)

    def double(*args):
        return outcome(operator(*args), args) * 2

    compiled = torch.compile(double, fullgraph=True, dynamic=dynamic, backend="aot_eager")
    for rows in (ROWS, 7):
        args = arguments(name, rows=rows)
        assert torch.equal(compiled(*copied(args)), run(operator, args) * 2)


@pytest.mark.parametrize("strict", [False, True])
@pytest.mark.parametrize("name", NAMES)
def test_exports_with_any_number_of_rows(name, strict):
    class Module(torch.nn.Module):
        def forward(self, *args):
            return outcome(getattr(cold_kernels, name)(*args), args).clone()

    args = arguments(name)
    if name.startswith("sgmv"):
        exported = torch.export.export(Module(), copied_tuple(args), strict=strict)
    else:
        row = torch.export.Dim("rows", min=2, max=64)
        by_rows = {ROWS: {0: row}, 4: {1: row + 1}}  # of a row order there is one more, along its columns
        shapes = tuple(by_rows.get(arg.shape[0]) if isinstance(arg, torch.Tensor) else None for arg in args)
        exported = torch.export.export(Module(), copied_tuple(args), dynamic_shapes=(shapes,), strict=strict)
        assert_same(exported.module(), name, arguments(name, rows=9))
    assert_same(exported.module(), name, args)


def copied_tuple(args):
    return tuple(copied(args))


@pytest.mark.parametrize("name", NAMES)
def test_fakes_refuse_what_the_operator_refuses(name):
    args = list(arguments(name))
    args[0] = torch.randn(ROWS, 11)
    with pytest.raises(ValueError) as real:
        getattr(cold_kernels, name)(*args)
    with FakeTensorMode() as mode:
        fakes = [mode.from_tensor(arg) if isinstance(arg, torch.Tensor) else arg for arg in args]
        with pytest.raises(ValueError) as fake:
            getattr(cold_kernels, name)(*fakes)
    assert str(fake.value) == str(real.value)


@pytest.mark.parametrize("name", sorted({*NAMES} - {"lora_row_order"}))
def test_without_gradients(name):
    args = [arg.requires_grad_() if i < 2 else arg for i, arg in enumerate(arguments(name))]
    assert not run(getattr(cold_kernels, name), args).requires_grad


@pytest.mark.parametrize("name", [name for name in NAMES if not name.startswith(("contrastive", "lora_row_order"))])
def test_writes_are_seen_by_autograd(name):
    args = arguments(name)
    before = outcome(None, args)._version
    getattr(cold_kernels, name)(*args)
    assert outcome(None, args)._version > before
    with torch.inference_mode():
        run(getattr(cold_kernels, name), arguments(name))


def test_registered_by_the_import_alone():
    script = "import cold_kernels, torch; print(torch.ops.cold_kernels.bgmv_shrink.default)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True)
    assert "cold_kernels.bgmv_shrink.default" in done.stdout
