"""What is measured on an NPU or a GPU, with the CPU standing in for one."""

import types

import pytest
import torch

pytest.importorskip("triton")
from bench.timing import wall_clock
from bench.timing.operators import CALLS, BenchDevice, copy_of, on_device, operator, wrong
from bench.timing.race import Race
from bench.timing.test_devices import measure
from cold_kernels.cases import Case
from cold_kernels.specs import KERNELS, load


def small(name):
    if name.startswith("contrastive"):
        return "B=3 V=500"
    return "T=3 S=2 D=9 H=20 starts=3/3" if name == "bgmv_shrink_expand" else "T=5 H=96 R=8 idx=half"


@pytest.fixture
def standing_in():
    """The CPU, asynchronous in that it counts how often it is waited for."""
    waited = []
    device = BenchDevice("standing_in", "cpu", lambda: waited.append(True))
    return device, waited


@pytest.fixture
def timed(tmp_path):
    shown = types.SimpleNamespace(extra_info={}, pedantic=lambda function, **_: function())
    return Race("operator", shown, tmp_path, tmp_path / "accepted")


def test_every_kernel_has_its_call():
    assert CALLS.keys() == set(KERNELS)


@pytest.mark.parametrize("name", CALLS)
def test_an_operator_is_checked_timed_and_kept_by_device(name, standing_in, timed):
    device, waited = standing_in
    times = measure(timed, device, name, small(name))
    assert wall_clock.read("standing_in", timed.results).keys() == {"operator"}
    assert list(times.others) == ["copy of the minimal bytes"]
    assert len(waited) == 1 + 2 * len(times.ours) + 1  # for the check, after each function's round, and for the table


@pytest.mark.parametrize("name", CALLS)
def test_a_wrong_result_fails_before_anything_is_timed(name, standing_in, monkeypatch):
    device, _ = standing_in
    monkeypatch.setattr(
        "bench.timing.test_devices.operator", lambda spec, args: lambda: torch.zeros_like(args[spec.outputs[0]])
    )
    with pytest.raises(
        pytest.fail.Exception, match=f"{name}: .* times the allowed error off float64 on .*, standing_in"
    ):
        measure(None, device, name, small(name))


@pytest.mark.parametrize("name", CALLS)
def test_the_operator_is_the_one_that_the_spec_declares(name, standing_in):
    device, _ = standing_in
    spec = load(name)
    args = on_device(spec, Case.parse(small(name), spec), device)
    assert wrong(spec, args, operator(spec, args)()) is None


def test_a_spec_without_an_operator():
    spec = types.SimpleNamespace(name="mine")
    with pytest.raises(ValueError, match="mine: bench/timing/operators.py knows how to call only bgmv_shrink"):
        operator(spec, {})


def test_the_copy_moves_as_many_bytes(standing_in):
    device, _ = standing_in
    copy = copy_of(4096, device)
    assert copy.args[0].nbytes == 2048
    copy()
