"""The cube core of a group, waiting for what its vector cores hand to it."""

from collections import Counter
from collections.abc import Iterator

from ..simulator.core.counters import CUBE
from ..simulator.profile.price import saved
from ..simulator.trace.events import Event, WaitCounter, by_core
from .codes import WAITING_CUBE
from .finding import Finding, place_of
from .launch import ProfiledLaunch

LEAST = 0.05
"""Share of the launch's cycles from which on it is named."""
KIND = "group"


def waiting_cube(launch: ProfiledLaunch) -> Iterator[Finding]:
    """One finding for a launch, at the wait that takes longest; its price is all of them."""
    simulation, found = launch.simulation, launch.profile
    kinds = simulation.execution.kinds
    if len(kinds) == 1:
        return
    waits: Counter[str] = Counter()
    for cause, cycles in found.stalled[found.pipes[CUBE]].items():
        if cause.kind == KIND:
            waits[cause.line] += cycles
    own = {
        event
        for trace in simulation.execution.traces
        for event in by_core(trace, len(kinds))[CUBE]
        if isinstance(event, WaitCounter)
    }
    cycles = saved(simulation, lambda event: _without(event, own))
    if not waits or cycles < LEAST * simulation.cycles:
        return
    ((line, longest),) = waits.most_common(1)
    (operation, *_) = (event.op for event in own if event.op.location == line)
    yield Finding(
        WAITING_CUBE,
        launch.function,
        place_of(operation, launch),
        f"the cube core waits {sum(waits.values()) / found.cycles:.0%} of the time for its vector cores, longest here "
        f"({longest / found.cycles:.0%}): what they compute stands between two of its products",
        "give the vector cores less to do for each product: larger tiles along the axis that is summed, masks only "
        "where a tile needs them, row statistics in fp32 vectors; or let several tiles be under way: "
        "set_workspace_multibuffer=2, tile_mix_vector_loop, tile_mix_cube_loop",
        cycles,
    )


def _without(event: Event, waits: set[Event]) -> Event | None:
    return None if event in waits else event
