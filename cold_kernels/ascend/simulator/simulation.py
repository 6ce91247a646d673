"""A launch of a compiled program, executed."""

import math
from collections.abc import Sequence

import numpy as np

from ..chips import Chip, chip_named
from ..errors import UnsupportedProgram
from ..program import Program
from .binding import bound, detached, lock_variables
from .hazards import Hazard
from .hazards.find import find
from .operations import Op
from .timing import Execution, Simulation, timed
from .translate import Observer, Translator
from .work import ISSUE

HIDDEN_ARGUMENTS = 3
"""Arguments before the kernel's own: synchronisation address, locks, workspace. After them comes the grid."""

MAX_PROGRAMS = 65535


def simulate(
    program: Program,
    args: Sequence,
    grid: Sequence[int],
    *,
    chip: Chip | str | None = None,
    values: bool = True,
    hazards: bool = False,
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
        hazards: Whether to look for `Hazard`s as well: `Simulation.hazards` has them. `find_hazards` looks for nothing
            else, and also where a flag that nothing sets leaves no time to simulate.

    Raises:
        UnsupportedProgram: it uses the cube core, or an operation that is not modelled.
        OutOfBounds: an access outside a tensor or a buffer; names the operation and its source line.
        Deadlock: a pipe waits for a flag that nothing sets.
        ValueError: arguments or grid that do not fit the program.
    """
    execution = execute(program, args, grid, values, hazards)
    return timed(execution, chip if isinstance(chip, Chip) else chip_named(chip or program.chip))


def find_hazards(program: Program, args: Sequence, grid: Sequence[int]) -> tuple[Hazard, ...]:
    """What a device may do otherwise than the program means, on these arguments; they are left alone.

    Raises:
        UnsupportedProgram, OutOfBounds, ValueError: as `simulate`.
    """
    return execute(program, args, grid, values=False, hazards=True).hazards


def execute(
    program: Program, args: Sequence, grid: Sequence[int], values: bool = True, hazards: bool = False
) -> Execution:
    """The part of `simulate` that does not depend on the chip."""
    if not isinstance(program, Program):
        raise ValueError(f"simulate takes what compile_kernel returns, not {type(program).__name__}")
    sizes = _grid(grid)
    translator = _translated(program)
    values_flow = values or hazards or translator.reads_local
    if not values and (values_flow or translator.writes_global):
        args = detached(args)
    core = translator.core

    def run(args: Sequence, observer: Observer | None = None) -> list[tuple]:
        arguments = [0, lock_variables(), 0, *_bound(program, translator, args), *sizes]
        core.begin(math.prod(sizes), values_flow)
        core.observe = observer
        try:
            return [tuple(translator.run(arguments, block)) for block in range(core.blocks)]
        finally:
            core.observe = None

    with translator.lock, np.errstate(all="ignore"):
        if hazards:
            traces, found = find(core, run, args)
        else:
            traces, found = run(args), None
        distinct: dict[tuple, int] = {}
        return Execution(
            programs=tuple(distinct.setdefault(trace, len(distinct)) for trace in traces),
            traces=tuple(distinct),
            moved=tuple(sum(event[2].global_bytes for event in trace if event[0] == ISSUE) for trace in distinct),
            bytes_read=core.bytes_read,
            bytes_written=core.bytes_written,
            unique_bytes=sum(core.first_reads.values()),
            ub_peak_bytes=max((buffer.end for buffer in translator.buffers), default=0),
            hazards=found,
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
