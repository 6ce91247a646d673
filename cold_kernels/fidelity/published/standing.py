"""A launch of many programs from the few that are like the others."""

from collections.abc import Callable, Mapping
from dataclasses import replace

from ...ascend.simulator.trace.events import Trace
from ...ascend.simulator.trace.execution import Execution


def standing_for(run: Callable[[int], Execution], alike: Mapping[int, int]) -> Execution:
    """A launch whose programs are each like one of few, which alone are executed.

    Args:
        run: Executes the program of that number alone.
        alike: Programs by number, in order: each with how many, itself the first, are like it on data of their own.
    """
    parts = [(run(number), count) for number, count in alike.items()]
    traces: dict[Trace, int] = {}
    programs: list[int] = []
    for part, count in parts:
        programs += [traces.setdefault(part.traces[0], len(traces))] * count
    of_trace = {traces[part.traces[0]]: part for part, _ in parts}
    alone = [of_trace[number] for number in range(len(traces))]
    first = parts[0][0]
    return replace(
        first,
        traces=tuple(traces),
        programs=tuple(programs),
        moved=tuple(part.moved[0] for part in alone),
        most=None if first.most is None else tuple(part.most[0] for part in alone),
        bytes_read=sum(part.bytes_read * count for part, count in parts),
        bytes_written=sum(part.bytes_written * count for part, count in parts),
        unique_bytes=sum(part.unique_bytes * count for part, count in parts),
        ub_peak_bytes=max(part.ub_peak_bytes for part, _ in parts),
    )
