"""The simulated device in Triton's place for one, and out of it again."""

import os
from typing import Any

import triton
import triton.testing
from triton.backends import Backend, backends
from triton.runtime import driver

from ...ascend.chips import Chip
from ..session import Settings
from . import names
from .backend import SimulatedBackend
from .bench import device_time, device_time_npu
from .driver import SimulatedDriver

_before: list[dict[str, Any]] = []
LINES, ALWAYS = "TRITON_DISABLE_LINE_INFO", "TRITON_ALWAYS_COMPILE"


def install(chip: Chip, settings: Settings) -> None:
    """Let Triton compile for a simulated chip and launch on it."""
    names.provide()
    _before.append(
        {
            "backend": backends["ascend"],
            "driver": driver.active,
            "variables": {name: os.environ.get(name) for name in (LINES, ALWAYS)},
            "do_bench": triton.testing.do_bench,
            "do_bench_npu": triton.testing.do_bench_npu,
        }
    )
    backends["ascend"] = Backend(SimulatedBackend, _active(chip))
    driver.set_active(SimulatedDriver(chip, settings.compile_twice))
    os.environ[LINES] = "false"  # messages name lines of the kernel; no operation changes
    if settings.compile_twice:
        os.environ[ALWAYS] = "1"  # what is in Triton's cache was compiled once
    triton.testing.do_bench, triton.testing.do_bench_npu = device_time, device_time_npu


def remove() -> None:
    """Put back what `install` has replaced."""
    before = _before.pop()
    backends["ascend"] = before["backend"]
    driver.set_active(before["driver"])
    triton.testing.do_bench, triton.testing.do_bench_npu = before["do_bench"], before["do_bench_npu"]
    for name, value in before["variables"].items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value


def _active(chip: Chip) -> type[SimulatedDriver]:
    """The driver that finds its chip: engines count the back ends whose driver is active."""

    class ActiveDriver(SimulatedDriver):
        def __init__(self) -> None:
            super().__init__(chip)

        @classmethod
        def is_active(cls) -> bool:
            return True

    return ActiveDriver
