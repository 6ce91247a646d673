"""A compiled program, translated once into Python closures.

Every value of the program has a slot in a list, the environment; every operation with something left to do
becomes a step, a function of the environment. Constants and views of planned buffers are computed here. A step
that a pipe executes also appends an event to the core's trace; scalar arithmetic is counted ahead of time.
"""

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import groupby
from typing import Any, NamedTuple

from xdsl.ir import Block, Operation, SSAValue

from .. import dialects  # noqa: F401
from ..core.addresses import GlobalMemory
from ..core.effects import Effects
from ..core.memory import Allocation
from ..core.operations import FREE, HANDLERS, IN_PARTS, REFUSED, Op, divides, located, placed
from ..core.spaces import POISON, UB, memories
from ..core.strays import READS, STRAY, Before, Strays
from ..core.waiting import Wait, driven, waiting, waits
from ..trace.events import Event, Issue, ScalarWork
from .concurrent import ConcurrentPrograms
from .effects import effects
from .groups import Group
from .straight import FEWEST, Pure, straight

Closure = Callable[[list], None]
OperationObserver = Callable[[Op, Callable[[list], Effects] | None, Closure, list], None]
"""Called with an operation, what it touches, its step and the environment; runs the step."""
CACHE_LINE = 64
"""Bytes of a line of the scalar data cache (AscendC, DataCacheCleanAndInvalid)."""


class Watched(NamedTuple):
    """A step that leaves events, with its operation and what that touches; neither of what only computes."""

    op: Op | None
    touches: Callable[[list], Effects] | None
    step: Closure


class Core:
    """The state that steps share while one program runs: its place in the grid, its memories, its trace.

    Args:
        cube: Whether it is a cube core.
    """

    def __init__(self, cube: bool = False) -> None:
        self.cube, self.memories = cube, memories(cube)
        self.buffer = self.memories.get(UB)
        self.block = 0
        self.blocks = 1
        self.values = True
        self.trace: list[Event] = []
        self.bytes_read = 0
        self.bytes_written = 0
        self.late_reads = 0
        self.first_reads: dict[tuple, int] = {}
        self.last_reads: dict[object, dict[tuple, tuple[int, int]]] = {}
        self.lines: set[tuple[int, int]] = set()
        self.tensors: set[int] = set()
        self.under_way = False
        self.memory: GlobalMemory | None = None
        self.strays = Strays()
        self.before: Before | None = None
        self.observe: OperationObserver | None = None
        self.concurrent: ConcurrentPrograms | None = None
        self.group: Group | None = None
        self.number = 0
        """Which core of its group it is."""
        self.units: dict[int, str] = {}
        """Tiles of L0C by address: the pipe that has done with each last, where unit flags order them."""

    def begin(self, blocks: int, values: bool, stray: int = STRAY) -> None:
        """Begin a launch of so many programs; without ``values`` only the scalar flow runs. Reads outside of every
        tensor give the byte ``stray``."""
        self.blocks, self.values = blocks, values
        self.bytes_read = self.bytes_written = self.late_reads = 0
        self.first_reads, self.last_reads = {}, {}
        self.strays = Strays(stray)
        self.before = Before() if values and self.observe is None else None

    def forget(self) -> None:
        """Let go of a launch's memory."""
        self.first_reads, self.last_reads = {}, {}
        self.strays, self.before = Strays(), None

    def stray(self, op: Op, error: Exception, does: str = READS) -> None:
        """An operation accesses memory outside of every tensor, and leaves it as it is."""
        self.strays.note(op, error, self.block, does)

    def start(self, block: int) -> None:
        """Begin program ``block`` with an empty trace and, if values count, a poisoned buffer."""
        self.block = block
        self.trace = []
        self.lines, self.tensors, self.under_way = set(), set(), False
        self.units = {}
        if self.values:
            for memory in self.memories.values():
                memory.fill(POISON)

    def waits(self, memory: int, place: int, overlaps: bool) -> int:
        """Whether this program's scalar unit waits for byte ``place`` of a memory, by its identity: it is in a line
        that it had not loaded, and no other such line is under way that this load ``overlaps``. 2 if it had loaded
        nothing of this memory, else 1; 0 if it does not wait.

        The cache is taken as large enough to keep all lines; what is stored passes it by.
        """
        line = memory, place // CACHE_LINE
        missed = line not in self.lines
        first = memory not in self.tensors
        self.lines.add(line)
        self.tensors.add(memory)
        waits = missed and not (overlaps and self.under_way)
        self.under_way = missed or (overlaps and self.under_way)
        return waits * (1 + first)


class Translator:
    """Translates the device function of a program; `run` executes one program of the grid.

    A translation has one unified buffer: hold ``lock`` from the first program of a launch to the last.
    """

    def __init__(self, function: Op) -> None:
        self.lock = threading.Lock()
        self.core = Core("<AIC>" in str(function.attribute("hivm.func_core_type")))
        self.mixed = function.attribute("hivm.part_of_mix") is not None
        self.template: list[Any] = []
        self.slots: dict[SSAValue, int] = {}
        self.known: dict[SSAValue, Any] = {}
        self.buffers: list[Allocation] = []
        self.loads: dict[Operation, tuple[Callable[..., Issue], Callable[..., None]]] = {}
        """Of each load from global memory, what gives its event, and what notes that it was read."""
        self.reads_local = self.writes_global = self.meets = False
        block = function.regions[0].block
        self.parameters = [self.slot(argument) for argument in block.args]
        self.parameter_types = [argument.type for argument in block.args]
        body = self.block(block)
        self.body = self.observed(function, effects(self, function), body)

    def run(self, arguments: list[Any], block: int) -> list[Event]:
        """Execute one program and return its trace."""
        self.core.start(block)
        for wait in self.begun(arguments):
            raise wait.op.unsupported("waiting for another core in a program that has one")
        return self.core.trace

    def begun(self, arguments: list[Any]) -> Iterator[Wait]:
        """Execute a program that has started; yields where it waits for another core of its group."""
        environment = list(self.template)
        for slot, value in zip(self.parameters, arguments, strict=True):
            environment[slot] = value
        if waits(self.body):
            yield from self.body(environment)
        else:
            self.body(environment)

    def slot(self, value: SSAValue) -> int:
        """Where the environment keeps a value."""
        if value not in self.slots:
            self.slots[value] = len(self.template)
            self.template.append(None)
        return self.slots[value]

    def know(self, value: SSAValue, constant: Any) -> None:
        """Fix a value at translation time."""
        self.known[value] = constant
        self.template[self.slot(value)] = constant

    def pure(self, op: Op, function: Callable[..., Any], text: str = "") -> Pure | None:
        """The step that applies ``function`` to the operands, or None if it could be applied already.

        A function for several results returns a tuple. ``text`` is for `scalar_loops.Writer`, which says what it is.
        """
        if self.fold(op, function):
            return None
        result, *more = [self.slot(value) for value in op.results]
        slots = [self.slot(operand) for operand in op.operands]
        if more:

            def step(env: list) -> None:
                for slot, value in zip((result, *more), function(*(env[slot] for slot in slots)), strict=True):
                    env[slot] = value

        elif len(slots) == 1:
            (only,) = slots

            def step(env: list) -> None:
                env[result] = function(env[only])

        elif len(slots) == 2:
            first, second = slots

            def step(env: list) -> None:
                env[result] = function(env[first], env[second])

        else:

            def step(env: list) -> None:
                env[result] = function(*(env[slot] for slot in slots))

        return Pure(op, function, text, step)

    def fold(self, op: Op, function: Callable[..., Any]) -> bool:
        """Apply ``function`` now if every operand is known."""
        if any(operand not in self.known for operand in op.operands):
            return False
        value = function(*(self.known[operand] for operand in op.operands))
        for result, part in zip(op.results, value if len(op.results) > 1 else (value,), strict=True):
            self.know(result, part)
        return True

    def block(self, block: Block, overhead: int = 0, owner: Op | None = None) -> Closure:
        """One step for all operations of a block; ``overhead`` counts scalar operations of its owner around it."""
        steps: list[Closure | Pure | Watched] = []
        pending = Counter({owner: overhead} if overhead else {})
        for raw in block.ops:
            op = Op(raw)
            handler = HANDLERS.get(op.name)
            if handler is None:
                raise op.unsupported(REFUSED.get(op.name, "this operation"))
            with located(op):
                step = handler(self, op)
            if step is None:
                continue
            if getattr(handler, "leaves_events", True):
                if pending:
                    steps.append(self._scalar_work(pending))
                    pending = Counter()
                steps.append(step if handler in IN_PARTS else Watched(op, effects(self, op), step))
            else:
                if op.name not in FREE:
                    pending[op] += 1
                steps.append(step)
        if pending:
            steps.append(self._scalar_work(pending))
        return _sequence(self.core, list(self._joined(steps)))

    def observed(self, op: Op, touches: Callable[[list], Effects] | None, step: Closure) -> Closure:
        """The step as it is run: errors are placed, and whoever observes the core may run it in our stead."""
        return _sequence(self.core, [Watched(op, touches, step)])

    def _joined(self, steps: list[Closure | Pure | Watched]) -> Iterator[Closure | Watched]:
        """The steps, with those that are functions of their operands and follow each other as one."""
        for joins, group in groupby(steps, lambda step: isinstance(step, Pure)):
            together = list(group)
            if joins and len(together) >= FEWEST:
                yield straight(together, self.slot, self.known)
            else:
                yield from (step.step if joins else step for step in together)

    def _scalar_work(self, operations: Counter[Op]) -> Closure:
        divisions = sum(count for op, count in operations.items() if divides(op, self.known))
        core, event = self.core, ScalarWork(operations.total(), tuple(operations.items()), divisions)

        def step(env: list) -> None:
            core.trace.append(event)

        return step


def _sequence(core: Core, steps: list[Closure | Watched]) -> Closure:
    """One step for several: errors are placed, and whoever observes the core may run the watched ones in our stead."""
    parts = [step if isinstance(step, Watched) else Watched(None, None, step) for step in steps]
    if any(waits(part.step) for part in parts):
        bodies = [_placed(part) if waits(part.step) else _sequence(core, [part]) for part in parts]
        return driven(lambda env: iter(bodies), *bodies)

    def run(env: list) -> None:
        op, observe = None, core.observe
        try:
            if observe is None:
                for op, _, step in parts:
                    step(env)
            else:
                for op, touches, step in parts:
                    if op is None:
                        step(env)
                    else:
                        observe(op, touches, step, env)
        except Exception as error:
            if op is None:
                raise
            raise placed(error, op)

    return run


def _placed(part: Watched) -> Closure:
    """A step that may wait, whose errors are placed."""
    if part.op is None:
        return part.step

    @waiting
    def wait(env: list) -> Iterator[Wait]:
        try:
            yield from part.step(env)
        except Exception as error:
            raise placed(error, part.op)

    return wait
