"""One device time that others published, and the launch that stands for it in the model."""

import enum
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ...ascend.chips import Chip, chip_named
from ...ascend.options import CompileOptions


class Clock(enum.Enum):
    """What a published time holds."""

    TASK = "task duration"
    """The profiler's device time of one kernel: launch and cores' start included, the host's work not."""
    KERNEL = "in the kernel"
    """Taken by the kernel itself, without the launch."""
    GRAPH = "graph replay"
    """Time by launch of a replayed graph: device time and the gap to the next kernel."""
    HOST = "event with host"
    """Events around a call from Python, so that a short kernel shows the host's time."""


@dataclass(frozen=True)
class PublishedKernel:
    """A kernel whose times are published, written again in Triton.

    Args:
        function: A `triton.jit` function.
        signature: Types of its run-time arguments by name, in order.
        does: What it does, in a line, and what its source is.
    """

    function: Callable
    signature: Mapping[str, str]
    does: str

    @property
    def name(self) -> str:
        """What `leave one kernel out` leaves out at a time."""
        return self.function.__name__


@dataclass(frozen=True, kw_only=True)
class PublishedRow:
    """One published time.

    Args:
        name: What it is called in reports.
        kernel: What ran.
        constants: Its compile-time arguments, and run-time ones that a launch fixes as they are 1.
        arguments: Makes its run-time arguments in order: CPU tensors and numbers. Values that the scalar flow reads are
            real, all others are memory that nothing touches.
        grid: Programs along each axis.
        published_us: Microseconds, measured by others on a device.
        clock: What ``published_us`` holds.
        clock_stated: Whether the source says so; if not, ``clock`` is inferred from the size of its times.
        chip: What it ran on, or is taken to have.
        chip_stated: Whether the source names the chip, or its number of cores and clock.
        source: Where it is published.
        data: Which values were assumed where values decide what the kernel does.
        explanation: What is known to differ between the published kernel, or its chip, and what is modelled.
        alike: Whether all programs do the same, so that one of them tells the time of all.
        options: What the compiler was told.
    """

    name: str
    kernel: PublishedKernel
    constants: Mapping[str, Any]
    arguments: Callable[[], Sequence]
    grid: tuple[int, ...]
    published_us: float
    clock: Clock
    source: str
    chip: str = "Ascend910B1"
    chip_stated: bool = False
    clock_stated: bool = True
    data: str = ""
    explanation: str = ""
    alike: bool = False
    options: CompileOptions = CompileOptions()

    @property
    def programs(self) -> int:
        return math.prod(self.grid)

    @property
    def weight(self) -> float:
        """What the row counts beside others: halved for a chip that is not stated, and for a clock that is not."""
        return (1.0 if self.chip_stated else 0.5) * (1.0 if self.clock_stated else 0.5)

    def program(self):
        """The compiled kernel.

        Raises:
            ToolchainMissing: the compiler is not installed.
            CompilationFailed: the kernel does not compile.
        """
        from ...ascend.toolchain import compile_kernel

        kernel = self.kernel
        return compile_kernel(
            kernel.function, kernel.signature, dict(self.constants), chip=self.chip, options=self.options
        )

    def simulated(self, chip: Chip | None = None):
        """The `Simulation` of the row on its chip, or on ``chip``.

        Raises:
            ToolchainMissing: the compiler is not installed.
            AscendError: the kernel does not compile, or does what the simulator refuses.
        """
        from ...ascend.simulator import simulate

        grid = (1,) * len(self.grid) if self.alike else self.grid
        chip = chip or chip_named(self.chip)
        run = simulate(self.program(), list(self.arguments()), grid, chip=chip, values=False)
        return on_cores(run, self.programs) if self.alike else run

    def predicted_us(self, run) -> float:
        """What of a `Simulation` is to be compared with ``published_us``."""
        return run.cycles / run.chip.frequency * 1e6 if self.clock is Clock.KERNEL else run.microseconds


def on_cores(run, count: int):
    """A launch of one program as one of ``count`` programs that each do the same to data of their own."""
    from ...ascend.simulator.timing.cores import timed

    one = run.execution
    if len(one.programs) != 1:
        raise ValueError(f"a launch of {len(one.programs)} programs is no single program")
    many = replace(
        one,
        programs=one.programs * count,
        bytes_read=one.bytes_read * count,
        bytes_written=one.bytes_written * count,
        unique_bytes=one.unique_bytes * count,
    )
    return timed(many, run.chip)
