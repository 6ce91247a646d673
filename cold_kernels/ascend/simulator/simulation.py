"""A launch of a compiled program, executed and timed."""

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from ..chips import Chip, chip_named
from ..errors import UnsupportedProgram
from ..program import Program
from .binding import bound, detached, lock_variables
from .operations import Op
from .timeline import Costs, Timeline, schedule
from .translate import Translator
from .work import ISSUE, LOCK, PIPES

HIDDEN_ARGUMENTS = 3
"""Arguments before the kernel's own: synchronisation address, locks, workspace. After them comes the grid."""

MAX_PROGRAMS = 65535


@dataclass(frozen=True)
class Execution:
    """What a launch did, on any chip: how often each distinct trace ran, and where."""

    traces: tuple[tuple[tuple, ...], ...]
    programs: tuple[int, ...]
    """For each program of the grid, in order, the index of its trace."""
    moved: tuple[int, ...]
    """For each trace, the bytes that it copies from and to global memory."""
    bytes_read: int
    bytes_written: int
    unique_bytes: int
    """Bytes read, each place once: the rest can come from the second-level cache."""
    ub_peak_bytes: int


@dataclass(frozen=True)
class Simulation:
    """A simulated launch. Times are modelled from the chip's constants, never measured.

    Args:
        cycles: Core cycles from the first program's start to the last one's end.
        microseconds: The same as time, plus the launch's fixed cost.
        pipes: Busy cycles by pipe (S, V, MTE2, MTE3) of the core that finishes last.
        bytes_read, bytes_written: Copied from and to global memory, all programs together.
        ub_peak_bytes: Highest planned byte of the unified buffer.
        chip: What it was timed on.
    """

    cycles: float
    microseconds: float
    pipes: dict[str, float]
    bytes_read: int
    bytes_written: int
    ub_peak_bytes: int
    chip: Chip
    execution: Execution = field(repr=False)

    def on(self, chip: Chip | str) -> "Simulation":
        """The same execution timed on another chip."""
        return timed(self.execution, chip_named(chip) if isinstance(chip, str) else chip)

    @property
    def bound(self) -> str:
        """The busiest pipe of the core that finishes last."""
        return max(PIPES, key=lambda pipe: self.pipes[pipe])


def simulate(
    program: Program, args: Sequence, grid: Sequence[int], *, chip: Chip | str | None = None, values: bool = True
) -> Simulation:
    """Execute a compiled program on every place of a grid, and time it.

    Values are computed on the planned buffer addresses, in the types and roundings that HIVM names; what the
    closed back end does below HIVM is not claimed.

    Args:
        program: A compiled vector-core kernel.
        args: The kernel's run-time arguments in order: CPU tensors (outputs are written in place) and numbers.
        grid: Programs along up to three axes.
        chip: What to time it on; by default the one that it was compiled for.
        values: Whether to move and compute vector data. Without, only the scalar flow runs: indices still decide
            loops and branches, outputs are left alone. A program whose scalar unit reads vector data runs with
            values all the same.

    Raises:
        UnsupportedProgram: it uses the cube core, or an operation that is not modelled.
        OutOfBounds: an access outside a tensor or a buffer; names the operation and its source line.
        Deadlock: a pipe waits for a flag that nothing sets.
        ValueError: arguments or grid that do not fit the program.
    """
    if not isinstance(program, Program):
        raise ValueError(f"simulate takes what compile_kernel returns, not {type(program).__name__}")
    chip = chip_named(chip or program.chip) if not isinstance(chip, Chip) else chip
    return timed(execute(program, args, grid, values), chip)


def execute(program: Program, args: Sequence, grid: Sequence[int], values: bool = True) -> Execution:
    """The part of `simulate` that does not depend on the chip."""
    sizes = _grid(grid)
    translator = _translated(program)
    values_flow = values or translator.reads_local
    if not values and (values_flow or translator.writes_global):
        args = detached(args)
    arguments = [0, lock_variables(), 0, *_bound(program, translator, args), *sizes]
    traces: dict[tuple, int] = {}
    programs = []
    core = translator.core
    with translator.lock, np.errstate(all="ignore"):
        core.begin(math.prod(sizes), values_flow)
        for block in range(core.blocks):
            trace = tuple(translator.run(arguments, block))
            programs.append(traces.setdefault(trace, len(traces)))
        return Execution(
            tuple(traces),
            tuple(programs),
            tuple(sum(event[2].global_bytes for event in trace if event[0] == ISSUE) for trace in traces),
            core.bytes_read,
            core.bytes_written,
            sum(core.first_reads.values()),
            max((buffer.end for buffer in translator.buffers), default=0),
        )


def timed(execution: Execution, chip: Chip) -> Simulation:
    """Place the programs on the chip's cores, in waves, and time each distinct trace.

    The cores of a wave share the bandwidth of global memory by what they copy: forty cores with the same amount
    get a fortieth each, one core beside others that copy next to nothing gets nearly all. What several programs
    read comes from the second-level cache after the first time.
    """
    cores = chip.vector_cores
    total = execution.bytes_read + execution.bytes_written
    fresh = (execution.unique_bytes + execution.bytes_written) / total if total else 1.0
    bandwidth = min(chip.hbm_bytes_per_second / fresh if fresh else math.inf, chip.l2_bytes_per_second)

    @functools.cache
    def costs(sharers: float) -> Costs:
        return Costs(chip, bandwidth / sharers / chip.frequency)

    @functools.cache
    def timeline(trace: int, sharers: float) -> Timeline:
        return schedule(execution.traces[trace], costs(sharers))

    locks = [any(event[0] == LOCK for event in trace) for trace in execution.traces]

    cycles = [0.0] * min(cores, len(execution.programs))
    busy = [dict.fromkeys(PIPES, 0.0) for _ in cycles]
    for first in range(0, len(execution.programs), cores):
        wave = execution.programs[first : first + cores]
        moved = [execution.moved[trace] for trace in wave]
        sharers = sum(moved) / max(moved) if any(moved) else 1.0
        turns: dict = {}
        for core, trace in enumerate(wave):
            if locks[trace]:
                run = schedule(execution.traces[trace], costs(sharers), turns=turns)
            else:
                run = timeline(trace, sharers)
            cycles[core] += run.cycles
            for pipe in PIPES:
                busy[core][pipe] += run.busy[pipe]
    last = max(range(len(cycles)), key=cycles.__getitem__)
    return Simulation(
        cycles[last],
        cycles[last] / chip.frequency * 1e6 + chip.constants["launch_us"],
        busy[last],
        execution.bytes_read,
        execution.bytes_written,
        execution.ub_peak_bytes,
        chip,
        execution,
    )


def _grid(grid: Sequence[int]) -> tuple[int, int, int]:
    sizes = tuple(grid) if isinstance(grid, Sequence) else ()
    if not 1 <= len(sizes) <= 3 or any(type(size) is not int or size < 1 for size in sizes):
        raise ValueError(f"grid {grid!r} must be a sequence of one to three positive integers")
    if math.prod(sizes) > MAX_PROGRAMS:
        raise ValueError(f"grid {sizes} has {math.prod(sizes)} programs; a launch has at most {MAX_PROGRAMS}")
    return (*sizes, *[1] * (3 - len(sizes)))


_TRANSLATIONS: dict[str, Translator] = {}
MAX_TRANSLATIONS = 256


def _translated(program: Program) -> Translator:
    text = program.hivm
    if text not in _TRANSLATIONS:
        if program.core_type != "AIV":
            raise UnsupportedProgram(
                f"{program.name} uses the cube core (tl.dot; its kind is {program.core_type}); only programs of "
                "vector cores alone are simulated"
            )
        while len(_TRANSLATIONS) >= MAX_TRANSLATIONS:
            _TRANSLATIONS.pop(next(iter(_TRANSLATIONS)))
        _TRANSLATIONS[text] = Translator(Op(program.entry))
    return _TRANSLATIONS[text]


def _bound(program: Program, translator: Translator, args: Sequence) -> list:
    types = translator.parameter_types[HIDDEN_ARGUMENTS:-3]
    names = list(program.signature)
    if len(args) != len(types):
        raise ValueError(f"{program.name} takes {len(types)} arguments ({', '.join(names)}), not {len(args)}")
    return [bound(*argument) for argument in zip(names, types, args, strict=True)]
