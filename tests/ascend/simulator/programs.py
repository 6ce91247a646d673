"""Programs written by hand in HIVM's generic form, for operations on their own."""

import math

from cold_kernels.ascend import Program

MODULE = """
"builtin.module"() ({
  "func.func"() <{function_type = (@TYPES@) -> (), sym_name = "hand_written"}> ({
  ^bb0(@PARAMETERS@):
    @BODY@
    "func.return"() : () -> ()
  }) {hacc.entry, hivm.func_core_type = #hivm.func_core_type<@KIND@>} : () -> ()
}) {hivm.module_core_type = #hivm.module_core_type<@KIND@>} : () -> ()
"""
BYTES = "memref<?xi8, #hivm.address_space<gm>>"


def hand_written(body: str, *parameters: str, kind: str = "AIV") -> Program:
    """A program of run-time arguments ``%x0``, ``%x1``, … of these types; ``<gm>``, ``<ub>``, ``<cbuf>`` and ``<cc>``
    are address spaces."""
    kinds = [kind.replace("<gm>", "#hivm.address_space<gm>") for kind in parameters]
    types = ["i64", BYTES, BYTES, *kinds, "i32", "i32", "i32"]
    names = [f"%x{place - 3}" if 0 <= place - 3 < len(kinds) else f"%hidden{place}" for place in range(len(types))]
    text = MODULE.replace("@TYPES@", ", ".join(types))
    text = text.replace("@PARAMETERS@", ", ".join(f"{n}: {t}" for n, t in zip(names, types, strict=True)))
    for space in ("gm", "ub", "cbuf", "cc"):
        body = body.replace(f"<{space}>", f"#hivm.address_space<{space}>")
    text = text.replace("@BODY@", body).replace("@KIND@", kind)
    return Program("hand_written", "Ascend910B3", text, {f"x{place}": kind for place, kind in enumerate(kinds)}, {})


def buffer(name: str, address: int, kind: str, space: str = "ub") -> str:
    """``name`` at an address of a memory, as ``kind``: ``64xf32``, or with a layout behind it."""
    return f"""
    %{name}_at = "arith.constant"() <{{value = {address} : i64}}> : () -> i64
    %{name} = "hivm.hir.pointer_cast"(%{name}_at) <{{operandSegmentSizes = array<i32: 1, 0>}}>
        : (i64) -> memref<{kind}, <{space}>>"""


def tensor(name: str, argument: str, shape: tuple[int, ...], element: str) -> tuple[str, str]:
    """``name`` as the memory of an argument in rows: a memref of the type that comes back second."""
    strides = [math.prod(shape[axis + 1 :]) for axis in range(len(shape))]
    kind = f"memref<{'x'.join(map(str, shape))}x{element}, strided<{strides}>, <gm>>"
    return (
        f"""
    %{name} = "memref.reinterpret_cast"({argument}) <{{operandSegmentSizes = array<i32: 1, 0, 0, 0>,
        static_offsets = array<i64: 0>, static_sizes = array<i64: {", ".join(map(str, shape))}>,
        static_strides = array<i64: {", ".join(map(str, strides))}>}}> : (memref<?x{element}, <gm>>) -> {kind}""",
        kind,
    )


def constants(**values: str) -> str:
    """``name="3 : index"``, or ``name="true"``."""
    kinds = ((name, value, value.partition(":")[2] or "i1") for name, value in values.items())
    return "".join(f'%{n} = "arith.constant"() <{{value = {v}}}> : () -> {k}\n' for n, v, k in kinds)
