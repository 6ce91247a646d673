"""Copies of the cube core: global memory to L1 in blocks, a number to L1, L0C to global memory."""

import numpy as np

from ..core.effects import Effects
from ..core.memory import MemRef, OutOfBounds
from ..core.operations import IN_PARTS, Op, handles, located
from ..core.regions import region
from ..core.tiles import matrix, part, place
from ..trace.cube_costs import fill_work, out_work, to_l1_work
from ..trace.events import issues
from .copies import Reads, beyond_lines
from .unit_flags import WITHOUT_UPDATE, Units, unit_mode


def _rows(op: Op, memory: MemRef) -> tuple[int, int]:
    """Rows and columns of a matrix in global memory."""
    if len(memory.shape) != 2 or (memory.shape[1] > 1 and memory.strides[1] != 1):
        raise op.unsupported(f"{memory!r}, which is no matrix of rows whose elements lie beside each other,")
    return memory.shape


@handles("hivm.hir.nd2nz")
def to_l1(translator, op: Op):
    """Rows of global memory to a tile of L1; the rest of the last block of a row becomes 0."""
    (source,), (target,), pad, condition = op.groups()
    if pad or condition or op.number("init_out_buffer"):
        raise op.unsupported("filling the tile first")
    source_slot, target_slot, core = translator.slot(source), translator.slot(target), translator.core
    reads, issue = Reads(core), issues(op)

    def step(env: list) -> None:
        memory, tile = env[source_slot], env[target_slot]
        rows, columns = _rows(op, memory)
        if not memory.size:
            return
        written = part(tile, (0, rows), (0, columns))
        size = memory.dtype.itemsize
        job = to_l1_work(rows, columns, size, memory.strides[0], beyond_lines(memory, rows, columns))
        core.trace.append(issue(job))
        reads.note((memory.allocation, memory.offset, memory.shape, memory.strides), job.global_bytes)
        try:
            values = memory.read() if core.values else memory.check()
        except OutOfBounds as error:
            core.stray(op, error)
            values = core.strays.elements(memory) if core.values else None
        if core.values:
            place(written, values)
        else:
            written.check()

    return step


def to_l1_effects(translator, op: Op):
    """What `to_l1` reads and writes."""
    source, target = (translator.slot(value) for value in op.operands[:2])

    def at(env: list) -> Effects:
        memory, tile = env[source], env[target]
        if not memory.size:
            return Effects((), ())
        return Effects((region(memory),), (region(part(tile, (0, memory.shape[0]), (0, memory.shape[1]))),))

    return at


def fill(translator, op: Op):
    """The translation of a broadcast of a number to L1, which the copy engine does."""
    source, target = op.operands
    if str(source.type).startswith("memref"):
        raise op.unsupported("a broadcast of a tile of L1")
    value, slot, core, issue = translator.slot(source), translator.slot(target), translator.core, issues(op)

    def step(env: list) -> None:
        tile = env[slot]
        if not tile.size:
            return
        core.trace.append(issue(fill_work(tile.size * tile.dtype.itemsize)))
        if core.values:
            tile.array()[...] = env[value]
        else:
            tile.check()

    return step


QUANTIZED = {
    "NO_QUANT": (("f32", "f32"), ("i32", "i32")),
    "F322F16": (("f32", "f16"),),
    "F322BF16": (("f32", "bf16"),),
}
"""What of each mode of the way out has a meaning without further parameters: types of L0C and of global memory."""


@handles("hivm.hir.fixpipe")
def out(translator, op: Op):
    """A tile of L0C to rows of global memory, rounded to nearest on its way, and below 0 to 0 where it says so."""
    (source,), (target,), conditions, scale = op.groups()
    mode, relu = op.word("pre_quant", "NO_QUANT"), op.word("pre_relu", "NO_RELU")
    if op.word("dma_mode") != "nz2nd" or op.number("channel_split") or op.word("dual_dst_mode", "NO_DUAL") != "NO_DUAL":
        raise op.unsupported(f"the layout {op.word('dma_mode')}, or channels apart,")
    if scale or mode not in QUANTIZED or relu not in ("NO_RELU", "NORMAL_RELU"):
        raise op.unsupported(f"quantisation {mode} with {relu}")
    kinds = tuple(str(value.type.element_type) for value in (source, target))
    if kinds not in QUANTIZED[mode]:
        raise op.unsupported(f"{kinds[0]} to {kinds[1]} by {mode}")
    source_slot, target_slot = translator.slot(source), translator.slot(target)
    core, issue = translator.core, issues(op)
    unit = unit_mode(translator, op, conditions)
    units = Units(op, core, translator.observed(op, None, lambda env: core.trace.append(env[0])))

    def copy(env: list) -> None:
        tile, memory = env[source_slot], env[target_slot]
        rows, columns = _rows(op, memory)
        read = part(tile, (0, rows), (0, columns))
        job = out_work(rows, columns, memory.dtype.itemsize)
        core.trace.append(issue(job))
        core.bytes_written += job.global_bytes
        if core.before is not None:
            core.before.keep(memory)
        if core.values:
            values = matrix(read)[:, :columns]
            memory.array()[...] = np.maximum(values, 0) if relu == "NORMAL_RELU" else values
        else:
            memory.check()
            read.check()

    copied = translator.observed(op, out_effects(translator, op), copy)

    def step(env: list) -> None:
        with located(op):
            mode = unit(env)
            if mode == WITHOUT_UPDATE:
                raise op.unsupported("a unit flag that is looked at and left")
            if mode:
                units.before_way_out(env[source_slot].address)
            if env[target_slot].size:
                copied(env)

    return step


IN_PARTS.add(out)


def out_effects(translator, op: Op):
    """What `out` reads and writes."""
    source, target = (translator.slot(value) for value in op.operands[:2])

    def at(env: list) -> Effects:
        tile, memory = env[source], env[target]
        return Effects((region(part(tile, (0, memory.shape[0]), (0, memory.shape[1]))),), (region(memory),))

    return at
