"""A compiled program on a grid, ready to run on arguments, any number of times."""

import gc
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager

import numpy as np

from ...chips import L2_BYTES, chip_named
from ...errors import UnsupportedProgram
from ...program import Program
from ..core.addresses import FindMemory, GlobalMemory
from ..core.binding import Detached, bound, detached, lock_variables
from ..core.memory import ELEMENT_TYPES, MemRef
from ..core.operations import Op
from ..core.spaces import L0C, L1, POISON, UB, Workspace
from ..core.strays import OTHER_STRAY, STRAY
from ..trace.events import Event, Issue, Trace, by_core
from ..trace.execution import Execution
from .concurrent import ConcurrentPrograms
from .groups import CORES, Group
from .translate import Core, OperationObserver, Translator

HIDDEN_ARGUMENTS = 3
"""Arguments before the kernel's own: synchronisation address, locks, workspace. After them comes the grid."""

MAX_PROGRAMS = 65535


class GridLaunch:
    """A program on a grid: one launch, which can be run again on other arguments.

    Args:
        memory: Knows what pointers reach that are no tensors of the launch, by address.

    Raises:
        UnsupportedProgram: an operation that is not modelled.
        ValueError: it is no program, or a grid that cannot be launched.
    """

    def __init__(self, program: Program, grid: Sequence[int], memory: FindMemory | None = None) -> None:
        if not isinstance(program, Program):
            raise ValueError(f"simulate takes what compile_kernel returns, not {type(program).__name__}")
        self.program, self.grid, self.memory = program, _grid(grid, program.options.all_blocks_parallel), memory
        self.translators = _translated(program)
        self.cores = [translator.core for translator in self.translators]
        self.group = self.cores[0].group
        self.workspace = workspace(program, self.count)

    @contextmanager
    def held(self) -> Iterator[None]:
        """Around `run`: a translation has one core's memories, and computes as the device does, without warnings.

        Meanwhile Python does not look for garbage in circles: of what a launch keeps, millions of events, none is.
        """
        with self.translators[0].lock, np.errstate(all="ignore"):
            collects = gc.isenabled()
            gc.disable()
            try:
                yield
            finally:
                if collects:
                    gc.enable()
                for core in self.cores:
                    core.forget()

    @property
    def count(self) -> int:
        """How many programs start: the grid's, or where each works through a share of it (``all_blocks_parallel``), at
        most as many as there are cores (triton-ascend's launcher)."""
        places = math.prod(self.grid)
        if not self.program.options.all_blocks_parallel:
            return places
        chip = chip_named(self.program.chip)
        return min(places, chip.cube_cores if self.group else chip.vector_cores)

    @property
    def core(self) -> Core:
        """The core that the programs run on; of a group its cube core, whose trace is the group's."""
        return self.cores[0]

    @property
    def kinds(self) -> tuple[str, ...]:
        """The kinds of the cores that one program runs on, in the order of their numbers."""
        return tuple("AIC" if core.cube else "AIV" for core in self.cores)

    @property
    def reads_local(self) -> bool:
        """Whether a scalar unit reads vector data."""
        return any(translator.reads_local for translator in self.translators)

    @property
    def writes_global(self) -> bool:
        """Whether a scalar unit writes to global memory."""
        return any(translator.writes_global for translator in self.translators)

    def run(
        self,
        args: Sequence,
        observer: OperationObserver | Sequence[OperationObserver] | None = None,
        *,
        values: bool = True,
        blocks: Iterable[int] | None = None,
        order: Callable[[Group, Sequence], list] = Group.run,
    ) -> list[Trace]:
        """Execute every program of the grid, or those numbered ``blocks``, in order, and return their traces.

        Args:
            args: Tensors are written in place.
            observer: Told of every operation, and runs it; one for all cores, or one for each.
            values: Whether vector data counts, and not the scalar flow alone.
            order: Runs the cores of a group.

        Raises:
            OutOfBounds: a write outside of a tensor's storage, or a read there on which something depends.
        """
        blocks = None if blocks is None else list(blocks)
        traces = self.run_once(args, observer, values=values, blocks=blocks, order=order)
        if self.core.strays.found and observer is None:
            if values:
                self._settle(args, traces, blocks)
            else:
                self.run(detached(args), blocks=blocks)
        return traces

    def run_once(
        self,
        args: Sequence,
        observer: OperationObserver | Sequence[OperationObserver] | None = None,
        *,
        values: bool = True,
        blocks: Iterable[int] | None = None,
        stray: int = STRAY,
        order: Callable[[Group, Sequence], list] = Group.run,
    ) -> list[Trace]:
        """As `run`; what is read outside of every tensor is in ``core.strays``, and is the byte ``stray``."""
        memory = GlobalMemory(self.memory, args.originals if isinstance(args, Detached) else None)
        for each in self.cores:
            each.memory = memory
        arguments = [0, lock_variables(), self.workspace, *self._bound(args), *self.grid]
        core, count, translator = self.core, self.count, self.translators[0]
        observers = observer if isinstance(observer, Sequence) else [observer] * len(self.cores)
        for each, watching in zip(self.cores, observers, strict=True):
            each.observe = watching
            each.begin(count, values, stray)
            each.strays, each.before = core.strays, core.before
        blocks = range(count) if blocks is None else blocks
        try:
            if self.group is not None:
                return [tuple(self._together(arguments, block, order)) for block in blocks]
            if not translator.meets:
                return [tuple(translator.run(arguments, block)) for block in blocks]
            core.concurrent = ConcurrentPrograms(core, count)
            return core.concurrent.run(lambda block: translator.run(arguments, block))
        finally:
            core.concurrent = None
            for each in self.cores:
                each.observe = each.memory = None

    def _together(self, arguments: list, block: int, order: Callable[[Group, Sequence], list]) -> list:
        """One program on all cores of a group."""
        if isinstance(self.workspace, MemRef):
            own = self.workspace.size // self.count
            self.workspace.array()[block * own : (block + 1) * own] = POISON - 256  # as int8
        self.group.begin(block)
        return order(self.group, [translator.begun(arguments) for translator in self.translators])

    def _settle(self, args: Sequence, traces: list[Trace], blocks: list[int] | None) -> None:
        """Whether anything depends on what was read outside of every tensor: then that is an error."""
        strays, before = self.core.strays, self.core.before
        after = before.now()
        before.back()
        again = self.run_once(args, blocks=blocks, stray=OTHER_STRAY)
        if again != traces or before.now() != after:
            raise strays.error()
        self.core.strays = strays

    def execution(self, traces: Sequence[Trace]) -> Execution:
        """What the launch did that has just been run, from the traces of its programs."""
        distinct: dict[Trace, int] = {}
        programs = tuple(distinct.setdefault(trace, len(distinct)) for trace in traces)
        moved = [[_moved(own) for own in by_core(trace, len(self.cores))] for trace in distinct]
        return Execution(
            programs=programs,
            traces=tuple(distinct),
            moved=tuple(map(sum, moved)),
            most=tuple(map(max, moved)) if self.group else None,
            bytes_read=sum(core.bytes_read for core in self.cores),
            bytes_written=sum(core.bytes_written for core in self.cores),
            unique_bytes=unique_bytes(self.cores),
            ub_peak_bytes=self.peak_bytes(UB),
            kinds=self.kinds,
            peak_bytes={space: self.peak_bytes(space) for space in (L1, L0C) if "AIC" in self.kinds},
        )

    def peak_bytes(self, space: str) -> int:
        """The highest planned byte of a memory."""
        memories = {id(core.memories.get(space)) for core in self.cores}
        buffers = (buffer for translator in self.translators for buffer in translator.buffers)
        return max((buffer.end for buffer in buffers if id(buffer.data) in memories), default=0)

    def _bound(self, args: Sequence) -> list:
        types = self.translators[0].parameter_types[HIDDEN_ARGUMENTS:-3]
        names = list(self.program.signature)
        if len(args) != len(types):
            raise ValueError(f"{self.program.name} takes {len(types)} arguments ({', '.join(names)}), not {len(args)}")
        self.core.memory.take(args, names)
        return [bound(*argument, self.core.memory) for argument in zip(names, types, args, strict=True)]


def _grid(grid: Sequence[int], shared_out: bool) -> tuple[int, int, int]:
    sizes = tuple(grid) if isinstance(grid, Sequence) else ()
    if not 1 <= len(sizes) <= 3 or any(type(size) is not int or size < 1 for size in sizes):
        raise ValueError(f"grid {grid!r} must be a sequence of one to three positive integers")
    if math.prod(sizes) > MAX_PROGRAMS and not shared_out:
        raise ValueError(f"grid {sizes} has {math.prod(sizes)} programs; a launch has at most {MAX_PROGRAMS}")
    return (*sizes, *[1] * (3 - len(sizes)))


def _moved(events: Iterable[Event]) -> int:
    """Bytes copied from and to global memory."""
    return sum(event.work.global_bytes for event in events if isinstance(event, Issue))


def workspace(program: Program, programs: int) -> MemRef | int:
    """Global memory for what the cores of groups hand to each other, as much for each program as the compiled module
    asks for; 0 where it asks for none.

    Raises:
        UnsupportedProgram: it does not say how much as a number.
    """
    for function in program.module.ops:
        if "infer_workspace_shape_function" not in str(function.attributes.get("hacc.host_func_type")):
            continue
        (value,) = function.body.block.last_op.operands
        size = getattr(Op(value.owner).attribute("value"), "value", None)
        if size is None:
            raise UnsupportedProgram(f"{program.name}: a workspace whose size is computed is not simulated")
        bytes_ = programs * size.data
        memory = Workspace("the workspace", np.empty(bytes_, np.uint8), 0, bytes_, False)
        return MemRef(memory, 0, (bytes_,), (1,), ELEMENT_TYPES["i8"])
    return 0


def unique_bytes(cores: Sequence[Core]) -> int:
    """Bytes that the cores together read from global memory; what they read again, only if all of it is too much to
    keep."""
    first = {place: size for core in cores for place, size in core.first_reads.items()}
    total = sum(first.values())
    return total + sum(core.late_reads for core in cores) if total > L2_BYTES else total


_TRANSLATIONS: dict[str, list[Translator]] = {}
MAX_BYTES = 48 << 20
"""Of the memories of the cores that translations are kept for."""


def _translated(program: Program) -> list[Translator]:
    """A translation for each core that one program runs on."""
    text = program.hivm
    if text not in _TRANSLATIONS:
        while sum(map(_bytes, _TRANSLATIONS.values())) >= MAX_BYTES:
            _TRANSLATIONS.pop(next(iter(_TRANSLATIONS)))
        mixed = program.core_type == "MIX"
        functions = [program.functions[kind] for kind in CORES] if mixed else [program.entry]
        _TRANSLATIONS[text] = [Translator(Op(function)) for function in functions]
        if mixed:
            Group([translator.core for translator in _TRANSLATIONS[text]])
    return _TRANSLATIONS[text]


def _bytes(translators: list[Translator]) -> int:
    return sum(memory.nbytes for translator in translators for memory in translator.core.memories.values())
