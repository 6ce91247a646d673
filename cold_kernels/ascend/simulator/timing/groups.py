"""The time of programs that run on a cube core and its vector cores together."""

from collections.abc import Sequence

from ...errors import Deadlock
from ..core.counters import Counters
from ..trace.events import Trace, by_core
from .costs import Costs
from .timeline import Observer, Raised, Timeline, schedule, scheduled


def schedule_cores(
    trace: Trace, costs: Sequence[Costs], observers: Sequence[Observer] | None = None, turns: dict | None = None
) -> list[Timeline]:
    """Run a trace through the pipes of every core that its program runs on, each as `schedule` does.

    Args:
        costs: Of each core.
        observers: One for each core, if given.
        turns: As of `schedule`, where there is one core.

    Raises:
        Deadlock: as `schedule`, or no core can go on.
    """
    observers = observers or [None] * len(costs)
    if len(costs) == 1:
        return [schedule(trace, costs[0], observers[0], turns)]
    raised, sources = Raised(), Counters(len(costs) - 1).sources
    turns = {} if turns is None else turns
    running = {
        core: scheduled(own, costs[core], observers[core], turns, raised, core, sources(core))
        for core, own in enumerate(by_core(trace, len(costs)))
    }
    ended: dict[int, Timeline] = {}
    known = -1
    while running:
        before, known = known, len(ended) + sum(map(len, raised.times.values()))
        if known == before:
            raise Deadlock("the cores of a group wait for ever for each other's flags")
        for core in list(running):
            try:
                next(running[core])
            except StopIteration as end:
                ended[core] = end.value
                del running[core]
    return [ended[core] for core in range(len(costs))]
