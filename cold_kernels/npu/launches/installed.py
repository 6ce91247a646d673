"""The simulated device in Triton's place for one, and out of it again."""

import os
from typing import Any

import triton
import triton.testing
from triton.backends import Backend, backends
from triton.runtime import driver

from ...ascend.chips import Chip
from . import names
from .backend import SimulatedBackend
from .bench import device_time, device_time_npu
from .driver import SimulatedDriver

_before: list[dict[str, Any]] = []
LINES = "TRITON_DISABLE_LINE_INFO"


def install(chip: Chip) -> None:
    """Let Triton compile for a simulated chip and launch on it."""
    names.provide()
    _before.append(
        {
            "backend": backends["ascend"],
            "driver": driver.active,
            "lines": os.environ.get(LINES),
            "do_bench": triton.testing.do_bench,
            "do_bench_npu": triton.testing.do_bench_npu,
        }
    )
    backends["ascend"] = Backend(SimulatedBackend, _active(chip))
    driver.set_active(SimulatedDriver(chip))
    os.environ[LINES] = "false"  # messages name lines of the kernel; no operation changes
    triton.testing.do_bench, triton.testing.do_bench_npu = device_time, device_time_npu


def remove() -> None:
    """Put back what `install` has replaced."""
    before = _before.pop()
    backends["ascend"] = before["backend"]
    driver.set_active(before["driver"])
    triton.testing.do_bench, triton.testing.do_bench_npu = before["do_bench"], before["do_bench_npu"]
    if before["lines"] is None:
        os.environ.pop(LINES, None)
    else:
        os.environ[LINES] = before["lines"]


def _active(chip: Chip) -> type[SimulatedDriver]:
    """The driver that finds its chip: engines count the back ends whose driver is active."""

    class ActiveDriver(SimulatedDriver):
        def __init__(self) -> None:
            super().__init__(chip)

        @classmethod
        def is_active(cls) -> bool:
            return True

    return ActiveDriver
