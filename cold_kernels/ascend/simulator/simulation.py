"""A launch of a compiled program, executed."""

from collections.abc import Sequence

from ..chips import Chip, chip_named
from ..program import Program
from .core.binding import detached
from .execute.launch import Launch
from .hazards import Hazard
from .hazards.find import find
from .timing.cores import Execution, Simulation, timed
from .trace.work import ISSUE


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
    launch = Launch(program, grid)
    translator, core = launch.translator, launch.core
    with launch.held():
        if hazards:
            traces, found = find(launch, args, values)
        else:
            flow = values or translator.reads_local
            if not values and (flow or translator.writes_global):
                args = detached(args)
            traces, found = launch.run(args, values=flow), None
        distinct: dict[tuple, int] = {}
        return Execution(
            programs=tuple(distinct.setdefault(trace, len(distinct)) for trace in traces),
            traces=tuple(distinct),
            moved=tuple(sum(event[2].global_bytes for event in trace if event[0] == ISSUE) for trace in distinct),
            bytes_read=core.bytes_read,
            bytes_written=core.bytes_written,
            unique_bytes=core.unique_bytes,
            ub_peak_bytes=max((buffer.end for buffer in translator.buffers), default=0),
            hazards=found,
        )
