"""Scalar operations: ``arith``, ``math``, and what a program knows of its place in the grid."""

from operator import attrgetter

from ..core import scalars
from ..core.operations import Op, constant_value, handles, is_memref, type_name


def silent(handler):
    """Mark the translation of operations that append no event: the translator counts them ahead of time."""
    handler.leaves_events = False
    return handler


@handles("arith.constant")
@silent
def constant(translator, op: Op):
    """Numbers."""
    translator.know(op.results[0], constant_value(op))


def _width(op: Op) -> int:
    return scalars.WIDTHS[type_name(op.results[0])]


@handles(*scalars.SIGNED)
@silent
def signed(translator, op: Op):
    """Two's complement in the width of the type; division by zero gives 0, since programs select afterwards."""
    width = _width(op)
    function, wrap = scalars.SIGNED[op.name], scalars.wrap(width)
    if width == 1 and op.name not in ("arith.andi", "arith.ori", "arith.xori", "arith.addi", "arith.muli"):
        raise op.unsupported("a signed operation on i1")
    if op.name in ("arith.maxsi", "arith.minsi"):
        return translator.pure(op, function)
    return translator.pure(op, lambda a, b: wrap(function(a, b)), scalars.integer_text(op.name, width))


@handles("arith.mulsi_extended", "arith.mului_extended")
@silent
def multiply_extended(translator, op: Op):
    """The low and the high half of the whole product."""
    width = _width(op)
    read = scalars.unsigned(width) if op.name == "arith.mului_extended" else int
    wrap = scalars.wrap(width)

    def halves(a: int, b: int) -> tuple[int, int]:
        product = read(a) * read(b)
        return wrap(product), wrap(product >> width)

    return translator.pure(op, halves)


@handles(*scalars.UNSIGNED)
@silent
def unsigned(translator, op: Op):
    """The same, of the bits as an unsigned number."""
    function, width = scalars.UNSIGNED[op.name], _width(op)
    positive, wrap = scalars.unsigned(width), scalars.wrap(width)
    return translator.pure(op, lambda a, b: wrap(function(positive(a), positive(b))))


@handles(*scalars.FLOAT)
@silent
def floating(translator, op: Op):
    """Rounded once to the type."""
    kind = type_name(op.results[0])
    function, rounded = scalars.FLOAT[op.name], scalars.rounded(kind)
    return translator.pure(op, lambda a, b: rounded(function(a, b)), scalars.float_text(op.name, kind))


@handles(*scalars.FLOAT_UNARY)
@silent
def floating_unary(translator, op: Op):
    """Rounded once to the type; functions with no exact value come from float64."""
    function, rounded = scalars.FLOAT_UNARY[op.name], scalars.rounded(type_name(op.results[0]))
    return translator.pure(op, lambda a: rounded(function(a)))


@handles(*scalars.INTEGER_UNARY)
@silent
def integer_unary(translator, op: Op):
    """The smallest number, which has no positive one, stays."""
    function, wrap = scalars.INTEGER_UNARY[op.name], scalars.wrap(_width(op))
    return translator.pure(op, lambda a: wrap(function(a)))


@handles("arith.cmpi")
@silent
def compare_integers(translator, op: Op):
    """All ten predicates."""
    predicate = op.number("predicate")
    compare = scalars.INTEGER_PREDICATES[predicate]
    width = scalars.WIDTHS[type_name(op.operands[0])]
    if predicate < scalars.FIRST_UNSIGNED_PREDICATE:
        if width == 1:  # a set bit is -1
            return translator.pure(op, lambda a, b: compare(-a, -b))
        return translator.pure(op, compare, f"{{0}} {scalars.INTEGER_SYMBOLS[predicate]} {{1}}")
    positive = scalars.unsigned(width)
    return translator.pure(op, lambda a, b: compare(positive(a), positive(b)))


@handles("arith.cmpf")
@silent
def compare_floats(translator, op: Op):
    """All sixteen predicates."""
    predicate = op.number("predicate")
    symbol = scalars.FLOAT_SYMBOLS.get(predicate)
    return translator.pure(op, scalars.FLOAT_PREDICATES[predicate], f"{{0}} {symbol} {{1}}" if symbol else "")


@handles("arith.select")
@silent
def select(translator, op: Op):
    """Of numbers and of memrefs."""
    return translator.pure(op, lambda condition, a, b: a if condition else b, "{1} if {0} else {2}")


@handles("arith.index_cast", "arith.extsi", "arith.trunci")
@silent
def resize(translator, op: Op):
    """Sign-extended, or the low bits."""
    given, width = scalars.WIDTHS[type_name(op.operands[0])], _width(op)
    sign = -1 if op.name == "arith.extsi" and given == 1 else 1
    wrap = scalars.wrap(width)
    return translator.pure(op, lambda value: wrap(sign * value), "{0}" if 1 < given <= width else "")


@handles("arith.extui", "arith.index_castui")
@silent
def extend_unsigned(translator, op: Op):
    """Zero-extended."""
    given = scalars.WIDTHS[type_name(op.operands[0])]
    positive, wrap = scalars.unsigned(given), scalars.wrap(_width(op))
    text = "+{0}" if given == 1 else "{0} if {0} >= 0 else {f}({0})"
    return translator.pure(op, lambda value: wrap(positive(value)), text)


@handles("arith.sitofp", "arith.uitofp")
@silent
def to_float(translator, op: Op):
    """Rounded to the type."""
    rounded = scalars.rounded(type_name(op.results[0]))
    if op.name == "arith.sitofp":
        sign = -1 if type_name(op.operands[0]) == "i1" else 1
        return translator.pure(op, lambda value: rounded(sign * value))
    positive = scalars.unsigned(scalars.WIDTHS[type_name(op.operands[0])])
    return translator.pure(op, lambda value: rounded(positive(value)))


@handles("arith.fptosi", "arith.fptoui")
@silent
def to_integer(translator, op: Op):
    """Towards zero; NaN gives 0, and what does not fit the nearest that does."""
    return translator.pure(op, scalars.saturate_to_int(_width(op), op.name == "arith.fptosi"))


@handles("arith.extf", "arith.truncf")
@silent
def resize_float(translator, op: Op):
    """Rounded to nearest, ties to even."""
    return translator.pure(op, scalars.rounded(type_name(op.results[0])))


@handles("arith.bitcast")
@silent
def bitcast(translator, op: Op):
    """Of numbers of the same width."""
    if is_memref(op.operands[0]):
        raise op.unsupported("a bitcast of a buffer")
    return translator.pure(op, scalars.bitcast(type_name(op.operands[0]), type_name(op.results[0])))


@handles("hivm.hir.get_block_idx", "hivm.hir.get_block_num")
@silent
def place_in_grid(translator, op: Op):
    """The program's place in the grid as one number (its last axis varies fastest), and the size of the grid."""
    core, result = translator.core, translator.slot(op.results[0])
    wanted = attrgetter("block" if op.name.endswith("idx") else "blocks")

    def step(env: list) -> None:
        env[result] = wanted(core)

    return step


@handles(
    "hivm.hir.set_mask_norm", "hivm.hir.set_ffts_base_addr", "hivm.hir.init_debug", "hivm.hir.finish_debug",
    "annotation.mark", "llvm.intr.assume",
)  # fmt: skip
@silent
def nothing(translator, op: Op):
    """No effect on values, and no time that is known."""
