"""Loops of scalar work, each written out as one Python function.

What the vector unit cannot do becomes a loop over single elements: running sums, gathers by a vector of indices,
64-bit comparisons. Such a loop, with the loops and branches inside it, runs thousands of times through a few
operations, so it is not walked step by step: it is written as Python source once, in local variables, and adds
what it did to the trace as totals. The meaning of its operations is that of their handlers.
"""

import ctypes
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from xdsl.ir import Block, SSAValue

from ...errors import UnsupportedProgram
from ..core.memory import BIT, MemRef, OutOfBounds
from ..core.operations import FREE, HANDLERS, Op, divides, element_type, follows_unused, is_local, located, placed
from ..trace.events import ScalarAccess, ScalarWork
from .roots import ELEMENTS, roots

LOOP_OVERHEAD = 2
"""Scalar operations of a loop per iteration: add and branch."""

MAX_ITERATIONS = 100_000
"""Of a ``while`` loop: what does not end by then waits for another program, or for ever."""

FORMATS = {"int8": "b", "int16": "h", "int32": "i", "int64": "q", "float32": "f", "float64": "d"}
"""Element types that a memoryview reads and writes, which is twice as fast as NumPy."""

SPACE = {"c_float": ctypes.c_float}
"""Names in the texts of operations."""

ENDS = ("scf.yield", "scf.condition")
FAMILIES = ("arith.", "math.", "memref.", "hivm.hir.pointer_cast")
"""Beginnings of the names of operations whose handlers leave everything to `Writer.pure`."""


Totals = dict[str, int]
"""Scalar operations, and accesses to the unified buffer and to global memory, by the names of their counters."""


def is_scalar(op: Op) -> bool:
    """Whether a loop holds nothing but what a `Writer` writes."""
    return all(_writable(Op(raw)) for raw in op.raw.walk())


def _writable(op: Op) -> bool:
    if op.name in WRITERS or op.name in ENDS:
        return True
    if op.name == "hivm.hir.pointer_cast" and not is_local(op.results[0]):
        return False  # what the loop touches is not known when it begins
    silent = op.name in HANDLERS and not getattr(HANDLERS[op.name], "leaves_events", True)
    return silent and op.name.startswith(FAMILIES)


def written(translator, op: Op) -> Callable[[list], None]:
    """The step of a loop for which `is_scalar` holds."""
    function, lines = Writer(translator).function(op)
    core, stored = translator.core, [translator.slot(root) for root in roots(op, "memref.store") if not is_local(root)]

    def step(env: list) -> None:
        if stored and core.before is not None:
            for slot in stored:
                core.before.keep_all(env[slot].allocation)
        try:
            function(env)
        except Exception as error:
            raise placed(error, lines[line_of(error, function)])

    return step


def line_of(error: Exception, function: Callable) -> int:
    """The line of the written function that an error went through."""
    trace = error.__traceback__
    while trace.tb_frame.f_code is not function.__code__:
        trace = trace.tb_next
    return trace.tb_lineno


class Writer:
    """Stands in for the translator: its handlers write lines here where they would make steps.

    A value becomes a local variable; one from outside the loop is fetched from the environment first. The text of an
    operation is its function's call, or what its handler gives: ``{0}`` and ``{1}`` are the operands, ``{f}`` the
    function.
    """

    def __init__(self, translator) -> None:
        self.translator = translator
        self.names: dict[SSAValue, str] = {}
        self.fetched: list[str] = []
        self.elements: dict[SSAValue, tuple] = {}
        self.space: dict[str, Any] = {function.__name__: function for function in (opened, outside, steps, endless)}
        self.space |= SPACE
        self.lines: list[tuple[str, Op]] = []
        self.depth = 1

    def __getattr__(self, name: str) -> Any:
        return getattr(self.translator, name)

    def function(self, op: Op) -> tuple[Callable[[list], None], dict[int, Op]]:
        """The function of a loop, and the operation of each of its lines."""
        WRITERS[op.name](self, op)
        for result in op.results:
            self.write(f"env[{self.slot(result)}] = {self.names[result]}", op)
        start = ["def loop(env):", *self.fetched, "    work = near = far = missed = first = divisions = 0"]
        end = [
            f"    if {count}: trace({event})"
            for count, event in (
                ("work", "ScalarWork(work, ((op, work),), divisions)"),
                ("near", "ScalarAccess(True, near, op)"),
                ("far", "ScalarAccess(False, far, op, missed, first)"),
            )
        ]
        core = self.core
        self.space["waits"] = core.waits
        self.space |= dict(trace=lambda event: core.trace.append(event), op=op)
        self.space["strayed"] = lambda ref, place, at: strayed(core, ref, place, at)
        self.space |= dict(ScalarWork=ScalarWork, ScalarAccess=ScalarAccess)
        text = "\n".join([*start, *(line for line, _ in self.lines), *end])
        exec(compile(text, f"<{op!r}>", "exec"), self.space)
        places = {number: where for number, (_, where) in enumerate(self.lines, len(start) + 1)}
        return self.space["loop"], dict.fromkeys(range(1, len(start) + 1), op) | places

    def write(self, text: str, op: Op) -> None:
        self.lines.append(("    " * self.depth + text, op))

    @contextmanager
    def indented(self, opening: str, op: Op) -> Iterator[None]:
        self.write(opening, op)
        before, self.depth = len(self.lines), self.depth + 1
        yield
        if len(self.lines) == before:
            self.write("pass", op)
        self.depth -= 1

    def constant(self, value: Any) -> str:
        """An expression for something known: a literal, or a global of the function."""
        if type(value) in (bool, int) or (type(value) is float and math.isfinite(value)):
            return f"({value!r})"
        name = f"c{len(self.space)}"
        self.space[name] = value
        return name

    def define(self, value: SSAValue) -> str:
        return self.names.setdefault(value, f"v{len(self.names)}")

    def name(self, value: SSAValue) -> str:
        """The variable or constant that holds a value."""
        if value not in self.names and value in self.known:
            self.names[value] = self.constant(self.known[value])
        if value not in self.names:
            self.fetched.append(f"    {self.define(value)} = env[{self.slot(value)}]")
        return self.names[value]

    def pure(self, op: Op, function: Callable, text: str = "") -> bool | None:
        """`Translator.pure` for handlers that are called with a writer."""
        if self.translator.fold(op, function):
            return None
        operands = [self.name(value) for value in op.operands]
        results = ", ".join(self.define(value) for value in op.results)
        function = self.constant(function)
        self.write(f"{results} = {(text or '{f}(' + ', '.join(operands) + ')').format(*operands, f=function)}", op)
        return True

    def assign(self, targets: list[str], values: list[str], op: Op) -> None:
        if targets:
            self.write(f"{', '.join(targets)} = {', '.join(values)}", op)

    def block(self, block: Block, overhead: int, op: Op) -> Totals:
        """Write the operations of a block, and what the block itself adds to the trace each time."""
        work, divisions, accesses = overhead, 0, {True: 0, False: 0}
        for inner in map(Op, block.ops):
            if inner.name in ELEMENTS:
                accesses[is_local(inner.operands[ELEMENTS.index(inner.name)])] += 1
            if inner.name in WRITERS:
                WRITERS[inner.name](self, inner)
            elif inner.name not in ENDS:
                with located(inner):
                    counts = HANDLERS[inner.name](self, inner) is not None and inner.name not in FREE
                    work += counts
                    divisions += counts and divides(inner, self.known)
        return {"work": work, "near": accesses[True], "far": accesses[False], "divisions": divisions}

    def count(self, totals: Totals, op: Op, times: str = "") -> None:
        for name, number in totals.items():
            if number:
                self.write(f"{name} += {number}{times}", op)

    def place(self, op: Op, memref: SSAValue, indices: list[SSAValue]) -> tuple[str, str]:
        """Write where an element is; what comes back is the memory to index with ``k``, and the beginning of a line
        for when that is out of bounds."""
        self.name(memref)
        if memref not in self.elements:
            self.elements[memref] = self._opened(memref, len(indices))
        memory, offset, room, strides = self.elements[memref]
        if not memory:  # a view made inside the loop
            memory, offset, room, *strides = parts = ["m", "o", "n", *(f"s{axis}" for axis in range(len(indices)))]
            self.write(f"{', '.join(parts)} = opened({self.names[memref]})", op)
        terms = [f"{self.name(i)} * {s}" if s != "1" else self.name(i) for i, s in zip(indices, strides, strict=True)]
        self.write(f"k = {' + '.join([*([offset] if offset != '0' else []), *terms]) or '0'}", op)
        return memory, f"if not 0 <= k < {room}:"

    def _opened(self, memref: SSAValue, rank: int) -> tuple:
        """``(memory, offset, room, strides)`` of a memref as expressions, opened once before the loop."""
        if memref in self.known:
            memory, *numbers = opened(self.known[memref])
            offset, room, *strides = map(str, numbers)
            return self.constant(memory), offset, room, strides
        name = self.names[memref]
        fetch = f"    {name} = env[{self.slot(memref)}]"
        if fetch not in self.fetched:
            return "", "", "", []
        parts = [f"{name}_{part}" for part in ("m", "o", "n", *range(rank))]
        self.fetched.append(f"    {', '.join(parts)} = opened({name})")
        memory, offset, room, *strides = parts
        return memory, offset, room, strides


def opened(ref: MemRef) -> tuple:
    """``(memory, offset, room, *strides)``: all elements that a memref's allocation may access, and where in them it
    lies."""
    allocation = ref.allocation
    first, last = ref.room
    offset, room = ref.offset - first, last - first
    start = allocation.start + int(first * ref.itemsize)
    data = allocation.data[start : start + int(room * ref.itemsize)]
    if ref.dtype is BIT:
        return (Bits(data), offset, room, *ref.strides)
    if ref.dtype.name in FORMATS and room:
        return (memoryview(data).cast(FORMATS[ref.dtype.name]), offset, room, *ref.strides)
    return (data.view(ref.dtype), offset, room, *ref.strides)


class Bits:
    """Packed booleans by index."""

    def __init__(self, data: np.ndarray) -> None:
        self.data = data

    def __getitem__(self, place: int) -> bool:
        return bool(int(self.data[place // 8]) >> (place % 8) & 1)

    def __setitem__(self, place: int, value: bool) -> None:
        byte, bit = int(self.data[place // 8]), 1 << (place % 8)
        self.data[place // 8] = byte | bit if value else byte & ~bit


def outside(ref: MemRef, place: int) -> None:
    MemRef(ref.allocation, place + ref.room[0], (1,), (1,), ref.dtype).check()


def strayed(core, ref: MemRef, place: int, op: Op) -> int | float | bool:
    """What an operation of a loop reads outside of every tensor."""
    try:
        outside(ref, place)
    except OutOfBounds as error:
        core.stray(op, error)
    return core.strays.number(ref)


def steps(lower: int, upper: int, step: int) -> range:
    if step <= 0:
        raise UnsupportedProgram(f"a loop with step {step} does not end")
    return range(lower, upper, step)


def endless() -> None:
    raise UnsupportedProgram(f"a loop that has not ended after {MAX_ITERATIONS:,} iterations is given up")


def _load(writer: Writer, op: Op) -> None:
    memref, *indices = op.operands
    writer.translator.reads_local |= is_local(memref)
    (memory, beyond), dtype = writer.place(op, memref, indices), element_type(memref)
    if not is_local(memref):
        place = f"id({writer.names[memref]}.allocation), k * {dtype.itemsize}"
        writer.write(f"w = waits({place}, {follows_unused(op)})", op)
        writer.write("if w: missed += 1; first += w - 1", op)
    read = f"{memory}[k]" if dtype is BIT or dtype.name in FORMATS else f"{memory}.item(k)"
    result = writer.define(op.results[0])
    if is_local(memref):
        writer.write(f"{beyond} outside({writer.names[memref]}, k)", op)
        writer.write(f"{result} = {read}", op)
        return
    writer.write(f"{beyond} {result} = strayed({writer.names[memref]}, k, {writer.constant(op)})", op)
    writer.write(f"else: {result} = {read}", op)


def _store(writer: Writer, op: Op) -> None:
    value, memref, *indices = op.operands
    writer.translator.writes_global |= not is_local(memref)
    memory, beyond = writer.place(op, memref, indices)
    writer.write(f"{beyond} outside({writer.names[memref]}, k)", op)
    writer.write(f"{memory}[k] = {writer.name(value)}", op)


def _for(writer: Writer, op: Op) -> None:
    lower, upper, step, *initial = map(writer.name, op.operands)
    block = op.regions[0].block
    induction, *carried = map(writer.define, block.args)
    trips = f"{induction}_range"
    writer.write(f"{trips} = steps({lower}, {upper}, {step})", op)
    writer.assign(carried, initial, op)
    with writer.indented(f"for {induction} in {trips}:", op):
        totals = writer.block(block, LOOP_OVERHEAD, op)
        writer.assign(carried, [writer.name(value) for value in block.last_op.operands], op)
    writer.count(totals, op, f" * len({trips})")
    writer.names.update(zip(op.results, carried, strict=True))


def _while(writer: Writer, op: Op) -> None:
    before, after = (region.block for region in op.regions)
    tested, passed = ([writer.define(argument) for argument in block.args] for block in (before, after))
    writer.assign(tested, [writer.name(value) for value in op.operands], op)
    trips = f"t{len(writer.lines)}"
    writer.write(f"{trips} = 0", op)
    with writer.indented("while True:", op):
        writer.count(writer.block(before, LOOP_OVERHEAD, op), op)
        condition, *forwarded = map(writer.name, before.last_op.operands)
        writer.write(f"if not {condition}: break", op)
        writer.write(f"{trips} += 1", op)
        writer.write(f"if {trips} > {MAX_ITERATIONS}: endless()", op)
        writer.assign(passed, forwarded, op)
        writer.count(writer.block(after, 0, op), op)
        writer.assign(tested, [writer.name(value) for value in after.last_op.operands], op)
    writer.names.update(zip(op.results, forwarded, strict=True))


def _if(writer: Writer, op: Op) -> None:
    condition = writer.name(op.operands[0])
    results = [writer.define(result) for result in op.results]
    for opening, region in zip((f"if {condition}:", "else:"), op.regions, strict=True):
        block = region.blocks.first
        with writer.indented(opening, op):
            if block is not None and block.last_op is not None:
                writer.count(writer.block(block, 1, op), op)
                writer.assign(results, [writer.name(value) for value in block.last_op.operands], op)


WRITERS = {"scf.for": _for, "scf.while": _while, "scf.if": _if, "memref.load": _load, "memref.store": _store}
