"""Loops that load one row after the other, most often picked by an index in the buffer: all rows at once.

A gather of rows is such a loop, of thousands of turns. Its scalar work is written as one Python function, which gives
the rows; they are copied together, and the trace gets what the turns one by one would leave.
"""

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from ..core.memory import BIT, BLOCK, MemRef
from ..core.operations import HANDLERS, Op, element_type, is_local
from ..trace.events import Issue
from .copies import LINE
from .scalar_loops import FAMILIES, WRITERS, Writer

FEWEST = 4
"""Turns for which it is worth it."""


def all_at_once(translator, op: Op, body: Callable, one_by_one: Callable) -> Callable:
    """The step of a loop, which is ``one_by_one`` where it is no such loop, or its rows depend on each other.

    Args:
        body: One turn, which finds the loop's index in its slot.
    """
    inner = [Op(raw) for raw in op.regions[0].block.ops][:-1]
    copies = [one for one in inner if one.name == "hivm.hir.load"]
    known = translator.known
    if len(op.operands) > 3 or len(copies) != 1 or not all(_may_be_inside(one, known) for one in inner):
        return one_by_one
    (copy,) = copies
    rows = _Rows(translator).written(op, inner)
    loaded = [translator.slot(root) for root in _indices(inner) if root in translator.slots]
    core, induction = translator.core, translator.slot(op.regions[0].block.args[0])
    lower, upper, by = (translator.slot(operand) for operand in op.operands)
    priced, noted = translator.loads[copy.raw]

    def step(env: list) -> None:
        if core.observe is not None or not core.values or env[upper] - env[lower] < FEWEST * env[by]:
            one_by_one(env)
            return
        sources, targets = rows(env)
        together = _together(sources, targets, [env[slot].allocation for slot in loaded])
        if together is None:
            one_by_one(env)
            return
        env[induction] = env[lower]
        start = len(core.trace)
        body(env)
        turn = core.trace[start:]
        place = next(number for number, event in enumerate(turn) if isinstance(event, Issue))
        size, events = sources[0].dtype.itemsize, {}
        for source, target in zip(sources[1:], targets[1:], strict=True):
            phase = source.offset * size % LINE
            event = events.get(phase)
            if event is None:
                event = events[phase] = priced(source, target)
            turn[place] = event
            core.trace.extend(turn)
            noted(source, event)
        together()

    return step


def _may_be_inside(op: Op, known: Mapping) -> bool:
    if op.name == "memref.load":
        return is_local(op.operands[0]) and element_type(op.operands[0]) is not BIT
    if op.name == "hivm.hir.load":
        _, _, padding, left, *others = op.groups()
        return not any((padding, *others)) and all(known.get(value) == 0 for value in left)
    silent = op.name in HANDLERS and not getattr(HANDLERS[op.name], "leaves_events", True)
    return op.name == "hivm.hir.pipe_barrier" or (silent and op.name.startswith(FAMILIES))


def _indices(inner: Sequence[Op]) -> list:
    return [op.operands[0] for op in inner if op.name == "memref.load"]


class _Rows(Writer):
    """Writes the function from the environment to the sources and the targets of all turns."""

    def written(self, op: Op, inner: Sequence[Op]) -> Callable[[list], tuple[list[MemRef], list[MemRef]]]:
        lower, upper, step = map(self.name, op.operands)
        index = self.define(op.regions[0].block.args[0])
        with self.indented(f"for {index} in steps({lower}, {upper}, {step}):", op):
            for one in inner:
                if one.name == "hivm.hir.load":
                    source, target = (self.name(value) for value in one.operands[:2])
                    self.write(f"sources.append({source}); targets.append({target})", one)
                elif one.name in WRITERS:
                    WRITERS[one.name](self, one)
                elif one.name != "hivm.hir.pipe_barrier":
                    HANDLERS[one.name](self, one)
        lines = ["def rows(env):", *self.fetched, "    sources, targets = [], []", *(line for line, _ in self.lines)]
        exec(compile("\n".join([*lines, "    return sources, targets"]), f"<{op!r}>", "exec"), self.space)
        return self.space["rows"]


def _together(sources: list[MemRef], targets: list[MemRef], indices: list) -> Callable[[], None] | None:
    """What copies all rows, the first one again; None where they are of several kinds, no whole blocks, outside
    of their memory, on top of each other, or where the indices are."""
    source, target = sources[0], targets[0]
    for refs, first in ((sources, source), (targets, target)):
        kind = first.allocation, first.shape, first.strides
        if any((ref.allocation, ref.shape, ref.strides) != kind for ref in refs):
            return None
    if (
        not target.size
        or target.shape != source.shape
        or any(stride < 0 for stride in (*source.strides, *target.strides))
    ):
        return None
    places = [np.fromiter((ref.offset for ref in refs), np.int64, len(refs)) for refs in (sources, targets)]
    spacing = np.diff(np.sort(places[1])) * target.itemsize
    whole = not (target.extent % BLOCK or target.address % BLOCK or np.any(spacing % BLOCK))  # nothing is filled up
    if not whole or spacing.min() < target.extent or any(_meet(target.allocation, other) for other in indices):
        return None
    views = []
    for ref, where in zip((source, target), places, strict=True):
        low, high = ref.room
        reach = int(ref.extent / ref.itemsize)
        if where.min() < low or where.max() + reach > high:
            return None
        views.append(_every_place(ref, low, high - low - reach + 1))
        where -= low
    given, taken = views
    return lambda: taken.__setitem__(places[1], given[places[0]])


def _meet(one, other) -> bool:
    return one.start < other.end and other.start < one.end


def _every_place(ref: MemRef, first: int, count: int) -> np.ndarray:
    """The memref at every element of its memory from ``first`` on."""
    size = ref.dtype.itemsize
    strides = (size, *(stride * size for stride in ref.strides))
    start = ref.allocation.start + first * size
    return np.ndarray((count, *ref.shape), ref.dtype, ref.allocation.data, start, strides)
