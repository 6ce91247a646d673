"""The matrix multiplication of tiles in L1, as the device library does it.

AscendNPU-IR v1.2.0, bishengir/lib/Template, Cube/LocalMmad.cpp: parts of the depth that fit half of L0A and L0B are
loaded in turns, so that one is loaded while the other is multiplied; flags that no operation shows order the three.
"""

import math
from dataclasses import dataclass

import numpy as np

from ...chips import L0_BYTES
from ..core.effects import Effects
from ..core.memory import ELEMENT_TYPES, Allocation, MemRef, OutOfBounds
from ..core.operations import IN_PARTS, Op, OperandOp, handles, located, type_name
from ..core.regions import Region, region
from ..core.spaces import BIAS_BYTES, BIAS_TABLE, L0A, L0B, L0C, NAMES, POISON
from ..core.tiles import BLOCK_ROWS, columns_of, matrix, part, place, rows_of
from ..trace.cube_costs import multiply_work, to_l0_work
from ..trace.events import Barrier, FlagId, SetFlag, WaitFlag, issues
from ..trace.work import LOAD, LOAD_L0, MULTIPLY
from .memref import dense
from .unit_flags import WITH_UPDATE, Units, unit_mode

TYPES = {("f16", "f32"), ("bf16", "f32"), ("f32", "f32"), ("i8", "i32")}
"""Of the operands and of C: what the library has."""

BLOCK = 32
SMALL = 10
"""Blocks of C below which the library puts a barrier behind each multiplication."""

NO_EVENT = -1
OPERANDS = 7
"""Operands before those of synchronisation: A, B, whether C begins, M, K, N, C."""


@dataclass(frozen=True)
class Sync:
    """The seven operands of synchronisation: events, or `NO_EVENT`."""

    a_loaded: int = NO_EVENT
    b_loaded: int = NO_EVENT
    a_read: int = NO_EVENT
    b_read: int = NO_EVENT
    turn: int = NO_EVENT
    first_half: int = NO_EVENT
    second_half: int = NO_EVENT


def ceil_to(value: int, unit: int) -> int:
    return math.ceil(value / unit) * unit


def depth_of_parts(widest: int, size: int) -> tuple[int, bool]:
    """How much of the depth is loaded at once, and whether halves of L0A and L0B take turns.

    Args:
        widest: The larger of M and N.
        size: Bytes of an element.
    """
    unit = max(BLOCK // size, BLOCK_ROWS)
    for share, halves in ((2, True), (1, False)):
        depth = L0_BYTES // share // size // ceil_to(widest, unit) // unit * unit
        if depth:
            return depth, halves
    return 0, False


@handles("hivm.hir.mmadL1")
def multiply(translator, op: Op):
    """Tiles of L1 into one of L0C, which they overwrite or add to: sums in fp32 or int32, operands as they are or
    transposed, a bias where it starts; in parts of the depth, in turns of the halves of L0A and L0B."""
    multiplication = Multiplication(translator, op)

    def step(env: list) -> None:
        with located(op):
            multiplication.run(env)

    return step


IN_PARTS.add(multiply)


class Multiplication:
    """One operation: its flags, loads and multiplications, each given to whoever observes the core.

    Args:
        translator: Of the cube core's function.
        op: The operation.
    """

    def __init__(self, translator, op: Op) -> None:
        a, b, init, m, k, n, c, sync, conditions, bias = op.groups()
        kinds = type_name(a[0]), type_name(c[0])
        if kinds not in TYPES or type_name(b[0]) != kinds[0]:
            raise op.unsupported(f"{kinds[0]} times {type_name(b[0])} into {kinds[1]}")
        if op.attribute("enable_I4") is not None:
            raise op.unsupported("a product of int4")
        self.op, self.core = op, translator.core
        self.slots = [translator.slot(value) for value in (a[0], b[0], init[0], m[0], k[0], n[0], c[0])]
        self.sync = [translator.slot(value) for value in sync]
        self.by_operand = [OperandOp(op.raw, OPERANDS + number) for number in range(len(sync))]
        self.bias = translator.slot(bias[0]) if bias else None
        self.transposed = op.attribute("a_transpose") is not None, op.attribute("b_transpose") is not None
        self.narrow = op.attribute("enable_HF32") is not None
        self.wide = ELEMENT_TYPES[kinds[1]]
        self.issue = issues(op)
        self._halves: dict[tuple, MemRef] = {}
        self._flag = translator.observed(op, None, lambda env: self.core.trace.append(env[0]))
        self.unit, self.units = unit_mode(translator, op, conditions), Units(op, self.core, self._flag)
        self._load = translator.observed(op, _load_effects, self._loaded)
        self._multiply = translator.observed(op, _multiply_effects, self._multiplied)

    def run(self, env: list) -> None:
        a, b, init, m, k, n, c = (env[slot] for slot in self.slots)
        sync = Sync(*(int(env[slot]) for slot in self.sync))
        if not (m and k and n):
            self._idle(sync)
            return
        spans, depth, halves = self._sizes(a, b, c, m, k, n)
        given = sync.first_half, sync.second_half
        events = [number if event == NO_EVENT else event for number, event in enumerate(given)]
        own = [event for event, from_outside in zip(events, given, strict=True) if from_outside == NO_EVENT]
        for event in own:
            self._set(MULTIPLY, LOAD_L0, event)
        count, unit = math.ceil(k / depth), self.unit(env)
        if unit:
            self.units.before_product(c.address)
        for number in range(count):
            part_of_depth = number * depth, min(k, (number + 1) * depth)
            half = (number + count * max(0, sync.turn)) % 2 if halves else 0
            self._wait(MULTIPLY, LOAD_L0, events[half])
            loaded = self._load_both(
                sync, (a, b), spans, part_of_depth, (half, halves), not number, number == count - 1
            )
            bias = self._table(env[self.bias]) if self.bias is not None else None
            if bias is not None:
                self._load([env[self.bias], bias])
            self._set(LOAD_L0, MULTIPLY, events[half])
            self._wait(LOAD_L0, MULTIPLY, events[half])
            begins = bool(init) and not number
            rows, columns = rows_of(c), max(spans[1], ceil_to(n, BLOCK_ROWS))
            whole = part(c, (0, rows), (0, min(columns, columns_of(c))))
            through = part_of_depth[1] - part_of_depth[0]
            self._multiply([*loaded, whole, begins, through, bias if begins else None, self._beyond(c, columns)])
            if rows // BLOCK_ROWS * n // BLOCK_ROWS < SMALL:
                self._flag([Barrier(MULTIPLY, self.op)])
            if unit == WITH_UPDATE and number == count - 1:
                self.units.after_product(c.address)
            self._set(MULTIPLY, LOAD_L0, events[half])
        for event in own:
            self._wait(MULTIPLY, LOAD_L0, event)

    def _sizes(self, a: MemRef, b: MemRef, c: MemRef, m: int, k: int, n: int) -> tuple[tuple[int, int], int, bool]:
        """Rows of A and columns of B that are loaded, how much of the depth at once, and whether halves take turns."""
        a_rows, a_columns = (columns_of(a), rows_of(a)) if self.transposed[0] else (rows_of(a), columns_of(a))
        b_rows, b_columns = (columns_of(b), rows_of(b)) if self.transposed[1] else (rows_of(b), columns_of(b))
        if min(a_rows, rows_of(c)) < m or min(a_columns, b_rows) < k or min(b_columns, columns_of(c)) < n:
            raise self.op.unsupported(f"{a!r} times {b!r} into {c!r} of {m} x {k} x {n}")
        depth, halves = depth_of_parts(max(a_rows, b_columns), a.dtype.itemsize)
        if not depth:
            raise self.op.unsupported(f"{a!r} times {b!r}, of which no part fits L0A and L0B (the device traps),")
        in_blocks = a.dtype.itemsize == 1 and not self.transposed[1]
        columns = ceil_to(n, BLOCK if in_blocks else BLOCK_ROWS)
        return (min(rows_of(c), a_rows), min(columns, b_columns)), depth, halves

    def _load_both(
        self, sync: Sync, tiles: tuple, spans: tuple, depth: tuple, half: tuple[int, bool], first: bool, last: bool
    ) -> list[MemRef]:
        """Load a part of A, then of B, with the flags of their tiles around the first and the last part."""
        loaded = []
        flags = (sync.a_loaded, sync.a_read), (sync.b_loaded, sync.b_read)
        for operand, (memory, (ready, read)) in enumerate(zip((L0A, L0B), flags, strict=True)):
            if first:
                self._wait(LOAD, LOAD_L0, ready, operand)
            source = self._source(tiles[operand], memory, (0, spans[operand]), depth)
            loaded.append(self._half(memory, *half, source))
            self._load([source, loaded[-1]])
            if last:
                self._set(LOAD_L0, LOAD, read, operand + 2)
        return loaded

    def _idle(self, sync: Sync) -> None:
        """A tile without elements: the flags alone."""
        for number, event in enumerate((sync.a_loaded, sync.b_loaded)):
            self._wait(LOAD, LOAD_L0, event, number)
        for number, event in enumerate((sync.a_read, sync.b_read), 2):
            self._set(LOAD_L0, LOAD, event, number)

    def _set(self, source: str, waiting: str, event: int, operand: int | None = None) -> None:
        if event != NO_EVENT:
            op = self.op if operand is None else self.by_operand[operand]
            self._flag([SetFlag(FlagId(source, waiting, event), op)])

    def _wait(self, source: str, waiting: str, event: int, operand: int | None = None) -> None:
        if event != NO_EVENT:
            op = self.op if operand is None else self.by_operand[operand]
            self._flag([WaitFlag(FlagId(source, waiting, event), op)])

    def _source(self, tile: MemRef, memory: str, span: tuple, depth: tuple) -> MemRef:
        """The part of a tile that is loaded: its rows are the depth, or its columns."""
        along_rows = self.transposed[0] if memory == L0A else not self.transposed[1]
        return part(tile, depth, span) if along_rows else part(tile, span, depth)

    def _half(self, memory: str, half: int, halves: bool, source: MemRef) -> MemRef:
        """Where in L0A or L0B it goes, in rows: how the library lays it out there concerns nobody else."""
        blocks, rows, width = source.shape
        key = memory, half, blocks, rows, width
        if key not in self._halves:
            size = source.dtype.itemsize
            start, room = (half * L0_BYTES // 2, L0_BYTES // 2) if halves else (0, L0_BYTES)
            used = min(room, blocks * rows * width * size)
            name = f"half {half} of {NAMES[memory]}" if halves else NAMES[memory]
            held = Allocation(name, self.core.memories[memory], start, start + used, True)
            self._halves[key] = MemRef(held, 0, source.shape, (rows * width, width, 1), source.dtype)
        return self._halves[key]

    def _beyond(self, c: MemRef, columns: int) -> Region | None:
        """Bytes behind C that are written as well: of int8, whose blocks have 32 columns, where C has 16."""
        if columns <= columns_of(c):
            return None
        block = c.strides[0] * c.dtype.itemsize
        start, memory = c.address + c.shape[0] * block, c.allocation.data
        size = (columns - columns_of(c)) // c.shape[3] * block
        if start + size > len(memory):
            raise OutOfBounds(f"{columns} columns of {c!r}, past the end of {NAMES[L0C]}")
        return Region(Allocation("what lies behind C", memory, start, start + size, True), start, size)

    def _table(self, bias: MemRef) -> MemRef:
        """Where a bias goes on its way: the bias table, in the type of C."""
        if bias.size * self.wide.itemsize > BIAS_BYTES:
            raise self.op.unsupported(f"a bias of {bias.size} elements, more than its table holds,")
        if bias not in self._halves:
            memory = self.core.memories[BIAS_TABLE]
            table = Allocation(NAMES[BIAS_TABLE], memory, 0, bias.size * self.wide.itemsize, True)
            self._halves[bias] = MemRef(table, 0, bias.shape, dense(bias.shape), self.wide)
        return self._halves[bias]

    def _loaded(self, env: list) -> None:
        source, target = env
        bytes_ = source.size * source.dtype.itemsize
        name = "l0a_byte" if target.allocation.data is self.core.memories[L0A] else "l0b_byte"
        self.core.trace.append(self.issue(to_l0_work(name, 1, bytes_)))
        if self.core.values:
            target.array()[...] = source.array()
        else:
            source.check()
            target.check()

    def _multiplied(self, env: list) -> None:
        a, b, c, begins, depth, bias, beyond = env
        self.core.trace.append(self.issue(multiply_work(c.shape[1], depth, c.shape[0] * c.shape[2], a.dtype.itemsize)))
        if not self.core.values:
            return
        left, right = (
            values.T if turned else values for values, turned in zip(map(matrix, (a, b)), self.transposed, strict=True)
        )
        if self.narrow:
            left, right = map(to_hf32, (left, right))
        # Products are exact in float64, and int8's sums as well. Rounded once, a row's sums do not depend on how many
        # other rows there are, as those of a library for matrices in float32 do.
        product = left[:, :depth].astype(np.float64) @ right[:depth].astype(np.float64)
        if self.wide == np.float32:
            product = product.astype(np.float32)
        shape = c.shape[1], c.shape[0] * c.shape[2]
        total = _extended(product, shape)
        if bias is not None:
            total = total + _extended(bias.array().reshape(1, -1), (1, shape[1]))
        elif not begins:
            total = total + matrix(c)
        if self.wide == np.int32:
            total = np.nan_to_num(total, nan=-1.0).astype(np.int64)
        place(c, total.astype(self.wide))
        if beyond is not None:
            beyond.of(c.allocation.data)[...] = POISON


def to_hf32(values: np.ndarray) -> np.ndarray:
    """fp32 rounded to the 10 bits of mantissa that HF32 keeps, to nearest, ties to even.

    AscendC, SetHF32TransMode, has the rounding; how many bits are kept is vllm-ascend's
    (tests/e2e/nightly/single_node/ops/singlecard_ops/test_npu_hc_pre.py).
    """
    bits = np.ascontiguousarray(values, np.float32).view(np.uint32)
    dropped = 13
    half = np.uint32((1 << (dropped - 1)) - 1) + ((bits >> np.uint32(dropped)) & np.uint32(1))
    rounded = ((bits + half) >> np.uint32(dropped)) << np.uint32(dropped)
    return np.where(np.isfinite(values), rounded.view(np.float32), values)


def _extended(values: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """What rows and columns there are, and NaN where there are none: what the device has there is nobody's."""
    if values.shape == shape:
        return values
    whole = np.full(shape, np.nan, np.result_type(values.dtype, np.float32))
    inner = tuple(map(slice, map(min, values.shape, shape)))
    whole[inner] = values[inner]
    return whole


def _load_effects(env: list) -> Effects:
    source, target, *_ = env
    return Effects((region(source),), (region(target),))


def _multiply_effects(env: list) -> Effects:
    a, b, c, begins, _, bias, beyond = env
    reads = [region(a), region(b)]
    if bias is not None:
        reads.append(region(bias))
    if not begins:
        reads.append(region(c))
    return Effects(tuple(reads), (region(c),) if beyond is None else (region(c), beyond))
