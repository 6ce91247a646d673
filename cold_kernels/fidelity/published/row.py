"""One device time that others published, and the launch that stands for it in the model."""

import enum
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ...ascend.chips import Chip, chip_named
from ...ascend.options import CompileOptions

WARM_BYTES = 96 * 1024 * 1024
"""Half of the second-level cache: what a launch moves that is repeated is taken to stay there up to so much."""


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


DEVICE = (Clock.TASK, Clock.KERNEL)
"""Clocks of the device; on the others a short kernel shows what is around it."""


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
        same_program: Whether the published program does what this one does, as far as is known; not if its source was
            not to be had and it was reconstructed, or if another compiler is known to have made another program of it.
        other_compiler: Whether the published time speaks for another compiler's program: loops that ours makes of the
            same source alone would take longer, or less long by a factor that no constant has. Such a row is shown, and
            neither fitted to nor judged.
        alike: Programs that tell the time of all: by number, in order, how many from it on do the same as it.
        read_once: Bytes that it reads if each counts once, where programs that stand for others read what others read.
        cube: Whether it is judged with the rows of the cube core, which have a goal of their own.
        cold: Whether other work comes between two launches, so that the second-level cache keeps nothing of the one
            for the other; repeated alone, it keeps `WARM_BYTES`.
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
    same_program: bool = True
    other_compiler: bool = False
    alike: Mapping[int, int] | None = None
    read_once: int | None = None
    cube: bool = False
    cold: bool = False
    options: CompileOptions = CompileOptions()

    @property
    def programs(self) -> int:
        return math.prod(self.grid)

    @property
    def weight(self) -> float:
        """What the row counts beside others: half for each of chip, clock and program that is not known for sure."""
        return 0.5 ** (not self.chip_stated) * 0.5 ** (not self.clock_stated) * 0.5 ** (not self.same_program)

    @property
    def comparable(self) -> bool:
        """Whether the model can be held against the row: it is on the device's clock, and of a program like ours."""
        return self.clock in DEVICE and not self.other_compiler

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
        from ...ascend.simulator.execute.launch import GridLaunch
        from ...ascend.simulator.simulation import traced
        from ...ascend.simulator.timing.cores import timed
        from .standing import standing_for

        launch, arguments = GridLaunch(self.program(), self.grid), list(self.arguments())

        def run(blocks: Iterable[int] | None):
            with launch.held():
                return launch.execution(traced(launch, arguments, False, blocks))

        execution = standing_for(lambda number: run([number]), self.alike) if self.alike else run(None)
        if self.read_once is not None:
            execution = replace(execution, unique_bytes=self.read_once)
        if not self.cold and execution.unique_bytes + execution.bytes_written <= WARM_BYTES:
            execution = replace(execution, unique_bytes=0)
        return timed(execution, chip or chip_named(self.chip))

    def predicted_us(self, run) -> float:
        """What of a `Simulation` is to be compared with ``published_us``."""
        return run.cycles / run.chip.frequency * 1e6 if self.clock is Clock.KERNEL else run.microseconds
