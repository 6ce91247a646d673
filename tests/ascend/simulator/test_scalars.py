import math
import struct

import pytest

pytest.importorskip("xdsl")
pytest.importorskip("ml_dtypes")
pytest.importorskip("hypothesis")
import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from cold_kernels.ascend.simulator.core import scalars

WIDTHS = (8, 16, 32, 64)


@st.composite
def pairs(draw):
    width = draw(st.sampled_from(WIDTHS))
    half = 1 << (width - 1)
    near = st.sampled_from([-half, -half + 1, -1, 0, 1, half - 1])
    number = st.integers(-half, half - 1) | near
    return width, draw(number), draw(number)


def signed(name, width):
    return lambda a, b: scalars.wrap(width)(scalars.SIGNED[f"arith.{name}"](a, b))


def unsigned(name, width):
    positive = scalars.unsigned(width)
    return lambda a, b: scalars.wrap(width)(scalars.UNSIGNED[f"arith.{name}"](positive(a), positive(b)))


@given(pairs())
def test_wrapping_is_numpys(drawn):
    width, a, b = drawn
    left, right = (np.array([n], f"i{width // 8}") for n in (a, b))
    for name, function in (("addi", np.add), ("subi", np.subtract), ("muli", np.multiply),
                           ("andi", np.bitwise_and), ("ori", np.bitwise_or), ("xori", np.bitwise_xor),
                           ("maxsi", np.maximum), ("minsi", np.minimum)):  # fmt: skip
        assert signed(name, width)(a, b) == function(left, right)[0], name


@given(pairs())
def test_division_truncates_and_the_remainder_has_the_sign_of_the_dividend(drawn):
    width, a, b = drawn
    quotient, rest = signed("divsi", width)(a, b), signed("remsi", width)(a, b)
    if b == 0:
        assert quotient == 0 and rest == a
        return
    if (a, b) != (-(1 << (width - 1)), -1):
        assert quotient * b + rest == a and abs(rest) < abs(b)
        assert signed("floordivsi", width)(a, b) == a // b and signed("ceildivsi", width)(a, b) == -(-a // b)
    assert rest == 0 or (rest < 0) == (a < 0)
    wide = f"u{width // 8}"
    left, right = (np.array([n], f"i{width // 8}").view(wide) for n in (a, b))
    for name, function in (("divui", np.floor_divide), ("remui", np.remainder), ("maxui", np.maximum)):
        assert unsigned(name, width)(a, b) == function(left, right).view(f"i{width // 8}")[0], name


@given(pairs(), st.integers(0, 7))
def test_shifts(drawn, amount):
    width, a, _ = drawn
    value = np.array([a], f"i{width // 8}")
    assert signed("shli", width)(a, amount) == (value << amount)[0]
    assert signed("shrsi", width)(a, amount) == (value >> amount)[0]
    logical = value.view(f"u{width // 8}") >> np.array(amount, f"u{width // 8}")
    assert unsigned("shrui", width)(a, amount) == logical.view(f"i{width // 8}")[0]


def test_shifts_beyond_the_width_end():
    assert signed("shli", 32)(5, 1 << 40) == 0 and signed("shli", 32)(5, -1) == 0
    assert signed("shrsi", 32)(-5, 1 << 40) == -1 and signed("shrsi", 32)(5, -1) == 0


@given(pairs())
def test_an_extended_product_is_whole(drawn):
    from cold_kernels.ascend.simulator.dialects import arithmetic

    width, a, b = drawn
    positive = scalars.unsigned(width)

    class Program:
        def pure(self, op, function):
            return function

    class Multiplication:
        results = [type("Value", (), {"type": f"i{width}"})()]

        def __init__(self, name):
            self.name = name

    for name, read in (("arith.mulsi_extended", int), ("arith.mului_extended", positive)):
        low, high = arithmetic.multiply_extended(Program(), Multiplication(name))(a, b)
        assert -(1 << (width - 1)) <= min(low, high) and max(low, high) < 1 << (width - 1)
        assert (read(high) << width) + positive(low) == read(a) * read(b)


def test_one_bit_is_a_bool():
    wrap = scalars.wrap(1)
    assert wrap(3) is True and wrap(2) is False
    assert wrap(scalars.SIGNED["arith.addi"](True, True)) is False


@given(pairs())
def test_integer_predicates(drawn):
    width, a, b = drawn
    positive = scalars.unsigned(width)
    said = [p(a, b) for p in scalars.INTEGER_PREDICATES[:6]]
    assert said == [a == b, a != b, a < b, a <= b, a > b, a >= b]
    left, right = positive(a), positive(b)
    said = [p(left, right) for p in scalars.INTEGER_PREDICATES[6:]]
    assert said == [left < right, left <= right, left > right, left >= right]
    assert len(scalars.INTEGER_PREDICATES) == 10


ORDERED = "false oeq ogt oge olt ole one ord ueq ugt uge ult ule une uno true".split()


@pytest.mark.parametrize("number, name", list(enumerate(ORDERED)), ids=ORDERED)
def test_float_predicates(number, name):
    predicate = scalars.FLOAT_PREDICATES[number]
    basic = {"eq": lambda a, b: a == b, "gt": lambda a, b: a > b, "ge": lambda a, b: a >= b, "lt": lambda a, b: a < b,
             "le": lambda a, b: a <= b, "ne": lambda a, b: a != b}  # fmt: skip
    for a, b in [(1.0, 2.0), (2.0, 1.0), (1.0, 1.0), (0.0, -0.0), (math.inf, 1.0)]:
        expected = {"false": False, "true": True, "ord": True, "uno": False}.get(name)
        assert predicate(a, b) == (basic[name[1:]](a, b) if expected is None else expected)
    for a, b in [(math.nan, 1.0), (1.0, math.nan), (math.nan, math.nan)]:
        assert predicate(a, b) == (name == "true" or (name[0] == "u"))


def test_nan_of_extremes():
    nan = math.nan
    for name in ("maximumf", "minimumf"):
        function = scalars.FLOAT[f"arith.{name}"]
        assert math.isnan(function(nan, 1.0)) and math.isnan(function(1.0, nan))
    for name in ("maxnumf", "minnumf"):
        assert scalars.FLOAT[f"arith.{name}"](nan, 1.0) == 1.0 == scalars.FLOAT[f"arith.{name}"](1.0, nan)
    assert scalars.FLOAT["arith.maximumf"](1.0, 2.0) == 2.0 and scalars.FLOAT["arith.minnumf"](1.0, 2.0) == 1.0


singles = st.floats(width=32, allow_nan=False)


@given(singles, singles)
def test_floats_round_once(a, b):
    rounded = scalars.rounded("f32")
    with np.errstate(all="ignore"):
        for name, function in (("addf", np.add), ("subf", np.subtract), ("mulf", np.multiply), ("divf", np.divide)):
            mine = rounded(scalars.FLOAT[f"arith.{name}"](a, b))
            assert np.array_equal(mine, function(np.float32(a), np.float32(b)), equal_nan=True), name


@pytest.mark.parametrize(
    "value, width, is_signed, expected",
    [
        (2.9, 32, True, 2), (-2.9, 32, True, -2), (math.nan, 32, True, 0), (math.inf, 32, True, 2**31 - 1),
        (-math.inf, 32, True, -(2**31)), (3e9, 32, True, 2**31 - 1), (-1.0, 32, False, 0),
        (3e9, 32, False, 3_000_000_000 - 2**32),
        (300.0, 8, True, 127), (300.0, 8, False, -1), (1e30, 64, True, 2**63 - 1),
    ],
)  # fmt: skip
def test_float_to_integer(value, width, is_signed, expected):
    assert scalars.saturate_to_int(width, is_signed)(value) == expected


def test_bitcast():
    assert scalars.bitcast("f32", "i32")(1.0) == 0x3F800000
    assert scalars.bitcast("i32", "f32")(-1) != scalars.bitcast("i32", "f32")(-1)
    assert scalars.bitcast("i64", "f64")(struct.unpack("q", struct.pack("d", 1.5))[0]) == 1.5
