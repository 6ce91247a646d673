"""What one use of the simulated device is set to, and what its launches left behind."""

import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from ..ascend.chips import Chip
from ..ascend.program import Program
from ..ascend.simulator.timing.cores import Simulation


@dataclass(frozen=True)
class Settings:
    """How launches are treated.

    Args:
        hazards: ``error``, ``warn`` or ``off``.
        limit: Seconds that a launch may take to simulate; None for no limit.
        compile_twice: Whether each kernel is compiled a second time and must come out the same.
    """

    hazards: str = "error"
    limit: float | None = 60.0
    compile_twice: bool = False


@dataclass(frozen=True)
class Launch:
    """A launch that has run.

    Args:
        function: The Python function of the kernel.
        seconds: What simulating it took.
    """

    program: Program
    function: Callable
    grid: tuple[int, ...]
    simulation: Simulation = field(repr=False)
    seconds: float


@dataclass
class Kernel:
    """All launches of one kernel, added up.

    Args:
        device_us: Simulated device time of all launches, microseconds.
        longest: The launch of the most device time.
    """

    name: str
    file: str
    launches: int = 0
    device_us: float = 0.0
    simulate_seconds: float = 0.0
    compilations: int = 0
    compile_seconds: float = 0.0
    hazards: set[str] = field(default_factory=set)
    longest: Launch | None = None


class Session:
    """One use of the device: a chip, settings, and the kernels that ran.

    ``begun`` counts all launches that were handed to the simulator by the cores that their programs are for
    (`Program.core_type`), those that ended in an error included.
    """

    def __init__(self, chip: Chip, settings: Settings) -> None:
        self.chip, self.settings = chip, settings
        self.begun: Counter[str] = Counter()
        self.kernels: dict[tuple[str, str], Kernel] = {}
        self._compiled: dict[str, tuple[int, float]] = {}

    @contextmanager
    def compiling(self, name: str) -> Iterator[None]:
        """Around a compilation of the kernel of that name, to take its time."""
        started = time.perf_counter()
        try:
            yield
        finally:
            count, seconds = self._compiled.get(name, (0, 0.0))
            self._compiled[name] = count + 1, seconds + time.perf_counter() - started

    def add(self, launch: Launch) -> None:
        """Count a launch in."""
        code = launch.function.__code__
        key = launch.function.__qualname__, code.co_filename
        kernel = self.kernels.setdefault(key, Kernel(*key))
        kernel.launches += 1
        kernel.device_us += launch.simulation.microseconds
        kernel.simulate_seconds += launch.seconds
        kernel.hazards.update(map(str, launch.simulation.hazards or ()))
        count, seconds = self._compiled.pop(launch.program.name, (0, 0.0))
        kernel.compilations += count
        kernel.compile_seconds += seconds
        if kernel.longest is None or launch.simulation.microseconds > kernel.longest.simulation.microseconds:
            kernel.longest = launch


_current: list[Session] = []


def current() -> Session:
    """The session that launches belong to.

    Raises:
        RuntimeError: there is none.
    """
    if not _current:
        raise RuntimeError("no NPU is simulated here: use `with cold_kernels.npu.simulated():`")
    return _current[-1]


def begin(session: Session) -> None:
    """Let launches belong to a session."""
    _current.append(session)


def end() -> Session | None:
    """Let them belong to the one before, which comes back."""
    _current.pop()
    return _current[-1] if _current else None
