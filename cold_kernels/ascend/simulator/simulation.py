"""A launch of a compiled program, executed."""

from collections.abc import Iterable, Sequence

from ..chips import Chip, chip_named
from ..program import Program
from .core.addresses import FindMemory
from .core.binding import detached
from .execute.launch import GridLaunch
from .hazards.find import find
from .timing.cores import Simulation, timed
from .trace.events import Trace


def simulate(
    program: Program,
    args: Sequence,
    grid: Sequence[int],
    *,
    chip: Chip | str | None = None,
    values: bool = True,
    hazards: bool = False,
    memory: FindMemory | None = None,
) -> Simulation:
    """Execute a compiled program on every place of a grid, and time it.

    Values are computed on the planned buffer addresses, in the types and roundings that HIVM names; what the
    closed back end does below HIVM is not claimed.

    Args:
        program: A compiled kernel, of vector cores, the cube core, or both.
        args: The kernel's run-time arguments in order: CPU tensors (outputs are written in place) and numbers.
        grid: Programs along up to three axes.
        chip: What to time it on; by default the one that it was compiled for.
        values: Whether to move and compute vector data. Without, only the scalar flow runs: indices still decide
            loops and branches, outputs are left alone. A program whose scalar unit reads vector data runs with
            values all the same.
        hazards: Whether to look for `Hazard`s as well: `Simulation.hazards` has them. `find_hazards` looks for nothing
            else, and also where a flag that nothing sets leaves no time to simulate.

        memory: Knows what the program may reach through pointers that it loads, other than its tensors: from an
            address to the base and the size in bytes of the allocation that holds it, or None.

    Raises:
        UnsupportedProgram: an operation, or a form of one, that is not modelled.
        OutOfBounds: an access outside a tensor's storage or a buffer; names the operation and its source line. A read
            outside of a tensor on which nothing depends is none: it is a hazard.
        Deadlock: a pipe waits for a flag that nothing sets.
        ValueError: arguments or grid that do not fit the program.
    """
    launch = GridLaunch(program, grid, memory)
    with launch.held():
        traces, found = find(launch, args, values) if hazards else (traced(launch, args, values), None)
        execution = launch.execution(traces)
    return timed(execution, chip if isinstance(chip, Chip) else chip_named(chip or program.chip), found)


def traced(launch: GridLaunch, args: Sequence, values: bool, blocks: Iterable[int] | None = None) -> list[Trace]:
    """The traces of a launch's programs, or of those numbered ``blocks``; without ``values`` as `simulate` says."""
    flow = values or launch.reads_local
    if not values and (flow or launch.writes_global):
        args = detached(args)
    return launch.run(args, values=flow, blocks=blocks)
