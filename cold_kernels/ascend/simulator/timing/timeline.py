"""When each event of a trace happens on a chip: pipes that run beside each other, ordered by flags and barriers.

The scalar unit issues in order; each pipe starts its instructions in order. A flag takes effect when everything
issued before it on its pipe is complete. Instructions on one pipe overlap except across a ``pipe_barrier``.
"""

from collections import Counter
from collections.abc import Generator, Iterable
from dataclasses import dataclass

from ...errors import Deadlock
from ..trace.events import (
    ALL,
    Arrive,
    Barrier,
    Event,
    FlagId,
    Issue,
    Lock,
    Meet,
    ScalarAccess,
    ScalarWork,
    SetCounter,
    SetFlag,
    Unlock,
    WaitCounter,
    WaitFlag,
)
from ..trace.work import LOAD, SCALAR, VECTOR
from .costs import Cost, Costs


@dataclass(frozen=True)
class Timeline:
    """One program's time on one core: cycles until it ends, and busy cycles by pipe."""

    cycles: float
    busy: dict[str, float]


class Share:
    """A core's part of global memory: it serves in the order of time, whatever order copies are issued in."""

    def __init__(self) -> None:
        self._busy: list[tuple[float, float]] = []

    def take(self, start: float, amount: float, oldest: float) -> float:
        """When ``amount`` cycles of it, asked for at ``start``, are over; nothing older than ``oldest`` comes later."""
        before = [span for span in self._busy if oldest <= span[1] < start]
        after = [span for span in self._busy if span[1] >= start]
        begin = end = start
        while after and after[0][0] <= end + amount:
            first, last = after.pop(0)
            amount -= max(0.0, first - end)
            begin, end = min(begin, first), last
        end += amount
        self._busy = [*before, (begin, end), *after]
        return end


class Observer:
    """What `schedule` tells of each event; times are cycles since the program's start.

    ``begun`` is when the scalar unit came to the event and ``now`` when it went on to the next one.
    """

    def worked(self, event: ScalarWork | ScalarAccess, begun: float, now: float) -> None:
        """The scalar unit worked, or accessed memory."""

    def issued(
        self, event: Issue, cost: Cost, begun: float, ready: float, start: float, end: float, now: float
    ) -> None:
        """An operation was issued at ``ready`` and took ``start`` to ``end`` on its pipe."""

    def raised(self, event: SetFlag, begun: float, now: float, at: float, up: float) -> None:
        """Everything before a flag on its pipe was complete at ``at``; it is up from ``up`` on."""

    def waited(self, event: WaitFlag, begun: float, now: float, idle: float, up: float, on: float) -> None:
        """A pipe had nothing to do since ``idle``, waited for a flag that was up at ``up``, and went on at ``on``."""

    def drained(self, event: Barrier, idle: float, on: float) -> None:
        """A barrier of one pipe held it from ``idle`` to ``on``; of all pipes, the scalar unit."""

    def locked(self, event: Lock | Unlock | Meet, begun: float, turn: float, now: float) -> None:
        """The scalar unit waited until ``turn``, and then took a lock, passed it on, or went past a barrier of all
        cores."""

    def counted(self, event: WaitCounter, begun: float, turn: float, now: float, source: int, at: float) -> None:
        """The scalar unit waited until ``turn`` for a flag that core ``source`` of its group set last, at ``at``."""

    def set_counter(self, event: SetCounter, begun: float, now: float) -> None:
        """A flag for the group's other cores was issued."""

    def ended(self, total: float, done: dict[str, float]) -> None:
        """The program ended; ``done`` says when each pipe's accesses were complete."""


def schedule(
    trace: Iterable[Event], costs: Costs, observer: Observer | None = None, turns: dict | None = None
) -> Timeline:
    """Run a trace through the pipes of one core.

    Args:
        trace: Events of one program, in program order.
        costs: Cycles of work on the chip.
        observer: Is told of every event, if given.
        turns: When the program before this one passed each lock on; this one's times replace them. As ``(Meet, number,
            time)`` when a program may go on at a barrier of all cores for the n-th time, as ``(Arrive, number, time)``
            when the last of them has come there; added to by this one.

    Raises:
        Deadlock: a wait without a set before it, or a set without a wait after it.
    """
    running = scheduled(trace, costs, observer, {} if turns is None else turns, Raised())
    try:
        next(running)
    except StopIteration as end:
        return end.value
    raise Deadlock("a core that is alone waits for another one of its group")


class Raised:
    """When the cores of a group set their flags: a list of times for each core and flag."""

    def __init__(self) -> None:
        self.times: dict[tuple[int, int], list[float]] = {}

    def add(self, core: int, flag: int, at: float) -> None:
        """``core`` set the flag, with all before it complete, at this time."""
        self.times.setdefault((core, flag), []).append(at)

    def at(self, core: int, flag: int, number: int) -> float | None:
        """When it set the flag for the ``number``-th time, from 0, as far as that is known."""
        times = self.times.get((core, flag), ())
        return times[number] if number < len(times) else None


def scheduled(
    trace: Iterable[Event],
    costs: Costs,
    observer: Observer | None,
    turns: dict,
    raised: Raised,
    core: int = 0,
    sources: tuple[int, ...] = (),
) -> Generator[None, None, Timeline]:
    """`schedule`, of core number ``core`` of a group: it yields while it waits for a flag that one of the cores
    ``sources`` has not set yet, as ``raised`` knows it."""
    cycles = costs.cycles
    scalar, flag = cycles["scalar"], cycles["flag"]
    now, memory, first = 0.0, Share(), True
    out = costs.out
    free = dict.fromkeys(costs.queues, 0.0)
    done = dict.fromkeys(costs.queues, 0.0)
    busy = dict.fromkeys(costs.pipes, 0.0)
    flags: dict[FlagId, float] = {}
    times: Counter[int] = Counter()
    waited: Counter[int] = Counter()
    for event in trace:
        kind = type(event)
        begun = now
        if kind is Issue:
            work = event.work
            pipe = work.pipe
            cost = costs(work)
            now += cost.issue
            busy[SCALAR] += cost.issue + cost.scalar
            if work.drains:
                now = max(now, done[VECTOR], free[VECTOR])
            ready = now
            start = max(now, free[pipe])
            end = start + cost.pipe
            if cost.memory:  # loads and stores of a core share its part of global memory
                oldest = max(ready, min(free[LOAD], free[out]))  # no later copy starts before
                end = max(end, memory.take(start, cost.memory, oldest))
            free[pipe] = end
            if first and pipe == LOAD:
                cost, first = cost._replace(latency=cost.latency + costs.first_load), False
            done[pipe] = max(done[pipe], end + cost.latency)
            busy[pipe] += end - start - cost.scalar
            if work.blocks:
                now = max(now, done[pipe])
            if observer:
                observer.issued(event, cost, begun, ready, start, end, now)
        elif kind is ScalarWork:
            spent = event.count * scalar + event.divisions * cycles["scalar_divide"]
            now += spent
            busy[SCALAR] += spent
            if observer:
                observer.worked(event, begun, now)
        elif kind is SetFlag:
            identity = event.flag
            if identity in flags:
                raise Deadlock(f"{identity} is set twice with no wait between")
            # Queued on its pipe: it overtakes neither instructions nor waits before it.
            source = identity.source
            at = now if source == SCALAR else max(now, done[source], free[source])
            flags[identity] = up = at + flag
            now += scalar
            busy[SCALAR] += scalar
            if observer:
                observer.raised(event, begun, now, at, up)
        elif kind is Barrier:
            pipe = event.pipe
            if pipe == SCALAR:
                continue  # it works in order anyway
            if pipe == ALL:
                now = max(now, *done.values(), *free.values())
                if observer:
                    observer.drained(event, begun, now)
            else:
                idle = free[pipe]
                free[pipe] = max(idle, done[pipe])
                if observer:
                    observer.drained(event, idle, free[pipe])
        elif kind is ScalarAccess:
            spent = event.count * cycles["scalar_local" if event.local else "scalar_global"]
            spent += event.missed * cycles["scalar_miss"] + event.first * cycles["scalar_first"]
            now += spent
            busy[SCALAR] += spent
            if observer:
                observer.worked(event, begun, now)
        elif kind is WaitFlag:
            identity = event.flag
            waiting = identity.waiting
            set_at = flags.pop(identity, None)
            if set_at is None:
                raise Deadlock(
                    f"{waiting} waits for event {identity.event} of {identity.source}, which nothing has set"
                )
            now += scalar
            busy[SCALAR] += scalar
            if waiting == SCALAR:
                idle, now = now, max(now, set_at)
                on = now
            else:
                idle = free[waiting]
                free[waiting] = on = max(idle, set_at, now)
            if observer:
                observer.waited(event, begun, now, idle, set_at, on)
        elif kind is Lock:
            turn = max(now, turns.get(event.address, 0.0))
            now = turn + cycles["scalar_global"]
            busy[SCALAR] += cycles["scalar_global"]
            if observer:
                observer.locked(event, begun, turn, now)
        elif kind is Unlock:
            turn = max(now, *done.values(), *free.values())
            now = turn + cycles["scalar_global"]
            busy[SCALAR] += cycles["scalar_global"]
            turns[event.address] = now
            if observer:
                observer.locked(event, begun, turn, now)
        elif kind is Arrive:
            times[event.number] += 1
            coming = Arrive, event.number, times[event.number]
            turns[coming] = max(turns.get(coming, 0.0), now, done[event.pipe], free[event.pipe]) + flag
        elif kind is SetCounter:
            pipe = event.pipe
            at = now if pipe == SCALAR else max(now, done[pipe], free[pipe])
            raised.add(core, event.flag, at)
            now += scalar
            busy[SCALAR] += scalar
            if observer:
                observer.set_counter(event, begun, now)
        elif kind is WaitCounter:
            number = waited[event.flag]
            waited[event.flag] += 1
            while None in (sets := [raised.at(source, event.flag, number) for source in sources]):
                yield
            last = max(sets)
            turn = max(now, last + costs.counter)
            now = turn + scalar
            busy[SCALAR] += scalar
            if observer:
                observer.counted(event, begun, turn, now, sources[sets.index(last)], last)
        elif kind is Meet:
            turn = max(now, turns.get((Meet, event.number, times[event.number]), 0.0))
            now = turn + scalar
            busy[SCALAR] += scalar
            if observer:
                observer.locked(event, begun, turn, now)
    for identity in flags:
        raise Deadlock(f"nothing waits for {identity}; the next launch would hang")
    total = max(now, *done.values(), *free.values())
    if observer:
        observer.ended(total, done)
    return Timeline(total, busy)
