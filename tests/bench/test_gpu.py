"""The comparison on a GPU, with the CPU for one: what it writes, and that no part's failure costs another."""

import json
import time

import pytest
import torch

pytest.importorskip("triton")
from bench.gpu import command, lora
from bench.gpu.device import interleaved


class StandIn:
    """Operators on CPU tensors."""

    name = "cpu"

    def describe(self):
        return {"device": "stand-in"}

    def clocks(self):
        return "none"

    def synchronize(self):
        pass

    def captured(self, call):
        return call

    def seconds(self, call):
        begin = time.perf_counter()
        call()
        return time.perf_counter() - begin

    def launches(self, call):
        return None


@pytest.fixture
def small(monkeypatch):
    monkeypatch.setattr(lora, "HIDDEN", 64)
    monkeypatch.setattr(command, "DECODING", (1, 3))
    monkeypatch.setattr(command, "PREFILL", 40)
    monkeypatch.setattr(command, "ON_GPUS", ("bgmv_shrink",))
    monkeypatch.setattr(command, "REPEATS", 2)


def test_all_parts_are_written(small, monkeypatch, tmp_path):
    monkeypatch.setattr(command, "_values", lambda device, name, found: found["values"].update({name: 3}) or "3 cases")
    path, said = tmp_path / "gpu.json", []
    found = command.measured(StandIn(), path, 300, said.append)
    assert json.loads(path.read_text()) == json.loads(json.dumps(found))
    assert found["values"] == {"bgmv_shrink": 3} and not found["not_begun"] and not found["wrong"]
    assert list(found["cells"]) == ["1", "3", "40"]
    for cell in found["cells"].values():
        assert "missing" in cell["ways"]["vLLM"]
        for name in ("cold-kernels, fused", "cold-kernels, apart"):
            facts = cell["ways"][name]
            assert facts["largest_error"] < 2e-3 and facts["deterministic"] and facts["same_bits_alone"]
            assert facts["graph"]["median_us"] > 0 and facts["eager"]["low_us"] > 0
    assert found["goal"] == {
        "times_as_fast_as_vllm": {}, "never_slower": None, "median_of_few_rows": None, "met": False
    }  # fmt: skip


def test_a_part_that_fails_is_said_and_the_next_ones_run(small, tmp_path):
    """Kernels do not launch on CPU tensors."""
    found = command.measured(StandIn(), tmp_path / "gpu.json", 300, lambda said: None)
    assert "values of bgmv_shrink: failed: " in found["wrong"][0] and len(found["cells"]) == 3


def test_nothing_new_begins_after_the_time(small, tmp_path):
    found = command.measured(StandIn(), tmp_path / "gpu.json", -1, lambda said: None)
    assert found["not_begun"][0] == "values of bgmv_shrink" and len(found["not_begun"]) == 4
    assert not found["cells"]


def test_the_goal_is_by_cells():
    def cell(ours, theirs):
        return {
            "ways": {command.OURS: {"graph": {"median_us": ours}}, command.THEIRS: {"graph": {"median_us": theirs}}}
        }

    met = command.goal({"1": cell(1, 1.5), "16": cell(1, 1.4), "256": cell(2, 2)})
    assert met["met"] and met["never_slower"] and met["median_of_few_rows"] == 1.45
    slower = command.goal({"1": cell(1, 1.5), "2048": cell(3, 2)})
    assert not slower["met"] and not slower["never_slower"]
    few = command.goal({"1": cell(1, 1.2)})
    assert few["never_slower"] and not few["met"]


def test_all_take_turns():
    order = []
    calls = {name: (lambda name=name: order.append(name)) for name in "ab"}
    found = interleaved(StandIn(), calls)
    assert order == ["a", "b"] * (len(order) // 2) and set(found) == {"a", "b"}


def test_ways_compute_the_same():
    p = lora.Projection.made(5, "cpu", torch.float32)
    for way in (lora.fused, lora.apart, lora.gathered):
        y = p.y.clone()
        way(p, y)()
        torch.testing.assert_close(y.double(), p.reference(), rtol=1e-4, atol=1e-4)


@pytest.mark.skipif(torch.cuda.is_available(), reason="not without a device")
def test_without_a_gpu_it_says_so(capsys, tmp_path):
    from bench.__main__ import main

    assert main(["gpu", "--out", str(tmp_path / "x.json")]) == 1
    assert capsys.readouterr().err == "gpu: there is no GPU: torch sees none\n"
