"""``python -m bench host``, with blocks so short that its figures mean nothing."""

import json

import pytest
import torch

pytest.importorskip("triton")
import cold_kernels
from bench.__main__ import main
from bench.timing import host
from cold_kernels import devices
from cold_kernels.command import FAILED
from cold_kernels.devices import interpreting

pytestmark = pytest.mark.skipif(interpreting(), reason="TRITON_INTERPRET=1: nothing is launched")


@pytest.fixture
def quick(monkeypatch):
    monkeypatch.setattr(host, "BLOCKS", 2)
    monkeypatch.setattr(host, "BLOCK", 1e-6)
    monkeypatch.setattr(host, "LAYERS", 1)


def test_each_kernel_and_a_step(quick, capsys):
    assert main(["host", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert list(found) == [*host.KERNELS, host.STEP]
    assert all(row.keys() == {"cpu_us", "reference_us"} and min(row.values()) > 0 for row in found.values())


def test_the_table_says_which_clock(quick, capsys):
    pytest.importorskip("rich")
    assert main(["host"]) == 0
    shown = capsys.readouterr().out
    assert "CPU time" in shown and "process_time" in shown and host.STEP in shown


def test_interpreted_kernels_are_refused(monkeypatch, capsys):
    monkeypatch.setenv("TRITON_INTERPRET", "1")
    assert main(["host"]) == FAILED
    assert "TRITON_INTERPRET=1" in capsys.readouterr().err


def test_the_clock_does_not_run_while_nothing_is_done(monkeypatch):
    now = [0.0]
    monkeypatch.setattr(host.time, "process_time", lambda: now[0])

    def works(seconds):
        now[0] += seconds

    short, long = host.cpu_seconds(lambda: works(1e-5), lambda: works(3e-3))
    assert short == pytest.approx(1e-5) and long == pytest.approx(3e-3)


def test_the_stand_in_ends(monkeypatch):
    monkeypatch.delenv("TRITON_INTERPRET", raising=False)
    x, launched = torch.ones(2, 8), []
    with host.stand_in(lambda kernel, given: launched.append(kernel)):
        assert devices.device_of(x) == host.NPU and not devices.in_torch(x)
        cold_kernels.bgmv_shrink(x, torch.ones(1, 4, 8), torch.zeros(2, 4), torch.zeros(2, dtype=torch.int64))
    assert launched and devices.in_torch(x)
    with pytest.raises(ValueError, match="no kernel runs on cpu"):
        devices.device_of(x)
    y = torch.zeros(2, 4)
    cold_kernels.bgmv_shrink(x, torch.ones(1, 4, 8), y, torch.zeros(2, dtype=torch.int64))
    assert (y == 8).all()
