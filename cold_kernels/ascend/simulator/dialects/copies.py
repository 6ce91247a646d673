"""Copies between global memory and the unified buffer, and within it.

What a copy costs follows the device library of AscendNPU-IR v1.2.0 (bishengir/lib/Template, DMA/Ubuf/Copy*.cpp):
one transfer of ``rows`` bursts where the rows of the buffer are whole blocks, element by element on the scalar
unit where they are not.
"""

import functools
import math
from collections.abc import Callable

import numpy as np

from ...chips import L2_BYTES, MAX_CORES
from ..core.memory import BIT, BLOCK, MemRef, OutOfBounds, kept
from ..core.operations import Op, handles, type_name
from ..core.spaces import Workspace
from ..core.strays import ADDS_NOTHING, WRITES_BACK
from ..trace.copy_costs import copy_work
from ..trace.events import Issue, issues
from ..trace.fallbacks import STRIDED, UNALIGNED_ROWS
from ..trace.operands import operand
from ..trace.work import LOAD, STORE, Work, work

MAX_BURSTS = 4095

LINE = 512
"""Bytes of a line of the second-level cache: what global memory is asked for."""


def layout_of(buffer: MemRef) -> tuple[int, int, bool]:
    """Rows, columns, and whether the copy engine can place them."""
    return (*buffer.rows(), _whole_blocks(buffer))


def transfer(pipe: str, memory: MemRef, buffer: MemRef, layout: Callable = layout_of) -> Work:
    """The work of a copy between ``memory`` (global) and ``buffer`` (local)."""
    rows, columns, contiguous, placeable = _placing(pipe, memory, buffer, layout)
    beyond = beyond_lines(memory, rows, columns) if contiguous else 0
    return _transfer(pipe, rows, columns, int(buffer.itemsize), contiguous, placeable, beyond)


def by_scalar(pipe: str, memory: MemRef, buffer: MemRef, layout: Callable = layout_of) -> bool:
    """Whether the scalar unit does the copy, element by element: what `transfer`'s work says as ``blocks``."""
    return not _placing(pipe, memory, buffer, layout)[-1]


def _placing(pipe: str, memory: MemRef, buffer: MemRef, layout: Callable) -> tuple[int, int, bool, bool]:
    """Rows, columns, whether a row is contiguous in global memory, and whether the copy engine can place the rows."""
    rows, columns, placeable = layout(buffer)
    contiguous = columns == 1 or memory.strides[-1:] in ((), (1,))
    if not contiguous and buffer.strides[-1] == 1:  # only a store of one row takes a burst for each element
        placeable = pipe == STORE and rows == 1
    return rows, columns, contiguous, placeable


def beyond_lines(memory: MemRef, rows: int, columns: int) -> int:
    """Bytes that the bursts of a copy move beyond what they ask for, as they do not start with a line.

    A burst across a line's end moves every line that it touches whole, or as much of each as it is long (AscendC sample
    data_copy: rows of 2 KB take 1.28 times as long, rows of 512 B 1.97 times).
    """
    size, step = int(memory.itemsize), 0
    for length, stride in zip(memory.shape[:-1], memory.strides[:-1], strict=True):
        if length > 1:
            step = math.gcd(step, int(stride * size))
    return _beyond(rows, columns * size, int(memory.offset * size) % LINE, step % LINE)


@functools.cache
def _beyond(rows: int, length: int, start: int, step: int) -> int:
    if not step:
        return rows * _line_bytes(start, length) - rows * length
    phases = LINE // math.gcd(step, LINE)
    return sum(_line_bytes((start + row * step) % LINE, length) - length for row in range(phases)) * rows // phases


def _line_bytes(start: int, length: int) -> int:
    if not start or start + length <= LINE:
        return length
    return math.ceil((start + length) / LINE) * min(LINE, length)


def _whole_blocks(buffer: MemRef) -> bool:
    """Whether the copy engine can place the rows: 32-byte aligned strides, unit stride within a row."""
    size = buffer.itemsize
    *outer, (columns, inner) = zip(buffer.shape, buffer.strides, strict=True) or [(1, 1)]
    if columns > 1 and inner != 1 and inner * size % BLOCK:
        return False
    return all(rows == 1 or stride * size % BLOCK == 0 for rows, stride in outer)


@functools.cache
def _transfer(pipe: str, rows: int, columns: int, size: int, contiguous: bool, placeable: bool, beyond: int) -> Work:
    total = rows * columns * size
    if not placeable:
        counts = (("scalar_local", rows * columns), ("scalar_global", rows * columns), ("flag", 2))
        return work(pipe, counts, total, blocks=True, fallback=UNALIGNED_ROWS if contiguous else STRIDED)
    bursts = rows if contiguous else rows * columns
    kind = "load" if pipe == LOAD else "store"
    return work(
        pipe, ((f"{kind}_issue", math.ceil(bursts / MAX_BURSTS)), ("burst", bursts), ("line_byte", beyond)), total
    )


class Reads:
    """What one load reads for the first time, and what it reads again after all programs together, at the same pace,
    have read more than the second-level cache holds.

    Args:
        core: Its ``first_reads``, ``last_reads``, ``late_reads`` and ``bytes_read`` are kept.
    """

    def __init__(self, core) -> None:
        self._core = core

    def note(self, place: tuple, size: int) -> None:
        core = self._core
        last = core.last_reads.setdefault(self, {})
        program, then = last.get(place, (-1, 0))
        last[place] = core.block, core.bytes_read
        since = core.bytes_read - then if program == core.block else 0
        if not isinstance(place[0], Workspace):  # what is there has just been written
            core.first_reads[place] = size
        if since * min(core.blocks, MAX_CORES) > L2_BYTES:
            core.late_reads += size
        core.bytes_read += size


@handles("hivm.hir.load")
def load(translator, op: Op):
    """Global memory to unified buffer, with strides; padding on the left, and to the end of a row's last block."""
    (source,), (target,), pad, left, right, init = op.groups()
    if op.word("pad_mode") == "PadFirstElem" or right or init:
        raise op.unsupported("padding on the right or by the first element, or a conditional fill,")
    if type_name(target) == BIT:
        raise op.unsupported("a copy of packed booleans")
    source_slot, target_slot = translator.slot(source), translator.slot(target)
    pad_slot = translator.slot(pad[0]) if pad else None
    left_slot = translator.slot(left[0]) if left else None
    core = translator.core
    reads = Reads(core)
    issue = issues(op)
    right = kept(lambda buffer: _padding(buffer, 0, True))
    layout = kept(layout_of)

    def priced(memory: MemRef, buffer: MemRef) -> Issue:
        return issue(transfer(LOAD, memory, buffer, layout))

    def noted(memory: MemRef, event: Issue) -> None:
        reads.note((memory.allocation, memory.offset, memory.shape, memory.strides), event.work.global_bytes)

    translator.loads[op.raw] = priced, noted

    def step(env: list) -> None:
        memory, buffer = env[source_slot], env[target_slot]
        _same_shape(op, memory, buffer)
        if not buffer.size:
            return
        event = priced(memory, buffer)
        core.trace.append(event)
        noted(memory, event)
        try:
            values = memory.read() if core.values else memory.check()
        except OutOfBounds as error:
            core.stray(op, error)
            values = core.strays.elements(memory) if core.values else None
        if not core.values:
            buffer.check()
            return
        buffer.write(values)
        value, before = env[pad_slot] if pad else 0, env[left_slot] if left else 0
        blocks = event.work.blocks
        if before or blocks:
            _pad(buffer, value, before, right=not blocks)
        else:
            for place in right(buffer):
                place[...] = value

    return step


def _same_shape(op: Op, source: MemRef, target: MemRef) -> None:
    if source.shape != target.shape:
        raise op.unsupported(f"a copy of {source!r} to {target!r}")


def _pad(buffer: MemRef, value: float, left: int, right: bool) -> None:
    """Fill ``left`` elements before each burst and, if ``right``, the rest of its last block after it."""
    for place in _padding(buffer, left, right):
        place[...] = value


def _padding(buffer: MemRef, left: int, right: bool) -> list[np.ndarray]:
    """What is filled before and behind the bursts of a copy into a buffer."""
    strided = buffer.shape[-1:] > (1,) and buffer.strides[-1] != 1
    columns = buffer.shape[-1] if buffer.shape and not strided else 1
    outer = buffer.shape if strided else buffer.shape[:-1]
    size, data = buffer.dtype.itemsize, buffer.allocation.data
    steps = [stride * size for stride in buffer.strides[: len(outer)]]
    if buffer.address - left * size < buffer.allocation.start:
        raise OutOfBounds(f"{left} elements before {buffer!r}")
    end = buffer.address + columns * size
    if right and any(step % BLOCK for step, rows in zip(steps, outer, strict=True) if rows > 1):
        behind = [
            (end + sum(n * step for n, step in zip(row, steps, strict=True)), (), ()) for row in np.ndindex(outer)
        ]
    else:
        behind = [(end, outer, steps)]
    places = [(buffer.address - left * size, outer, steps, left)]
    places += [(start, rows, by, -start % BLOCK // size if right else 0) for start, rows, by in behind]
    return [
        np.ndarray((*rows, count), buffer.dtype, data, start, (*by, size)) for start, rows, by, count in places if count
    ]


ATOMIC = {"add": np.add, "max": np.maximum, "min": np.minimum}


@handles("hivm.hir.store")
def store(translator, op: Op):
    """Unified buffer to global memory; atomic add, max and min round in the stored type."""
    source, target = op.operands
    kind = op.word("atomic_kind", "none")
    if kind != "none" and kind not in ATOMIC:
        raise op.unsupported(f"an atomic {kind}")
    if type_name(source) == BIT:
        raise op.unsupported("a copy of packed booleans")
    source_slot, target_slot = translator.slot(source), translator.slot(target)
    core = translator.core
    issue = issues(op)
    layout = kept(layout_of)

    def step(env: list) -> None:
        buffer, memory = env[source_slot], env[target_slot]
        _same_shape(op, buffer, memory)
        if not buffer.size:
            return
        job = transfer(STORE, memory, buffer, layout)
        core.trace.append(issue(job))
        core.bytes_written += job.global_bytes
        if not core.values:
            memory.check()
            buffer.check()
            return
        if core.before is not None:
            core.before.keep(memory)
        if kind == "none":
            values = buffer.read()
            try:
                memory.write(values)
            except OutOfBounds as error:
                if not core.strays.write_back(memory, values):
                    raise
                core.stray(op, error, WRITES_BACK)
        else:
            if job.blocks or buffer.address % BLOCK:
                raise op.unsupported("an atomic store from rows that are no whole blocks (the device drops it)")
            if any(not stride for stride, size in zip(memory.strides, memory.shape, strict=True) if size > 1):
                raise op.unsupported("an atomic store that repeats an address")
            values = buffer.array()
            try:
                into = memory.array()
            except OutOfBounds as error:
                if kind != "add" or not core.strays.add(memory, values):
                    raise
                core.stray(op, error, ADDS_NOTHING)
            else:
                into[...] = ATOMIC[kind](into, values)

    return step


@handles("hivm.hir.copy")
def copy(translator, op: Op):
    """Within the unified buffer."""
    if len(op.operands) != 2:
        raise op.unsupported("a copy with padding")
    source_slot, target_slot = (translator.slot(operand) for operand in op.operands)
    core = translator.core
    issue = issues(op)

    @kept
    def event(source: MemRef, target: MemRef) -> Issue:
        _same_shape(op, source, target)
        return issue(copy_work(operand(source), operand(target)))

    def step(env: list) -> None:
        source, target = env[source_slot], env[target_slot]
        core.trace.append(event(source, target))
        if core.values:
            target.write(source.read())

    return step
