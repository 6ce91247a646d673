"""A grid of more programs than the chip has cores for them: what each further program of a core does again."""

import math
from collections.abc import Iterator

from ..simulator.profile.profile import Profile
from ..simulator.trace.pipes import is_pipe
from ..simulator.trace.work import SCALAR
from .codes import GRID_BEYOND_CORES
from .finding import Finding, head_of
from .launch import ProfiledLaunch


def grid_beyond_cores(launch: ProfiledLaunch) -> Iterator[Finding]:
    """One finding for a launch; its price is what further programs cost beside their own copies and vector work."""
    cores, programs = launch.simulation.places, math.prod(launch.grid)
    if programs <= cores:
        return
    yield Finding(
        GRID_BEYOND_CORES,
        launch.function,
        head_of(launch.kernel),
        f"{programs} programs on {cores} {launch.cores}: a core runs up to "
        f"{math.ceil(programs / cores)} one after the other, and each begins again with nothing under way",
        f"launch min(programs, {cores}) programs and let each one loop: "
        "for i in range(tl.program_id(0), n, tl.num_programs(0))",
        _between(launch.profile),
    )


def _between(found: Profile) -> float:
    """Cycles in which neither copies nor vector work are under way since a program ended and the next one began.

    They reach from the end of a program's last copy or vector operation to the start of the next program's first one,
    its dispatch included.
    """
    total, idle_since = 0.0, None
    for start, recording in found.programs:
        worked = [part for part in recording.slices if not is_pipe(part.pipe, SCALAR)]
        if not worked:
            continue
        if idle_since is not None:
            total += start + min(part.start for part in worked) - idle_since
        idle_since = start + max(part.end for part in worked)
    return total
