"""A program run with its pipes at random speeds: what the remaining flags and barriers permit, a device may do.

Knows nothing of `order`: flags are set and cleared, instructions read when they start and write when they end, and
whoever is ready may go. What can come out otherwise shows as other bytes, or as a pipe that waits for ever. A flag that
is set again before the slow pipe behind it has come to its first wait counts twice: the compiler relies on that.
"""

import random
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from itertools import product
from typing import Any, NamedTuple

from ...errors import AscendError, Deadlock
from ..core.binding import contents, detached
from ..core.operations import Op
from ..core.waiting import Wait
from ..execute.groups import Group, hung
from ..execute.launch import GridLaunch
from ..trace.events import ALL, Barrier, FlagId, Issue, SetCounter, SetFlag, Unlock, WaitFlag
from ..trace.pipes import pipes_of
from ..trace.work import MULTIPLY, SCALAR, VECTOR, Work

EAGERNESS = (0.0, 0.5, 1.0)
"""How readily pipes work while the scalar unit could go on; at 0 they work when it waits for them, and no further."""
CHANGE = 0.05
"""How often who comes first is drawn again."""


class Instruction(NamedTuple):
    """What a pipe was given, with the values that its operands had then."""

    op: Op
    touches: Callable
    step: Callable
    env: list
    work: Work


class Interleaving:
    """Observes a core: hands each instruction to its pipe, and lets the pipes run in an order drawn from a seed.

    Raises `Deadlock` where a flag never comes or stays set.
    """

    def __init__(self, core, seed: int) -> None:
        self.core, self.random = core, random.Random(f"{seed}/{core.number}" if core.number else seed)
        self.eagerness = EAGERNESS[seed % len(EAGERNESS)]
        self.pipes = pipes_of("AIC" if core.cube else "AIV")[1:]
        self.queues: dict[str, deque] = {pipe: deque() for pipe in self.pipes}
        self.running: dict[str, list[list]] = {pipe: [] for pipe in self.pipes}
        """Instructions that have read and not written: the bytes that they will write, and where."""
        self.flags: Counter[FlagId] = Counter()
        self._draw()

    def __call__(self, op: Op, touches, step, env: list) -> None:
        if op.name == "func.func":
            step(env)
            self.finish()
        elif not op.name.startswith("hivm."):
            if touches is not None:
                self._meanwhile()
            step(env)
        else:
            self._issue(op, touches, step, env)

    def finish(self) -> None:
        """Let the pipes run to their ends.

        Raises:
            Deadlock: flags stay set.
        """
        self._until(self.idle)
        if self.flags.total():
            raise Deadlock(f"{self.flags.total()} flags stay set")

    def _issue(self, op: Op, touches, step, env: list) -> None:
        place = len(self.core.trace)
        self.core.values = False  # for its events; it is run when its pipe comes to it
        step(env)
        self.core.values = True
        for event in self.core.trace[place:]:
            self._meanwhile()
            kind = type(event)
            if kind is Issue:
                work = event.work
                if work.drains:
                    self._until(lambda: self.idle(VECTOR))
                instruction = Instruction(op, touches, step, list(env), work)
                if work.blocks:
                    self._until(lambda pipe=work.pipe: self.idle(pipe))
                    self._start(instruction)
                    self._finish(work.pipe, 0)
                else:
                    self.queues[work.pipe].append(instruction)
            elif kind is SetFlag and event.flag.source != SCALAR:
                self.queues[event.flag.source].append(event)
            elif kind is WaitFlag and event.flag.waiting != SCALAR:
                self.queues[event.flag.waiting].append(event)
            elif kind is SetCounter and event.pipe != SCALAR:
                self.queues[event.pipe].append(event)
            elif kind is SetCounter:
                self._count(event)
            elif kind is SetFlag:
                self.flags[event.flag] += 1
            elif kind is WaitFlag:
                self._until(lambda flag=event.flag: self.flags[flag])
                self.flags[event.flag] -= 1
            elif kind is Unlock or (kind is Barrier and event.pipe == ALL):
                self._until(self.idle)
            elif kind is Barrier and event.pipe != SCALAR:
                self.queues[event.pipe].append(event)

    def idle(self, *pipes: str) -> bool:
        """Whether these pipes, or all, have nothing to do."""
        return not any(self.queues[pipe] or self.running[pipe] for pipe in pipes or self.pipes)

    def _draw(self) -> None:
        """Who comes first from now on: each pipe's starting and its ending have a rank."""
        self.rank = {key: self.random.random() for key in product(self.pipes, (True, False))}

    def _meanwhile(self) -> None:
        while self.random.random() < self.eagerness - 0.05 and self.advance():
            pass

    def _until(self, condition: Callable[[], bool]) -> None:
        while not condition():
            if not self.advance():
                raise Deadlock("every pipe waits for a flag that nothing sets")

    def _count(self, event: SetCounter) -> None:
        self.core.group.counters.set(self.core.number, event.flag)

    def advance(self) -> bool:
        """One step of one pipe; False if none can take any."""
        if self.random.random() < CHANGE:
            self._draw()
        ready = [(pipe, True) for pipe in self.pipes if self._ready(pipe)]
        ready += [(pipe, False) for pipe in self.pipes if self.running[pipe]]
        if not ready:
            return False
        pipe, starting = max(ready, key=self.rank.__getitem__)
        if not starting:
            self._finish(pipe, self.random.randrange(len(self.running[pipe])))
            return True
        item = self.queues[pipe].popleft()
        if isinstance(item, Instruction):
            self._start(item)
        elif isinstance(item, SetFlag):
            self.flags[item.flag] += 1
        elif isinstance(item, WaitFlag):
            self.flags[item.flag] -= 1
        elif isinstance(item, SetCounter):
            self._count(item)
        return True

    def _ready(self, pipe: str) -> bool:
        """Whether the pipe can take what is first in its queue."""
        if not self.queues[pipe]:
            return False
        item = self.queues[pipe][0]
        if isinstance(item, Instruction):
            return pipe != MULTIPLY or not self.running[pipe]  # one after the other, as the library sees to
        return self.flags[item.flag] > 0 if isinstance(item, WaitFlag) else not self.running[pipe]

    def _start(self, instruction: Instruction) -> None:
        """Read and compute: the results are held back until it ends."""
        op, touches, step, env, work = instruction
        places = [region.of(region.allocation.data) for region in touches(env).writes]
        before = [place.copy() for place in places]
        trace, self.core.trace = self.core.trace, []
        step(env)
        self.core.trace = trace
        results = [(place, place.copy()) for place in places]
        for place, old in zip(places, before, strict=True):
            place[...] = old
        self.running[work.pipe].append(results)

    def _finish(self, pipe: str, number: int) -> None:
        for place, new in self.running[pipe].pop(number):
            place[...] = new


class GroupInterleaving:
    """Runs the cores of a group in an order drawn from a seed, each with its own pipes at random speeds.

    Raises `Deadlock` where a flag never comes, or a counter does not come back to 0.
    """

    def __init__(self, cores: Sequence, seed: int) -> None:
        self.cores = [Interleaving(core, seed) for core in cores]
        self.random = random.Random(f"{seed}/group")
        self.rank = self._drawn()

    def _drawn(self) -> list[float]:
        """Who comes first from now on: each core's scalar unit, and each core's pipes."""
        return [self.random.random() for _ in range(2 * len(self.cores))]

    def run(self, group: Group, bodies: Sequence[Iterator[Wait]]) -> list:
        """Run one program, as `Group.run` does."""
        group.at_once = False
        try:
            left = dict(enumerate(bodies))
            blocked: dict[int, Wait] = {}
            while left or not all(core.idle() for core in self.cores):
                if self.random.random() < CHANGE:
                    self.rank = self._drawn()
                self._go(group, left, blocked)
            if group.counters.left():
                raise Deadlock("counters of a group do not come back to 0")
        finally:
            group.at_once = True
        return []

    def _go(self, group: Group, left: dict[int, Iterator[Wait]], blocked: dict[int, Wait]) -> None:
        """One step of a pipe, or of a scalar unit up to its next wait."""
        units = [n for n in left if n not in blocked or group.counters.value(n, blocked[n].flag)]
        pipes = [n + len(self.cores) for n, core in enumerate(self.cores) if not core.idle()]
        for chosen in sorted((*units, *pipes), key=self.rank.__getitem__):
            if chosen >= len(self.cores):
                if self.cores[chosen - len(self.cores)].advance():
                    return
                continue
            blocked.pop(chosen, None)
            wait = next(left[chosen], None)
            if wait is None:
                del left[chosen]
                self.cores[chosen].finish()
            else:
                blocked[chosen] = wait
            return
        raise hung(blocked)


def can_differ(launch: GridLaunch, args: Sequence, expected: list[Any], seeds: int) -> str | None:
    """How a launch can come out otherwise than with ``expected`` (`contents` of its arguments); None if it did not.

    Args:
        launch: Of a program that may be wrong.
        args: Left alone.
        seeds: How many orders to try, after the order of the program.
    """
    with launch.held():
        for seed in range(-1, seeds):
            work = detached(args)
            try:
                if seed < 0:
                    launch.run(work)
                elif launch.group is None:
                    launch.run(work, Interleaving(launch.core, seed))
                else:
                    order = GroupInterleaving(launch.cores, seed)
                    launch.run(work, order.cores, order=order.run)
            except AscendError as error:
                return str(error)
            if contents(work) != expected:
                return "other results in the order of the program" if seed < 0 else f"other results in order {seed}"
    return None
