"""Every kernel and operator on a GPU, NVIDIA's or AMD's: `python -m pytest -m gpu`. Without one they skip."""

import pytest
import torch

pytest.importorskip("triton")
import cold_kernels
from cold_kernels.devices import device_of
from cold_kernels.launch import run
from tests.every_kernel import SPECS, EveryKernel, bits, for_each, some_rows, tensors
from tests.ops.test_library import NAMES, arguments, outcome, packet

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no NPU and no GPU here"),
]
ON_GPUS = [spec for name, spec in SPECS.items() if not name.endswith("_cube")]
SEEDS = (0, 1, 2)


def moved(tensor, device):
    """The tensor on a device, with the memory between its rows."""
    whole = tensor if tensor._base is None else tensor._base
    copy = whole.to(device)
    return copy if whole is tensor else copy.as_strided(tensor.shape, tensor.stride(), tensor.storage_offset())


def on_gpu(args):
    return [moved(arg, "cuda") if isinstance(arg, torch.Tensor) else arg for arg in args]


class TestKernels(EveryKernel):
    """Hard cases, element types, memory between rows, slots out of range, and the same bits in any batch."""

    def run(self, spec, args, config, cores):
        there = {key: moved(value, "cuda") if isinstance(value, torch.Tensor) else value for key, value in args.items()}
        run(spec, there, config, device_of(there[spec.first]))
        for name in spec.outputs:
            whole = args[name] if args[name]._base is None else args[name]._base
            whole.copy_(there[name] if there[name]._base is None else there[name]._base)

    def launch(self, spec, args, config=None, cores=3):
        if spec.name.endswith("_cube"):
            pytest.skip("the kernels of the cube cores are not launched on GPUs")
        spec = spec.on("cuda")
        return super().launch(spec, args, config or spec.default_for(spec.shape_of(args)), cores)

    @for_each("text", lambda spec: [(text,) for text in spec.hard])
    def test_all_hard_cases_in_all_types(self, spec, text):
        for dtype in spec.operands[spec.first].dtypes:
            self.check(spec, tensors(spec, f"{text} dtype={dtype}"))

    @pytest.mark.skip(reason="rows so far apart are moved to a GPU without what lies between them")
    def test_offsets_of_more_than_32_bits(self):
        pass


@pytest.mark.parametrize("rows", (1, 2, 7, 33, 256))
@pytest.mark.parametrize("spec", ON_GPUS, ids=lambda spec: spec.name)
def test_a_row_alone_has_the_bits_that_it_has_in_a_batch(spec, rows):
    """By tables and defaults, as launches choose: other numbers of rows may take other configurations."""
    from cold_kernels.launch import launch

    text = f"{'B' if 'B' in spec.dims else 'T'}={rows}"
    args = tensors(spec, text)
    together = dict(zip(args, on_gpu(args.values()), strict=True))
    launch(spec, {name: together[name] for name in (*spec.operands, *spec.scalars)})
    for row in {0, rows // 2, rows - 1}:
        alone = some_rows(spec, args, torch.tensor([row]))
        alone = dict(zip(alone, on_gpu(alone.values()), strict=True))
        launch(spec, {name: alone[name] for name in (*spec.operands, *spec.scalars)})
        for name in spec.outputs:
            assert torch.equal(bits(alone[name]), bits(together[name][row : row + 1]))


@pytest.mark.parametrize("name", NAMES)
def test_opcheck(name):
    torch.library.opcheck(packet(name).default, tuple(on_gpu(arguments(name))))


@pytest.mark.parametrize("name", NAMES)
def test_captured_in_a_graph_and_replayed(name):
    operator = getattr(cold_kernels, name)
    args = on_gpu(arguments(name))
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        operator(*on_gpu(arguments(name)))  # compiled before anything is captured
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        found = outcome(operator(*args), args)
    for seed in SEEDS:
        fresh = on_gpu(arguments(name))
        if fresh[0].is_floating_point():
            fresh[0].add_(seed)
        for mine, theirs in zip(args, fresh, strict=True):
            if isinstance(mine, torch.Tensor):
                mine.copy_(theirs)
        graph.replay()
        torch.cuda.synchronize()
        assert torch.equal(bits(found), bits(outcome(operator(*fresh), fresh)))


@pytest.mark.parametrize("name", NAMES)
def test_compiled_by_torch(name):
    torch._dynamo.reset()
    operator = getattr(cold_kernels, name)

    def double(*args):
        return outcome(operator(*args), args) * 2

    args = on_gpu(arguments(name))
    expected = double(*[arg.clone() if isinstance(arg, torch.Tensor) else arg for arg in args])
    assert torch.equal(torch.compile(double, fullgraph=True)(*args), expected)


@pytest.mark.parametrize("name", NAMES)
def test_as_on_the_cpu(name):
    args = arguments(name)
    there = on_gpu(args)
    operator = getattr(cold_kernels, name)
    here, found = outcome(operator(*args), args), outcome(operator(*there), there)
    torch.testing.assert_close(found.cpu(), here, equal_nan=True)
