"""Loops of scalar work in HIVM's generic form, and what they run on."""

import re

import torch

from tests.ascend.simulator.programs import buffer, constants

NUMBERS = constants(c0="0 : index", c1="1 : index", c2="2 : index", c5="5 : index", n="40 : index", half="0.5 : f32")


def loop(body, carried="", arguments="", results=""):
    """``scf.for`` from 0 to ``%n``; ``carried`` are its initial values, ``arguments`` the block's, with types."""
    kinds = re.findall(r": (\w+)", arguments)
    first = "%c0, %n, %c1" + (f", {carried}" if carried else "")
    types = ", ".join(["index"] * 3 + kinds)
    block = f"^bb0(%i: index{', ' + arguments if arguments else ''}):"
    outputs = f"({', '.join(kinds)})" if len(kinds) != 1 else kinds[0]
    return f'{results} "scf.for"({first}) ({{ {block} {body} }}) : ({types}) -> {outputs}\n'


def element(name, memref, *indices, kind="f32", shape="?", space="gm"):
    places = ", ".join(("index",) * len(indices))
    types = f"(memref<{shape}x{kind}, <{space}>>, {places}) -> {kind}"
    return f'{name} = "memref.load"({memref}, {", ".join(indices)}) : {types}\n'


def put(value, memref, *indices, kind="f32", shape="?", space="gm"):
    places = ", ".join(("index",) * len(indices))
    types = f"({kind}, memref<{shape}x{kind}, <{space}>>, {places}) -> ()"
    return f'"memref.store"({value}, {memref}, {", ".join(indices)}) : {types}\n'


END = '"scf.yield"() : () -> ()'


def yielded(*names, kind="f32"):
    return f'"scf.yield"({", ".join(names)}) : ({", ".join([kind] * len(names))}) -> ()'


def binary(result, operation, a, b, kind="f32"):
    return f'{result} = "arith.{operation}"({a}, {b}) : ({kind}, {kind}) -> {kind}\n'


SWAPPED = (  # two carried values that change places, as a Fibonacci sequence modulo 2**32
    constants(one="1 : i32")
    + loop(
        put("%a", "%x0", "%i", kind="i32") + binary("%s", "addi", "%a", "%b", "i32") + yielded("%b", "%s", kind="i32"),
        "%one, %one", "%a: i32, %b: i32", "%r:2 =",
    )
    + put("%r#1", "%x0", "%n", kind="i32")
)  # fmt: skip
BRANCHES = loop(
    element("%v", "%x0", "%i")
    + '%up = "arith.cmpf"(%v, %half) <{predicate = 2 : i64}> : (f32, f32) -> i1\n'
    + '%w = "scf.if"(%up) ({ '
    + binary("%d", "mulf", "%v", "%v") + yielded("%d")
    + " }, { " + binary("%e", "subf", "%v", "%half") + put("%e", "%x1", "%n") + yielded("%e")
    + " }) : (i1) -> f32\n"
    + put("%w", "%x1", "%i") + END
)  # fmt: skip
NESTED = loop(
    '%j0 = "scf.for"(%c0, %i, %c2, %half) ({ ^bb0(%j: index, %t: f32): '
    + element("%v", "%x0", "%j") + binary("%u", "addf", "%v", "%t") + yielded("%u")
    + " }) : (index, index, index, f32) -> f32\n"
    + put("%j0", "%x1", "%i") + END
)  # fmt: skip
VIEWS = loop(
    '%row = "memref.subview"(%x0, %i) <{operandSegmentSizes = array<i32: 1, 1, 0, 0>, static_offsets = array<i64: '
    "-9223372036854775808>, static_sizes = array<i64: 2>, static_strides = array<i64: 1>}> "
    ": (memref<?xf32, <gm>>, index) -> memref<2xf32, strided<[1], offset: ?>, <gm>>\n"
    '%v = "memref.load"(%row, %c1) : (memref<2xf32, strided<[1], offset: ?>, <gm>>, index) -> f32\n'
    + put("%v", "%x1", "%i") + END
)  # fmt: skip
BITS = (
    buffer("bits", 0, "64xi1")
    + loop(
        '%odd = "arith.remsi"(%i, %c2) : (index, index) -> index\n'
        '%set = "arith.cmpi"(%odd, %c0) <{predicate = 1 : i64}> : (index, index) -> i1\n'
        + put("%set", "%bits", "%i", kind="i1", shape=64, space="ub") + END
    )
    + loop(
        element("%bit", "%bits", "%i", kind="i1", shape=64, space="ub")
        + '%wide = "arith.extui"(%bit) : (i1) -> i32\n%signed = "arith.extsi"(%bit) : (i1) -> i32\n'
        + binary("%both", "muli", "%wide", "%signed", "i32") + put("%both", "%x0", "%i", kind="i32") + END
    )
)  # fmt: skip
HALVES = (
    buffer("short", 64, "40xf16") + buffer("brain", 256, "40xbf16")
    + loop(
        element("%v", "%x0", "%i")
        + '%h = "arith.truncf"(%v) : (f32) -> f16\n%g = "arith.truncf"(%v) : (f32) -> bf16\n'
        + put("%h", "%short", "%i", kind="f16", shape=40, space="ub")
        + put("%g", "%brain", "%i", kind="bf16", shape=40, space="ub") + END
    )
    + loop(
        element("%h", "%short", "%i", kind="f16", shape=40, space="ub")
        + element("%g", "%brain", "%i", kind="bf16", shape=40, space="ub")
        + '%p = "arith.extf"(%h) : (f16) -> f32\n%q = "arith.extf"(%g) : (bf16) -> f32\n'
        + binary("%d", "subf", "%p", "%q") + put("%d", "%x1", "%i") + END
    )
)  # fmt: skip
WHILE = (
    constants(one="1 : i32", big="27 : i32", two="2 : i32", three="3 : i32", zero="0 : i32")
    + '%steps:2 = "scf.while"(%big, %zero) ({ ^bb0(%a: i32, %k: i32): '
    '%go = "arith.cmpi"(%a, %one) <{predicate = 4 : i64}> : (i32, i32) -> i1\n'
    '"scf.condition"(%go, %a, %k) : (i1, i32, i32) -> () }, { ^bb0(%b: i32, %m: i32): '
    + binary("%rest", "remsi", "%b", "%two", "i32")
    + '%even = "arith.cmpi"(%rest, %zero) <{predicate = 0 : i64}> : (i32, i32) -> i1\n'
    + binary("%h", "divsi", "%b", "%two", "i32") + binary("%t", "muli", "%b", "%three", "i32")
    + binary("%o", "addi", "%t", "%one", "i32")
    + '%next = "arith.select"(%even, %h, %o) : (i1, i32, i32) -> i32\n' + binary("%more", "addi", "%m", "%one", "i32")
    + yielded("%next", "%more", kind="i32") + " }) : (i32, i32) -> (i32, i32)\n"
    + put("%steps#1", "%x0", "%c0", kind="i32") + put("%steps#0", "%x0", "%c1", kind="i32")
)  # fmt: skip


def integers():
    return [torch.zeros(41, dtype=torch.int32)]


def floats():
    return [torch.randn(41, generator=torch.Generator().manual_seed(0)), torch.zeros(41)]


PROGRAMS = {
    "swapped": (SWAPPED, integers),
    "branches": (BRANCHES, floats),
    "nested": (NESTED, floats),
    "views": (VIEWS, floats),
    "bits": (BITS, integers),
    "halves": (HALVES, floats),
    "while": (WHILE, integers),
}
