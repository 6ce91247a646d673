"""What the scalar unit computes: ``arith`` and ``math`` on numbers, in the widths that the program names.

Integers are Python integers in signed form, wrapped to their width; ``i1`` is a bool; ``index`` has 64 bits.
Floats are Python floats that the operation's type can hold.
"""

import ctypes
import math
import operator
from collections.abc import Callable
from typing import Any

import numpy as np

from .memory import ELEMENT_TYPES

WIDTHS = {"i1": 1, "i8": 8, "i16": 16, "i32": 32, "i64": 64, "index": 64}


def wrap(width: int) -> Callable[[int], int]:
    """Wrap to ``width`` bits, two's complement; one bit is a bool."""
    if width == 1:
        return lambda value: bool(value & 1)
    half, mask = 1 << (width - 1), (1 << width) - 1
    return lambda value: ((value + half) & mask) - half


def unsigned(width: int) -> Callable[[int], int]:
    mask = (1 << width) - 1
    return lambda value: value & mask


def rounded(type_name: str) -> Callable[[float], float]:
    """Round to a float type."""
    if type_name == "f32":  # several times faster than NumPy
        return lambda value: ctypes.c_float(value).value
    kind = ELEMENT_TYPES[type_name].type
    return lambda value: float(kind(value))


def divide(a: int, b: int) -> int:
    """Signed division towards zero; by zero it is 0, since programs divide first and select afterwards."""
    if not b:
        return 0
    quotient = abs(a) // abs(b)
    return quotient if (a < 0) == (b < 0) else -quotient


def remainder(a: int, b: int) -> int:
    """What `divide` leaves: it has the sign of ``a``."""
    return a - b * divide(a, b)


def _unless_zero(function: Callable[[int, int], int], otherwise: Callable[[int], int]) -> Callable[[int, int], int]:
    return lambda a, b: function(a, b) if b else otherwise(a)


def shift_left(a: int, b: int) -> int:
    return a << b if 0 <= b < 64 else 0


def shift_right(a: int, b: int) -> int:
    return a >> (b if 0 <= b < 64 else 64)


def _nan_first(pick: Callable[[float, float], float]) -> Callable[[float, float], float]:
    return lambda a, b: math.nan if a != a or b != b else pick(a, b)


def _number_first(pick: Callable[[float, float], float]) -> Callable[[float, float], float]:
    return lambda a, b: b if a != a else a if b != b else pick(a, b)


SIGNED = {
    "arith.addi": operator.add,
    "arith.subi": operator.sub,
    "arith.muli": operator.mul,
    "arith.divsi": divide,
    "arith.remsi": remainder,
    "arith.ceildivsi": _unless_zero(lambda a, b: -(-a // b), lambda a: 0),
    "arith.floordivsi": _unless_zero(operator.floordiv, lambda a: 0),
    "arith.andi": operator.and_,
    "arith.ori": operator.or_,
    "arith.xori": operator.xor,
    "arith.shli": shift_left,
    "arith.shrsi": shift_right,
    "arith.maxsi": max,
    "arith.minsi": min,
}
UNSIGNED = {
    "arith.divui": _unless_zero(operator.floordiv, lambda a: 0),
    "arith.remui": _unless_zero(operator.mod, lambda a: a),
    "arith.ceildivui": _unless_zero(lambda a, b: -(-a // b), lambda a: 0),
    "arith.shrui": shift_right,
    "arith.maxui": max,
    "arith.minui": min,
}
FLOAT = {
    "arith.addf": operator.add,
    "arith.subf": operator.sub,
    "arith.mulf": operator.mul,
    "arith.divf": lambda a, b: float(np.float64(a) / np.float64(b)),
    "arith.remf": lambda a, b: float(np.fmod(np.float64(a), np.float64(b))),
    "arith.maximumf": _nan_first(max),
    "arith.minimumf": _nan_first(min),
    "arith.maxnumf": _number_first(max),
    "arith.minnumf": _number_first(min),
    "math.powf": lambda a, b: float(np.power(np.float64(a), np.float64(b))),
}
FLOAT_UNARY = {
    "arith.negf": operator.neg,
    "math.absf": abs,
    "math.exp": lambda a: float(np.exp(np.float64(a))),
    "math.exp2": lambda a: float(np.exp2(np.float64(a))),
    "math.log": lambda a: float(np.log(np.float64(a))),
    "math.log2": lambda a: float(np.log2(np.float64(a))),
    "math.sqrt": lambda a: float(np.sqrt(np.float64(a))),
    "math.rsqrt": lambda a: float(1 / np.sqrt(np.float64(a))),
    "math.floor": lambda a: float(np.floor(a)),
    "math.ceil": lambda a: float(np.ceil(a)),
    "math.trunc": lambda a: float(np.trunc(a)),
    "math.sin": lambda a: float(np.sin(np.float64(a))),
    "math.cos": lambda a: float(np.cos(np.float64(a))),
    "math.tanh": lambda a: float(np.tanh(np.float64(a))),
    "math.erf": math.erf,
}
INTEGER_UNARY = {"math.absi": abs}

# Predicates by the number that the generic form prints.
INTEGER_PREDICATES = (
    operator.eq, operator.ne, operator.lt, operator.le, operator.gt, operator.ge,
    operator.lt, operator.le, operator.gt, operator.ge,
)  # fmt: skip
FIRST_UNSIGNED_PREDICATE = 6


def _ordered(compare: Callable[[float, float], bool]) -> Callable[[float, float], bool]:
    return lambda a, b: a == a and b == b and compare(a, b)


def _unordered(compare: Callable[[float, float], bool]) -> Callable[[float, float], bool]:
    return lambda a, b: a != a or b != b or compare(a, b)


_COMPARES = (operator.eq, operator.gt, operator.ge, operator.lt, operator.le, operator.ne)
FLOAT_PREDICATES = (
    lambda a, b: False,
    *map(_ordered, _COMPARES),
    lambda a, b: a == a and b == b,
    *map(_unordered, _COMPARES),
    lambda a, b: a != a or b != b,
    lambda a, b: True,
)


# Python expressions that say the same, for `scalar_loops.Writer`.
SYMBOLS = {
    "arith.addi": "+", "arith.subi": "-", "arith.muli": "*", "arith.andi": "&", "arith.ori": "|", "arith.xori": "^",
    "arith.addf": "+", "arith.subf": "-", "arith.mulf": "*",
}  # fmt: skip
INTEGER_SYMBOLS = ("==", "!=", "<", "<=", ">", ">=")
FLOAT_SYMBOLS = {1: "==", 2: ">", 3: ">=", 4: "<", 5: "<=", 13: "!="}


def integer_text(name: str, width: int) -> str:
    """Of an operation of `SIGNED`: wrapping is left to the function where it does something. May be empty."""
    symbol = SYMBOLS.get(name)
    if symbol is None or width == 1:
        return ""
    half = 1 << (width - 1)
    plain = f"{{0}} {symbol} {{1}}"
    return plain if symbol in "&|^" else f"s if {-half} <= (s := {plain}) < {half} else {{f}}({{0}}, {{1}})"


def float_text(name: str, type_name: str) -> str:
    """Of an operation of `FLOAT`; may be empty."""
    return f"c_float({{0}} {SYMBOLS[name]} {{1}}).value" if name in SYMBOLS and type_name == "f32" else ""


def saturate_to_int(width: int, signed: bool) -> Callable[[float], int]:
    """Float to integer towards zero; NaN gives 0, what does not fit the nearest that does."""
    low, high = (-(1 << (width - 1)), (1 << (width - 1)) - 1) if signed else (0, (1 << width) - 1)
    clip = wrap(width)

    def convert(value: float) -> int:
        if value != value:
            return 0
        return clip(low if value <= low else high if value >= high else int(value))

    return convert


def bitcast(source: str, target: str) -> Callable[[Any], Any]:
    """Reinterpret the bits of a number of the same width."""
    kinds = {name: dtype for name, dtype in ELEMENT_TYPES.items() if name not in ("bf16",)}
    reinterpret, result = kinds[source].type, kinds[target]
    return lambda value: result.type(reinterpret(value).view(result)).item()
