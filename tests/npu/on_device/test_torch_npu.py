"""`torch.npu` and the stand-in for torch_npu."""

import importlib.util
import sys

import pytest
import torch


def test_the_device_is_one_910b3():
    npu = torch.npu
    assert npu.is_available() and npu.device_count() == 1 and npu.current_device() == 0
    properties = npu.get_device_properties(0)
    assert properties.name == npu.get_device_name() == "Ascend910B3"
    assert (properties.cube_core_num, properties.vector_core_num) == (20, 40)
    assert npu.get_soc_version() == 223 and properties.total_memory == 64 << 30
    with pytest.raises(RuntimeError, match="invalid device ordinal 1"):
        npu.set_device(1)
    with npu.device("npu:0"):
        npu.synchronize()


def test_memory_is_counted():
    free, total = torch.npu.mem_get_info()
    before = torch.npu.memory_allocated()
    held = torch.empty(1 << 20, dtype=torch.uint8, device="npu")
    assert torch.npu.memory_allocated() == before + (1 << 20)
    assert torch.npu.mem_get_info() == (free - (1 << 20), total)
    del held
    assert torch.npu.memory_allocated() == before


def test_streams_take_turns():
    stream = torch.npu.Stream()
    with torch.npu.stream(stream):
        x = torch.ones(3, device="npu")
    stream.wait_stream(torch.npu.current_stream())
    stream.synchronize()
    x.record_stream(stream)
    assert stream.query() and stream.record_event().query()


def test_graphs_are_refused():
    with pytest.raises(NotImplementedError, match="NPUGraph"):
        torch.npu.NPUGraph()


def test_torch_npu_is_a_stand_in():
    import torch_npu
    from torch_npu._C import _npu_getCurrentRawStream
    from torch_npu.npu import synchronize

    assert importlib.util.find_spec("torch_npu") is not None
    assert torch_npu.npu is torch.npu is sys.modules["torch_npu.npu"] and synchronize() is None
    assert torch_npu.__version__.endswith("+simulated") and _npu_getCurrentRawStream(0) == 0
    x = torch.ones(2, device="npu")
    assert torch_npu.npu_format_cast(x, 29) is x
    with pytest.raises(NotImplementedError, match="npu_rms_norm is an operator of CANN"):
        torch_npu.npu_rms_norm(x, x)
    with pytest.raises(AttributeError, match="not part of the simulated NPU"):
        torch_npu.no_such_name
    with pytest.raises(ImportError):
        import torch_npu.no_such_module  # noqa: F401


def test_sizes_of_the_chip_as_cann_tells_them():
    from tbe.common.platform import get_soc_spec, set_current_compile_soc_info

    set_current_compile_soc_info(torch.npu.get_device_name())
    assert (get_soc_spec("UB_SIZE"), get_soc_spec("VECTOR_CORE_CNT")) == (196608, 40)
    with pytest.raises(ValueError, match="no_such_size"):
        get_soc_spec("no_such_size")


def test_a_generators_state_is_a_seed_and_an_offset():
    generator = torch.Generator("npu").manual_seed(2**63 + 5)
    before = generator.get_state()
    assert before.view(torch.int64).tolist() == [5 - 2**63, 0]
    first = torch.rand(3, device="npu", generator=generator)
    seed, offset = generator.get_state().view(torch.int64).tolist()
    assert (seed, offset) == (5 - 2**63, 4)
    generator.set_state(before)
    assert torch.equal(torch.rand(3, device="npu", generator=generator), first)
    generator.set_state(torch.tensor([7, 12]).view(torch.uint8))
    assert generator.initial_seed() == 7 and generator.get_state().view(torch.int64).tolist() == [7, 12]
    other = torch.rand(3, device="npu", generator=generator)
    generator.set_state(torch.tensor([7, 12]).view(torch.uint8))
    assert torch.equal(torch.rand(3, device="npu", generator=generator), other)
    with pytest.raises(RuntimeError, match="16 bytes"):
        generator.set_state(torch.Generator().get_state())
