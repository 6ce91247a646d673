"""Operations of a compiled program as the translator sees them, and the registry of those that it knows."""

from collections.abc import Callable, Container, Iterator
from contextlib import contextmanager
from typing import Any

from xdsl.dialects.builtin import ArrayAttr, DenseArrayBase, FileLineColLoc, FloatAttr, IntegerAttr, MemRefType
from xdsl.ir import Attribute, Operation, ParametrizedAttribute, SSAValue

from ...errors import AscendError, UnsupportedProgram
from .memory import BIT, ELEMENT_TYPES

DYNAMIC = -(1 << 63)
"""What a static field of a memref operation holds where the next operand says the size."""

UNKNOWN_PLACE = "unknown place"
"""For ``file:line`` where the program does not say it."""

HANDLERS: dict[str, Callable[..., Any]] = {}
"""Operation name -> ``handler(translator, operation)``, which returns a step or None if nothing is left to do."""

IN_PARTS: set[Callable[..., Any]] = set()
"""Handlers whose steps run several observed ones."""

REFUSED = {
    "llvm.inline_asm": "inline assembly",
    "memref.alloc": "a buffer that the compiler has given no address",
}
"""Operation name -> what it is, of some that nobody can simulate."""

RAISED = (ArithmeticError, AssertionError, AttributeError, LookupError, NotImplementedError, TypeError, ValueError)
"""What operations raise of a form that they do not know."""

FREE = (
    "arith.constant",
    "arith.index_cast",
    "arith.extsi",
    "arith.extui",
    "arith.trunci",
    "hivm.hir.pointer_cast",
    "llvm.intr.assume",
)
"""Operations that leave no instruction of their own behind."""


DIVISIONS = (
    "arith.divsi", "arith.remsi", "arith.ceildivsi", "arith.floordivsi", "arith.divui", "arith.remui",
    "arith.ceildivui", "arith.divf", "arith.remf",
)  # fmt: skip


def handles(*names: str) -> Callable[[Callable], Callable]:
    """Register a function as the translation of the operations of these names."""

    def register(handler: Callable) -> Callable:
        for name in names:
            HANDLERS[name] = handler
        return handler

    return register


class Op:
    """An operation with its attributes as Python values and its place in the Triton source."""

    __slots__ = ("name", "operands", "raw", "regions", "results")

    def __init__(self, raw: Operation) -> None:
        self.raw = raw
        self.name = raw.op_name.data if raw.name == "builtin.unregistered" else raw.name
        self.operands = list(raw.operands)
        self.results = list(raw.results)
        self.regions = list(raw.regions)

    def attribute(self, name: str) -> Any:
        return self.raw.properties.get(name, self.raw.attributes.get(name))

    def ints(self, name: str) -> tuple[int, ...]:
        """An array attribute of integers; empty if absent."""
        value = self.attribute(name)
        if value is None:
            return ()
        return tuple(value.get_values()) if isinstance(value, DenseArrayBase) else tuple(_integers(value))

    def number(self, name: str, default: int = 0) -> int:
        value = self.attribute(name)
        return default if value is None else value.value.data

    def word(self, name: str, default: str = "") -> str:
        """The keyword of an enumeration such as ``#hivm.pipe<PIPE_V>``."""
        value = self.attribute(name)
        return default if value is None else value.value.data

    def groups(self) -> list[list[SSAValue]]:
        """The operands as ``operandSegmentSizes`` groups them."""
        rest, groups = list(self.operands), []
        for size in self.ints("operandSegmentSizes"):
            groups.append(rest[:size])
            rest = rest[size:]
        return groups

    @property
    def location(self) -> str:
        """``file:line`` in the Triton source; of nested locations the outermost, which is the kernel's."""
        return [UNKNOWN_PLACE, *_places(getattr(self.raw, "location", None))][-1]

    def unsupported(self, what: str) -> UnsupportedProgram:
        error = UnsupportedProgram(f"{self!r}: {what} is not simulated")
        error.located = True
        return error

    def __repr__(self) -> str:
        return f"{self.name} at {self.location}"


class OperandOp(Op):
    """What an operation does because of one of its operands, such as a flag that it sets within itself.

    Args:
        raw: The operation.
        operand: The operand's place.
    """

    __slots__ = ("operand",)

    def __init__(self, raw: Operation, operand: int) -> None:
        super().__init__(raw)
        self.operand = operand


def _places(location: Attribute | None) -> Iterator[str]:
    if isinstance(location, FileLineColLoc):
        yield f"{location.filename.data}:{location.line.data}"
    elif isinstance(location, ParametrizedAttribute):
        for part in location.parameters:
            yield from _places(part)
    elif isinstance(location, ArrayAttr):
        for part in location:
            yield from _places(part)


@contextmanager
def located(op: Op) -> Iterator[None]:
    """Make what goes wrong inside an error of this package that names the operation and its source line."""
    try:
        yield
    except Exception as error:
        raise placed(error, op)


def placed(error: Exception, op: Op) -> Exception:
    """What `located` raises in place of ``error``; what was placed once stays as it is, and what no operation raises,
    such as the exception of a signal's handler."""
    if not isinstance(error, (AscendError, *RAISED)):
        return error
    if not isinstance(error, AscendError):
        wrong = op.unsupported(f"this form of it ({type(error).__name__}: {error})")
        wrong.__cause__ = error
        error = wrong
    elif not getattr(error, "located", False):
        error.args = (f"{op!r}: {error}",)
    error.located = True
    return error


def type_name(value: SSAValue) -> str:
    """``f32``, ``i64``, ``index``: the type of a number, or of the elements of a memref."""
    kind = value.type
    return str(kind.element_type if isinstance(kind, MemRefType) else kind)


def element_type(value: SSAValue) -> Any:
    """The NumPy type of a memref's elements, or `BIT`."""
    name = type_name(value)
    if name != BIT and name not in ELEMENT_TYPES:
        raise UnsupportedProgram(f"memrefs of {name} are not simulated")
    return BIT if name == BIT else ELEMENT_TYPES[name]


def is_memref(value: SSAValue) -> bool:
    return isinstance(value.type, MemRefType)


def is_local(value: SSAValue) -> bool:
    """Whether a memref lies in the unified buffer."""
    return is_memref(value) and "<ub>" in str(value.type.memory_space)


def constant_value(op: Op) -> Any:
    """The Python value of an ``arith.constant``."""
    value = op.attribute("value")
    if isinstance(value, IntegerAttr):
        return bool(value.value.data) if str(value.type) == "i1" else value.value.data
    if isinstance(value, FloatAttr):
        return value.value.data
    raise op.unsupported(f"a constant {value}")


def _integers(value: ArrayAttr) -> list:
    return [tuple(_integers(item)) if isinstance(item, ArrayAttr) else item.value.data for item in value]


def follows_unused(op: Op) -> bool:
    """Whether a scalar load from global memory comes after another one in its block that nothing has used yet: the
    scalar unit waits for what it loads when it uses it, so that the second is under way as well."""
    between: list[Operation] = []
    before = op.raw.prev_op
    while before is not None and not before.regions:
        if before.name == op.name and not is_local(before.operands[0]):
            return not any(operand in before.results for later in (*between, op.raw) for operand in later.operands)
        between.append(before)
        before = before.prev_op
    return False


def divides(op: Op | None, known: Container) -> bool:
    """Whether an operation divides by a number that is not ``known`` before the launch; by one that is the compiler
    shifts or multiplies."""
    return op is not None and op.name in DIVISIONS and op.operands[1] not in known
