"""Launches: configuration and back end; what a device would get is checked up to the launch itself."""

import pytest
import torch

pytest.importorskip("triton")

from cold_kernels import launch, tables
from cold_kernels.bgmv.shrink import bgmv_shrink
from cold_kernels.cases import Case
from cold_kernels.devices import Device

NPU = Device("ascend", "Ascend910B3", 40)


@pytest.fixture(autouse=True)
def nothing_kept(monkeypatch, tmp_path):
    monkeypatch.setenv("COLD_KERNELS_TABLES", str(tmp_path))
    tables.read.cache_clear()
    launch.forget()
    yield
    tables.read.cache_clear()
    launch.forget()


def test_a_device_gets_the_shipped_configuration(monkeypatch):
    launched = []
    monkeypatch.setattr(launch, "device_of", lambda tensor: NPU)
    monkeypatch.setattr("cold_kernels.stage.StageCall.run", lambda call: launched.append(call))
    launch.launch(bgmv_shrink, Case.parse("T=64 H=11008 R=64 idx=half", bgmv_shrink).tensors(bgmv_shrink))
    (call,) = launched
    (table, _path), *_ = tables.read(bgmv_shrink, NPU.chip)
    (entry,) = [e for e in table.entries if (e.shape.T, e.shape.H, e.shape.R) == (64, 11008, 64)]
    assert call.constants["TILE_H"] == entry.config.TILE_H != bgmv_shrink.default.TILE_H
    assert call.options == {"multibuffer": entry.config.AUTO}
    assert call.grid == (40,)


def test_selection_knows_the_compiler_of_an_npu(caplog):
    pytest.importorskip("ascendnpuir")
    caplog.set_level("INFO", "cold_kernels")
    chosen = launch.selection(bgmv_shrink, bgmv_shrink.key(Case.parse("T=13 H=4096 R=16", bgmv_shrink).shape()), NPU)
    assert chosen.evidence == "simulated"
    assert "nearest bucket, T=16" in chosen.reason
    (said,) = caplog.messages
    assert said.startswith("bgmv_shrink T=13 H=4096 R=16") and chosen.reason in said


def test_other_tensors_are_refused():
    with pytest.raises(ValueError, match="no kernel runs on meta tensors"):
        launch.device_of(torch.empty(1, device="meta"))


def test_interpreter_set_too_late(monkeypatch):
    monkeypatch.setenv("TRITON_INTERPRET", "1")
    if type(bgmv_shrink.stages[0].kernel).__name__ == "InterpretedFunction":
        pytest.skip("this process interprets")
    with pytest.raises(RuntimeError, match="imported without TRITON_INTERPRET=1"):
        launch.launch(bgmv_shrink, Case.parse("T=1 H=8 R=1", bgmv_shrink).tensors(bgmv_shrink))
