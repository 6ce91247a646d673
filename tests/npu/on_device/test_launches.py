"""Launches as people write them, on the simulated device."""

import gc

import pytest
import torch
import triton
import triton.language as tl
import triton.language.extra.cann.extension as extension
import triton.language.extra.cann.libdevice as libdevice

DEVICE = "npu"


@triton.jit
def add(x_ptr, y_ptr, out_ptr, count, BLOCK: tl.constexpr):
    offsets = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    mask = offsets < count
    tl.store(out_ptr + offsets, tl.load(x_ptr + offsets, mask=mask) + tl.load(y_ptr + offsets, mask=mask), mask=mask)


def operands(count=1000, dtype=torch.float32):
    x = torch.arange(count, device=DEVICE).to(dtype)
    return x, torch.ones(count, device=DEVICE, dtype=dtype), torch.zeros(count, device=DEVICE, dtype=dtype)


def test_a_callable_grid_and_what_a_launch_returns():
    x, y, out = operands()
    kernel = add[lambda meta: (triton.cdiv(1000, meta["BLOCK"]),)](x, y, out, 1000, BLOCK=256)
    assert torch.equal(out, x + y)
    assert {"ttir", "ttadapter", "npubin"} <= kernel.asm.keys() and b"hivm.hir.load" in kernel.asm["npubin"]


def test_a_kernel_defined_inside_a_function():
    @triton.jit
    def scaled(x_ptr, out_ptr, SCALE: tl.constexpr, BLOCK: tl.constexpr):
        offsets = tl.arange(0, BLOCK)
        tl.store(out_ptr + offsets, tl.load(x_ptr + offsets) * SCALE)

    x, _, out = operands(64)
    scaled[(1,)](x, out, SCALE=3, BLOCK=64)
    assert torch.equal(out, 3 * x)


@triton.jit
def chosen(x_ptr, out_ptr, other_ptr, DTYPE: tl.constexpr, WAY: tl.constexpr, FLAG: tl.constexpr, BLOCK: tl.constexpr):
    offsets = tl.arange(0, BLOCK)
    x = tl.load(x_ptr + offsets).to(DTYPE)
    if other_ptr is not None:
        x += tl.load(other_ptr + offsets)
    if WAY == "double":
        x = x * 2
    if FLAG:
        x = x + 1
    tl.store(out_ptr + offsets, x)


def test_constexprs_of_all_kinds_and_no_tensor():
    x, y, out = operands(64)
    chosen[(1,)](x, out, None, tl.float32, "double", True, 64)
    assert torch.equal(out, 2 * x + 1)
    chosen[(1,)](x, out, y, tl.float32, "once", False, 64)
    assert torch.equal(out, x + 1)


@triton.autotune(
    configs=[triton.Config({"BLOCK": block, "multibuffer": True}) for block in (64, 512)],
    key=["count"],
    reset_to_zero=["out_ptr"],
)
@triton.jit
def tuned(x_ptr, out_ptr, count, BLOCK: tl.constexpr):
    for start in range(0, count, BLOCK):
        offsets = start + tl.arange(0, BLOCK)
        mask = offsets < count
        before = tl.load(out_ptr + offsets, mask=mask)
        tl.store(out_ptr + offsets, before + tl.load(x_ptr + offsets, mask=mask), mask=mask)


def test_autotune_takes_the_faster_on_the_simulated_device():
    x, _, out = operands(2048)
    tuned[(1,)](x, out, 2048)
    assert torch.equal(out, x)
    assert tuned.best_config.kwargs["BLOCK"] == 512
    slow, fast = (tuned.configs_timings[config][0] for config in tuned.configs)
    assert 0 < fast < slow < 1, "milliseconds of a launch of microseconds"


def pre_hook(arguments):
    arguments["out_ptr"].fill_(5)


@triton.autotune(configs=[triton.Config({"BLOCK": 64}, pre_hook=pre_hook)], key=[])
@triton.heuristics({"TWICE": lambda arguments: arguments["count"] > 32})
@triton.jit
def hooked(x_ptr, out_ptr, count, TWICE: tl.constexpr, BLOCK: tl.constexpr):
    offsets = tl.arange(0, BLOCK)
    factor = 2 if TWICE else 1
    tl.store(out_ptr + offsets, tl.load(out_ptr + offsets) + factor * tl.load(x_ptr + offsets))


def test_heuristics_and_hooks():
    x, _, out = operands(64)
    hooked[(1,)](x, out, 64)
    assert torch.equal(out, 5 + 2 * x)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.int8, torch.uint8, torch.int16, torch.int64])
def test_types(dtype):
    x, y, out = operands(100, dtype)
    add[(1,)](x, y, out, 100, BLOCK=128)
    assert torch.equal(out, x + y)


def test_options_of_triton_ascend_reach_the_compiler():
    x, y, out = operands(2048)
    add[(8,)](x, y, out, 2048, BLOCK=256, multibuffer=False, num_warps=8, num_stages=2)
    assert torch.equal(out, x + y)
    with pytest.raises(KeyError, match="no_such_option"):
        add[(8,)](x, y, out, 2048, BLOCK=256, no_such_option=1)


def test_errors_are_tritons():
    from triton.compiler.errors import CompilationError, MLIRCompilationError

    x, y, out = operands()

    @triton.jit
    def wrong(x_ptr, BLOCK: tl.constexpr):
        tl.static_assert(BLOCK == 3)

    with pytest.raises(CompilationError):
        wrong[(1,)](x, BLOCK=4)
    with pytest.raises(MLIRCompilationError, match="unified buffer"):
        add[(1,)](x, y, out, 1000, BLOCK=65536)


def test_a_cpu_tensor_is_refused_by_name():
    x, y, out = operands()
    with pytest.raises(ValueError, match=r"x_ptr cannot be accessed from Triton \(cpu tensor\?\)"):
        add[(4,)](x.cpu(), y, out, 1000, BLOCK=256)


def test_an_access_outside_names_the_line():
    from cold_kernels.ascend.errors import AscendError

    @triton.jit
    def beyond(x_ptr, out_ptr, BLOCK: tl.constexpr):
        offsets = tl.arange(0, BLOCK)
        tl.store(out_ptr + offsets, tl.load(x_ptr + 4096 + offsets))

    x, _, out = operands(64)
    with pytest.raises((AscendError, IndexError), match="test_launches.py"):
        beyond[(1,)](x, out, BLOCK=64)


def test_a_view_may_look_around_in_its_storage():
    x, _, out = operands(64)

    @triton.jit
    def around(x_ptr, out_ptr, back, BLOCK: tl.constexpr):
        offsets = tl.arange(0, BLOCK)
        tl.store(out_ptr + offsets, tl.load(x_ptr + offsets - back))

    around[(1,)](x[40:41], out, 40, BLOCK=64)
    assert torch.equal(out, x)


def test_unsigned_and_boolean_tensors():
    @triton.jit
    def masked(x_ptr, keep_ptr, out_ptr, BLOCK: tl.constexpr):
        offsets = tl.arange(0, BLOCK)
        keep = tl.load(keep_ptr + offsets)
        tl.store(out_ptr + offsets, tl.where(keep, tl.load(x_ptr + offsets), 0))

    x = torch.arange(64, dtype=torch.int32, device=DEVICE)
    keep = x % 3 == 0
    out = torch.full_like(x, -1)
    masked[(1,)](x, keep, out, BLOCK=64)
    assert torch.equal(out, torch.where(keep, x, 0))


def test_do_bench_is_simulated_device_time(capsys):
    x, y, out = operands()
    taken = triton.testing.do_bench(lambda: add[(4,)](x, y, out, 1000, BLOCK=256), quantiles=[0.5, 0.2, 0.8])
    assert taken == [taken[0]] * 3 and 0 < taken[0] < 0.1
    with pytest.raises(ValueError, match="launches no Triton kernel"):
        triton.testing.do_bench(lambda: x + y)


def test_events_stand_on_the_simulated_clock():
    x, y, out = operands()
    begin, middle, end = (torch.npu.Event(enable_timing=True) for _ in range(3))
    begin.record()
    x + y
    middle.record()
    add[(4,)](x, y, out, 1000, BLOCK=256)
    end.record()
    torch.npu.synchronize()
    assert begin.elapsed_time(middle) == 0
    assert 0 < middle.elapsed_time(end) < 0.1
    with pytest.raises(RuntimeError, match="recorded"):
        begin.elapsed_time(torch.npu.Event())


def test_launch_hooks_and_a_warm_up():
    from triton.compiler import CompiledKernel

    seen = []
    x, y, out = operands()
    CompiledKernel.launch_enter_hook = lambda metadata: seen.append(metadata.get()["name"])
    try:
        add.warmup(x, y, out, 1000, BLOCK=512, grid=(2,))
        assert not out.any() and not seen
        add[(2,)](x, y, out, 1000, BLOCK=512)
    finally:
        CompiledKernel.launch_enter_hook = None
    assert len(seen) == 1 and seen[0].startswith("add")


def test_newer_names():
    @triton.jit
    def second_half(x_ptr, out_ptr, BLOCK: tl.constexpr):
        offsets = tl.arange(0, BLOCK)
        x = libdevice.isnan(tl.load(x_ptr + offsets)).to(tl.float32)
        tl.store(out_ptr + tl.arange(0, BLOCK // 2), extension.extract_slice(x, [BLOCK // 2], [BLOCK // 2], [1]))

    x, _, out = operands(64)
    x[40] = float("nan")
    second_half[(1,)](x, out, BLOCK=64)
    assert out.nonzero().flatten().tolist() == [8]
    with pytest.raises(AttributeError, match="extension.no_such_name"):
        extension.no_such_name


def test_an_empty_grid_launches_nothing():
    x, y, out = operands()
    add[(0,)](x, y, out, 1000, BLOCK=256)
    assert not out.any()


def test_autograd_keeps_what_a_launch_reads():
    class Doubled(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            out = torch.empty_like(x)
            add[(1,)](x, x, out, x.numel(), BLOCK=64)
            ctx.save_for_backward(x)
            return out

        @staticmethod
        def backward(ctx, grad):
            (x,) = ctx.saved_tensors
            out = torch.empty_like(x)
            grad = grad.contiguous()
            add[(1,)](grad, grad, out, x.numel(), BLOCK=64)
            return out

    x = torch.ones(64, device=DEVICE, requires_grad=True)
    Doubled.apply(x).sum().backward()
    assert x.grad.tolist() == [2] * 64


@triton.jit
def gathered(pointers_ptr, out_ptr, BLOCK: tl.constexpr):
    pointer = tl.load(pointers_ptr + tl.program_id(0)).to(tl.pointer_type(tl.float32))
    offsets = tl.arange(0, BLOCK)
    tl.store(out_ptr + tl.program_id(0) * BLOCK + offsets, tl.load(pointer + offsets))


def test_pointers_in_a_tensor():
    parts = [torch.full((64,), value, device=DEVICE) for value in (1.0, 2.0)]
    pointers = torch.tensor([part.data_ptr() for part in parts], device=DEVICE)
    out = torch.zeros(128, device=DEVICE)
    gathered[(2,)](pointers, out, BLOCK=64)
    assert torch.equal(out, torch.cat(parts))
    freed = torch.tensor([16, 16], device=DEVICE)
    with pytest.raises(Exception, match="lies in no tensor"):
        gathered[(2,)](freed, out, BLOCK=64)


def test_a_launch_lets_go_of_its_tensors():
    gc.collect()
    before = torch.npu.memory_allocated()
    x, y, out = operands(4096)
    add[(4,)](x, y, out, 4096, BLOCK=1024)
    assert torch.npu.memory_allocated() > before
    del x, y, out
    gc.collect()
    assert torch.npu.memory_allocated() == before


@pytest.mark.parametrize("dtype", [torch.int32, torch.float32])
def test_a_tensor_reinterpreted(dtype):
    x = torch.arange(64, dtype=torch.int32, device=DEVICE)
    out = torch.empty_like(x).view(dtype)
    copied[(1,)](triton.reinterpret(x, tl.float32 if dtype == torch.float32 else tl.int32), out, BLOCK=64)
    assert torch.equal(out.view(torch.int32), x)


@triton.jit
def copied(x_ptr, out_ptr, BLOCK: tl.constexpr):
    offsets = tl.arange(0, BLOCK)
    tl.store(out_ptr + offsets, tl.load(x_ptr + offsets))


def test_a_grid_of_whole_numbers():
    x, y, out = operands()
    with pytest.raises(TypeError, match="float"):
        add[(1.5,)](x, y, out, 1000, BLOCK=256)
