"""A compiled program on a grid, ready to run on arguments, any number of times."""

import math
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager

import numpy as np

from ...errors import UnsupportedProgram
from ...program import Program
from ..core.addresses import FindMemory, GlobalMemory
from ..core.binding import Detached, bound, detached, lock_variables
from ..core.operations import Op
from ..core.strays import OTHER_STRAY, STRAY
from ..trace.events import Issue, Trace
from ..trace.execution import Execution
from .concurrent import ConcurrentPrograms
from .translate import OperationObserver, Translator

HIDDEN_ARGUMENTS = 3
"""Arguments before the kernel's own: synchronisation address, locks, workspace. After them comes the grid."""

MAX_PROGRAMS = 65535


class GridLaunch:
    """A program on a grid: one launch, which can be run again on other arguments.

    Args:
        memory: Knows what pointers reach that are no tensors of the launch, by address.

    Raises:
        UnsupportedProgram: the program uses the cube core, or an operation that is not modelled.
        ValueError: it is no program, or a grid that cannot be launched.
    """

    def __init__(self, program: Program, grid: Sequence[int], memory: FindMemory | None = None) -> None:
        if not isinstance(program, Program):
            raise ValueError(f"simulate takes what compile_kernel returns, not {type(program).__name__}")
        self.program, self.grid, self.memory = program, _grid(grid), memory
        self.translator = _translated(program)
        self.core = self.translator.core

    @contextmanager
    def held(self) -> Iterator[None]:
        """Around `run`: a translation has one unified buffer, and computes as the device does, without warnings."""
        with self.translator.lock, np.errstate(all="ignore"):
            yield

    def run(
        self,
        args: Sequence,
        observer: OperationObserver | None = None,
        *,
        values: bool = True,
        blocks: Iterable[int] | None = None,
    ) -> list[Trace]:
        """Execute every program of the grid, or those numbered ``blocks``, in order, and return their traces.

        Args:
            args: Tensors are written in place.
            observer: Told of every operation, and runs it.
            values: Whether vector data counts, and not the scalar flow alone.

        Raises:
            OutOfBounds: a write outside of a tensor's storage, or a read there on which something depends.
        """
        blocks = None if blocks is None else list(blocks)
        traces = self.run_once(args, observer, values=values, blocks=blocks)
        if self.core.strays.found and observer is None:
            if values:
                self._settle(args, traces, blocks)
            else:
                self.run(detached(args), blocks=blocks)
        return traces

    def run_once(
        self,
        args: Sequence,
        observer: OperationObserver | None = None,
        *,
        values: bool = True,
        blocks: Iterable[int] | None = None,
        stray: int = STRAY,
    ) -> list[Trace]:
        """As `run`; what is read outside of every tensor is in ``core.strays``, and is the byte ``stray``."""
        core, count = self.core, math.prod(self.grid)
        core.memory = GlobalMemory(self.memory, args.originals if isinstance(args, Detached) else None)
        arguments = [0, lock_variables(), 0, *self._bound(args), *self.grid]
        core.observe = observer
        core.begin(count, values, stray)
        try:
            if not self.translator.meets:
                blocks = range(count) if blocks is None else blocks
                return [tuple(self.translator.run(arguments, block)) for block in blocks]
            core.concurrent = ConcurrentPrograms(core, count)
            return core.concurrent.run(lambda block: self.translator.run(arguments, block))
        finally:
            core.observe = core.concurrent = core.memory = None

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
        return Execution(
            programs=tuple(distinct.setdefault(trace, len(distinct)) for trace in traces),
            traces=tuple(distinct),
            moved=tuple(
                sum(event.work.global_bytes for event in trace if isinstance(event, Issue)) for trace in distinct
            ),
            bytes_read=self.core.bytes_read,
            bytes_written=self.core.bytes_written,
            unique_bytes=self.core.unique_bytes,
            ub_peak_bytes=max((buffer.end for buffer in self.translator.buffers), default=0),
        )

    def _bound(self, args: Sequence) -> list:
        types = self.translator.parameter_types[HIDDEN_ARGUMENTS:-3]
        names = list(self.program.signature)
        if len(args) != len(types):
            raise ValueError(f"{self.program.name} takes {len(types)} arguments ({', '.join(names)}), not {len(args)}")
        self.core.memory.take(args, names)
        return [bound(*argument, self.core.memory) for argument in zip(names, types, args, strict=True)]


def _grid(grid: Sequence[int]) -> tuple[int, int, int]:
    sizes = tuple(grid) if isinstance(grid, Sequence) else ()
    if not 1 <= len(sizes) <= 3 or any(type(size) is not int or size < 1 for size in sizes):
        raise ValueError(f"grid {grid!r} must be a sequence of one to three positive integers")
    if math.prod(sizes) > MAX_PROGRAMS:
        raise ValueError(f"grid {sizes} has {math.prod(sizes)} programs; a launch has at most {MAX_PROGRAMS}")
    return (*sizes, *[1] * (3 - len(sizes)))


_TRANSLATIONS: dict[str, Translator] = {}
MAX_TRANSLATIONS = 256


def _translated(program: Program) -> Translator:
    text = program.hivm
    if text not in _TRANSLATIONS:
        if program.core_type != "AIV":
            raise UnsupportedProgram(
                f"{program.name} uses the cube core (tl.dot; its kind is {program.core_type}); only programs of "
                "vector cores alone are simulated"
            )
        while len(_TRANSLATIONS) >= MAX_TRANSLATIONS:
            _TRANSLATIONS.pop(next(iter(_TRANSLATIONS)))
        _TRANSLATIONS[text] = Translator(Op(program.entry))
    return _TRANSLATIONS[text]
