"""Switching the simulated device on and off."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

from ..ascend.chips import DEFAULT_CHIP, chip_named
from ..ascend.frontend import frontend
from ..ascend.installation import find_toolchain
from ..devices import forget
from . import session as sessions
from .options import HAZARDS
from .session import Session, Settings

LARGE_PAGES = "THP_MEM_ALLOC_ENABLE"
"""Makes torch ask for large tensors in large pages (c10/core/impl/alloc_cpu.cpp) if it is set before the first one:
tensors of a gigabyte take less time to be touched first than a kernel takes to be simulated."""


@contextmanager
def simulated(
    chip: str = DEFAULT_CHIP, *, hazards: str = "error", limit: float | None = 60.0, compile_twice: bool = False
) -> Iterator[Session]:
    """An NPU that is not there: inside, ``device="npu"`` works and ``kernel[grid](...)`` runs in the simulator.

    Tensors of the device lie in this machine's memory, and torch's operators on them run on the CPU. Kernels are
    compiled by the real compiler. ``import torch_npu`` gives a stand-in where torch_npu is absent. Afterwards kernels
    launch as before, and functions of torch are what they were; torch keeps the device: it cannot let go of one.

    Args:
        chip: A name in `cold_kernels.ascend.chips.CHIPS`, or a chip file.
        hazards: ``error``: a launch that a device may do otherwise raises `HazardFound`; ``warn``; ``off``.
        limit: Seconds that a launch may take to simulate; None for no limit.
        compile_twice: Compile each kernel twice, and fail if the programs differ.

    Raises:
        ValueError: an argument is wrong.
        ToolchainMissing: the compiler is not installed.
        RuntimeError: a real NPU's torch_npu is installed, or torch has no Python back ends for devices.
    """
    begun = switch_on(chip, Settings(hazards, limit, compile_twice))
    try:
        yield begun
    finally:
        switch_off()


def switch_on(chip: str, settings: Settings) -> Session:
    """What `simulated` does at its beginning."""
    figures = chip_named(chip)
    _check(settings)
    find_toolchain()
    os.environ.setdefault(LARGE_PAGES, "1")
    from .device import functions, set_up, stand_in

    stand_in.check_absent()
    set_up.set_up(figures)
    functions.replace()
    stand_in.provide()
    from .launches import installed

    frontend.device = f"{simulated.__module__}:{simulated.__name__}"
    begun = Session(figures, settings)
    installed.install(figures, settings)
    sessions.begin(begun)
    forget()
    return begun


def switch_off() -> None:
    """What `simulated` does at its end."""
    from .device import functions, set_up, stand_in
    from .launches import installed

    outer = sessions.end()
    installed.remove()
    stand_in.withdraw()
    if outer is None:
        functions.put_back()
    else:
        set_up.set_up(outer.chip)
    forget()


def _check(settings: Settings) -> None:
    if settings.hazards not in HAZARDS:
        raise ValueError(f"hazards={settings.hazards!r}: {', '.join(HAZARDS)} are known")
    if settings.limit is not None and not settings.limit > 0:
        raise ValueError(f"limit={settings.limit!r}: seconds above 0, or None, are wanted")
    if os.environ.get("TRITON_INTERPRET", "0") == "1":
        raise ValueError("TRITON_INTERPRET=1 runs kernels in Triton's interpreter; unset it for the simulated NPU")
