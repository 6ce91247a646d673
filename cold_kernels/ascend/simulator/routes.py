"""Which route each layout takes through the device library, by example; the page docs/simulator.md shows it.

Run it to print the table: ``python -m cold_kernels.ascend.simulator.routes``.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

from .trace import fallbacks
from .trace.broadcast_costs import broadcast_work, number_work
from .trace.cast_costs import cast_work
from .trace.copy_costs import copy_work
from .trace.mask_costs import compare_work, select_work
from .trace.movement_costs import arange_work, flip_work, gather_work, pick_work, sort_work, transpose_work, weave_work
from .trace.operands import Operand
from .trace.reduction_costs import reduce_work, running_work
from .trace.vector_costs import elementwise_work, xor_work
from .trace.work import Work

ONE = "one instruction"
REPEATS = "a repeat a row"
EACH = "an instruction a row"
BLOCKS = "blocks first"
STEPS = "in steps"
TRIP = "a round trip"
TRIPS = "a round trip a row"
PARTLY = "partly scalar"
SCALAR = "scalar loop"

MEANINGS = {
    ONE: "As long as its bytes take, rows do not count.",
    REPEATS: "At most 255 rows an instruction; each takes whole repeats of 256 bytes, however short it is.",
    EACH: "Rows are too far apart for one repeat to follow the other, or longer than a repeat.",
    BLOCKS: "Each element of a column fills a block of the temporary buffer, which is then read again and again.",
    STEPS: "Several instructions with barriers between.",
    TRIP: "The vector pipe runs dry, the scalar unit reads or writes a word of the buffer, and the pipe waits for it.",
    TRIPS: "The same for each row.",
    PARTLY: "The scalar unit does some of the elements, or moves them for the vector unit.",
    SCALAR: "The scalar unit loads, computes and stores element by element.",
}

SIZES = {"f32": 4, "i32": 4, "bf16": 2, "f16": 2, "i16": 2, "i8": 1, "i64": 8, "i1": 1 / 8}

EW1, EW2, EW3 = (f"Elementwise/EltWise{n}D.cpp" for n in (1, 2, 3))
VEC, DMA1, DMA2 = "VecUtils.h", "../DMA/Ubuf/Copy1D.cpp", "../DMA/Ubuf/Copy2D.cpp"
CMP, SEL, CAST1, CAST2 = "CmpSel/Cmp1D.cpp", "CmpSel/Sel1D.cpp", "Cast/Cast1D.cpp", "Cast/Cast2D.cpp"
LAST, FIRST, MIDDLE, POINT = (f"Broadcast/Brc{n}.cpp" for n in ("LastAxis", "FirstAxis", "MidAxis", "SinglePoint"))
AR, RA, R, RI = (
    "Reduction/ReduceARImpl.h",
    "Reduction/ReduceRAImpl.h",
    "Reduction/ReduceR.cpp",
    "Reduction/Reduce*_With_Index.cpp",
)


class Route(NamedTuple):
    """An operation at one layout.

    Args:
        operation: HIVM's name, and which form of it.
        operands: Sources and, last, the target: ``f32 64x8/16@4:2`` is 64 rows of 8 elements that are 16 apart, from
            byte 4 of a block on, with 2 elements from each to the next of its row.
        route: One of `MEANINGS`.
        counts: What it costs, in constants of the chip.
        file: Where in the library's folder Vector this was read.
        fallback: Why the scalar unit does it.
    """

    operation: str
    operands: str
    route: str
    counts: dict[str, float]
    file: str
    fallback: str = ""


def operands(text: str) -> tuple[Operand, ...]:
    """The operands that a route's words mean."""
    return tuple(_operand(*one.split()) for one in text.split(", "))


def _operand(kind: str, layout: str) -> Operand:
    layout, _, step = layout.partition(":")
    layout, _, place = layout.partition("@")
    sizes, _, pitch = layout.partition("/")
    shape = tuple(map(int, sizes.split("x")))
    row = int(pitch or shape[-1])
    strides = [row * math.prod(shape[axis + 1 : -1]) for axis in range(len(shape) - 1)]
    return Operand(shape, (*strides, int(step or 1)), SIZES[kind], int(place or 0))


def _axis(number: int, price: Callable) -> Callable:
    return lambda text: price(operands(text), number)


def _reduction(kind: str, axis: int) -> Callable:
    return lambda text: reduce_work(kind, text.split()[0], *operands(text), axis)


PRICES: dict[str, Callable[[str], Work]] = {
    "vadd": lambda text: elementwise_work(operands(text), "repeat_binary"),
    "vadd of a number": lambda text: elementwise_work(operands(text), "repeat_binary"),
    "vsub of a number": lambda text: elementwise_work(operands(text), "repeat_binary", number_in_block=True),
    "vabs": lambda text: elementwise_work(operands(text), "repeat_unary"),
    "vxor": lambda text: xor_work(operands(text)),
    "vcmp": lambda text: compare_work(operands(text)),
    "vcmp ne": lambda text: compare_work(operands(text), inverts=True),
    "vcmp at the buffer's end": lambda text: compare_work(operands(text), room=False),
    "vsel": lambda text: select_work(operands(text), 0, wide="i64" in text),
    "vsel of a number": lambda text: select_work(operands(text), 1, wide="i64" in text),
    "vcast": lambda text: cast_work(operands(text)),
    "vcast, low bits": lambda text: cast_work(operands(text), low_bits=True),
    "vbrc of a number": lambda text: number_work(*operands(text)),
    "vbrc, first axis": _axis(0, broadcast_work),
    "vbrc, second axis": _axis(1, broadcast_work),
    "vreduce sum, first axis": _reduction("sum", 0),
    "vreduce sum, second axis": _reduction("sum", 1),
    "vreduce max, first axis": _reduction("max", 0),
    "vreduce max, second axis": _reduction("max", 1),
    "vreduce max with index, first axis": _reduction("max_with_index_left", 0),
    "vreduce max with index, second axis": _reduction("max_with_index_left", 1),
    "copy": lambda text: copy_work(*operands(text)),
    "vcumsum, first axis": lambda text: running_work(*operands(text), 0),
    "vtranspose 1 0": lambda text: transpose_work(operands(text), (1, 0)),
    "vtranspose 1 0 2": lambda text: transpose_work(operands(text), (1, 0, 2)),
    "vgather": lambda text: gather_work(*operands(text)),
    "vflip": lambda text: flip_work(*operands(text)),
    "vdeinterleave": lambda text: pick_work(*operands(text), skipping=False),
    "vinterleave": lambda text: weave_work(*operands(text)),
    "vsort": lambda text: sort_work(*operands(text), descending=True),
    "varange": lambda text: arange_work(*operands(text), steps=(16, 3)[-len(operands(text)[0].shape) :]),
}


def priced(route: Route) -> Work:
    """What the simulator charges for a route's example."""
    return PRICES[route.operation](route.operands)


ROUTES: tuple[Route, ...] = (
    Route("vadd", "f32 1024, f32 1024, f32 1024", ONE, {"vector_issue": 1, "repeat_binary": 16}, EW1),
    Route(
        "vadd",
        "f32 1024, f32 1, f32 1024",
        TRIP,
        {"vector_issue": 2, "repeat_binary": 16, "flag": 2, "scalar_local": 1, "repeat_unary": 1, "vector_drain": 1},
        EW1,
    ),
    Route(
        "vadd",
        "f32 1024@4, f32 1024@4, f32 1024@4",
        PARTLY,
        {"scalar_local": 21, "flag": 2, "vector_issue": 1, "repeat_binary": 16},
        VEC,
        fallbacks.UNALIGNED_START,
    ),
    Route(
        "vadd",
        "f32 1024@4, f32 1024, f32 1024",
        SCALAR,
        {"scalar_local": 3072, "flag": 2},
        VEC,
        fallbacks.UNALIGNED_START,
    ),
    Route("vadd", "f32 64:2, f32 64, f32 64", SCALAR, {"scalar_local": 192, "flag": 2}, VEC, fallbacks.STRIDED),
    Route(
        "vadd",
        "f32 64x512, f32 64x1, f32 64x512",
        BLOCKS,
        {"vector_issue": 9, "repeat_binary": 512, "repeat_unary": 8, "vector_drain": 1},
        EW2,
    ),
    Route(
        "vadd",
        "f32 64x512, f32 64x1/8, f32 64x512",
        TRIPS,
        {
            "vector_issue": 72,
            "repeat_binary": 512,
            "flag": 128,
            "scalar_local": 64,
            "repeat_unary": 64,
            "vector_drain": 1,
        },
        EW2,
    ),
    Route("vadd", "f32 64x512, f32 1x512, f32 64x512", REPEATS, {"vector_issue": 8, "repeat_binary": 512}, EW2),
    Route(
        "vadd",
        "f32 64x500/512, f32 64x500/512, f32 64x500/512",
        REPEATS,
        {"vector_issue": 8, "repeat_binary": 512},
        EW2,
    ),
    Route(
        "vadd",
        "bf16 64x8/16, bf16 64x8/16, bf16 64x8/16",
        REPEATS,
        {"vector_issue": 1, "repeat_binary": 64, "short_row": 64},
        EW2,
    ),
    Route(
        "vadd",
        "f32 64x8/16, f32 1x8, f32 64x8/16",
        REPEATS,
        {"vector_issue": 1, "repeat_unary": 8, "repeat_binary": 56, "short_row": 64},
        EW2,
    ),
    Route(
        "vadd", "f32 64x6, f32 64x6, f32 64x6", SCALAR, {"scalar_local": 1152, "flag": 2}, VEC, fallbacks.UNALIGNED_ROWS
    ),
    Route(
        "vadd",
        "f32 64x6, f32 1x6, f32 64x6",
        REPEATS,
        {"vector_issue": 1, "repeat_unary": 4, "repeat_binary": 60, "short_row": 64},
        VEC,
    ),
    Route(
        "vadd",
        "f32 64x8/4096, f32 64x8/4096, f32 64x8/4096",
        EACH,
        {"vector_issue": 64, "repeat_binary": 64, "short_row": 64},
        EW2,
    ),
    Route("vadd", "f32 64x16x8, f32 64x16x8, f32 64x16x8", ONE, {"vector_issue": 2, "repeat_binary": 128}, EW3),
    Route(
        "vadd",
        "f32 64x16x24, f32 64x16x24, f32 64x16x24",
        REPEATS,
        {"vector_issue": 64, "repeat_binary": 1024, "short_row": 1024},
        EW3,
    ),
    Route(
        "vadd",
        "f32 4x64x24, f32 4x64x1, f32 4x64x24",
        BLOCKS,
        {"vector_issue": 8, "repeat_binary": 256, "repeat_unary": 32, "vector_drain": 4, "short_row": 256},
        EW3,
    ),
    Route("vadd of a number", "f32 64x500/512, f32 64x500/512", REPEATS, {"vector_issue": 8, "repeat_unary": 512}, EW2),
    Route(
        "vsub of a number",
        "f32 1024, f32 1024",
        STEPS,
        {"vector_issue": 2, "repeat_binary": 16, "vector_drain": 1},
        EW1,
    ),
    Route("vabs", "f32 64x8/16, f32 64x8/16", REPEATS, {"vector_issue": 1, "repeat_unary": 64, "short_row": 64}, EW2),
    Route(
        "vxor",
        "i32 1024, i32 1024, i32 1024",
        STEPS,
        {"vector_issue": 4, "repeat_binary": 48, "repeat_unary": 16, "vector_drain": 3},
        EW1,
    ),
    Route("vcmp", "f32 512, f32 512, i1 512", ONE, {"vector_issue": 1, "repeat_binary": 8}, CMP),
    Route("vcmp", "f32 64x8, f32 64x8, i1 64x8/256", EACH, {"vector_issue": 64, "repeat_binary": 64}, CMP),
    Route(
        "vcmp",
        "f32 64x8, f32 64x8, i1 64x8",
        PARTLY,
        {"vector_issue": 2, "repeat_binary": 2, "scalar_local": 1984, "flag": 124},
        CMP,
        fallbacks.UNALIGNED_START,
    ),
    Route(
        "vcmp ne",
        "i32 512, i32 512, i1 512",
        STEPS,
        {"vector_issue": 2, "repeat_binary": 8, "vector_drain": 1, "repeat_unary": 1},
        CMP,
    ),
    Route(
        "vcmp at the buffer's end",
        "f32 500, f32 500, i1 500",
        PARTLY,
        {"vector_issue": 1, "repeat_binary": 7, "vector_drain": 1, "scalar_local": 208, "flag": 2},
        CMP,
        fallbacks.SIZE,
    ),
    Route(
        "vsel",
        "i1 512, f32 512, f32 512, f32 512",
        TRIP,
        {"vector_issue": 1, "flag": 2, "scalar_local": 1, "vector_drain": 1, "repeat_binary": 8},
        SEL,
    ),
    Route(
        "vsel",
        "i1 64x8/256, f32 64x8, f32 64x8, f32 64x8",
        TRIPS,
        {"vector_issue": 64, "flag": 128, "scalar_local": 64, "vector_drain": 127, "repeat_binary": 64},
        SEL,
    ),
    Route(
        "vsel",
        "i1 64x8, bf16 64x8/16, bf16 64x8/16, bf16 64x8/16",
        PARTLY,
        {"vector_issue": 2, "flag": 128, "scalar_local": 1986, "vector_drain": 3, "repeat_binary": 2},
        SEL,
        fallbacks.UNALIGNED_START,
    ),
    Route("vsel", "i1 512, i64 512, i64 512, i64 512", SCALAR, {"scalar_local": 2048, "flag": 2}, SEL, fallbacks.INT64),
    Route(
        "vsel",
        "i8 512, i64 512, i64 512, i64 512",
        TRIP,
        {"vector_issue": 5, "repeat_unary": 28, "flag": 2, "scalar_local": 1, "vector_drain": 5, "repeat_binary": 16},
        SEL,
    ),
    Route(
        "vsel of a number",
        "i1 512, f32 512, f32 512",
        TRIP,
        {"vector_issue": 2, "repeat_unary": 1, "flag": 2, "scalar_local": 1, "vector_drain": 2, "repeat_binary": 8},
        SEL,
    ),
    Route("vcast", "bf16 1024, f32 1024", ONE, {"vector_issue": 1, "repeat_unary": 16}, CAST1),
    Route("vcast", "bf16 64x8/16, f32 64x8", REPEATS, {"vector_issue": 1, "repeat_unary": 64, "short_row": 64}, CAST2),
    Route(
        "vcast",
        "i16 64x8, f32 64x8",
        SCALAR,
        {"scalar_local": 1024, "flag": 128, "vector_drain": 64},
        CAST2,
        fallbacks.UNALIGNED_ROWS,
    ),
    Route(
        "vcast",
        "i1 512, f32 512",
        TRIP,
        {"vector_issue": 2, "repeat_unary": 1, "flag": 2, "scalar_local": 1, "vector_drain": 2, "repeat_binary": 8},
        CAST1,
    ),
    Route(
        "vcast",
        "i1 64x8/256, f32 64x8",
        TRIPS,
        {
            "vector_issue": 128,
            "repeat_unary": 64,
            "flag": 128,
            "scalar_local": 64,
            "vector_drain": 128,
            "repeat_binary": 64,
        },
        CAST2,
    ),
    Route(
        "vcast, low bits",
        "i32 64x32, i8 64x32",
        STEPS,
        {"vector_issue": 3, "repeat_gather": 40, "vector_drain": 2, "local_byte": 2048},
        CAST1,
    ),
    Route("vbrc of a number", "f32 1024", ONE, {"vector_issue": 1, "repeat_unary": 16}, POINT),
    Route("vbrc of a number", "bf16 64x8/16", REPEATS, {"vector_issue": 1, "repeat_unary": 64, "short_row": 64}, POINT),
    Route("vbrc of a number", "f32 64x500/512", EACH, {"vector_issue": 64, "repeat_unary": 512}, POINT),
    Route("vbrc of a number", "f32 64x6", SCALAR, {"scalar_local": 384, "flag": 2}, POINT, fallbacks.UNALIGNED_ROWS),
    Route("vbrc of a number", "i64 512", STEPS, {"vector_issue": 2, "repeat_unary": 32}, POINT),
    Route(
        "vbrc, first axis",
        "f32 1, f32 512",
        TRIP,
        {"flag": 2, "scalar_local": 1, "vector_issue": 1, "repeat_unary": 8},
        POINT,
    ),
    Route(
        "vbrc, first axis",
        "f32 1x8, f32 64x8",
        REPEATS,
        {"vector_issue": 1, "repeat_unary": 64, "short_row": 64},
        FIRST,
    ),
    Route(
        "vbrc, first axis",
        "f32 1x6, f32 64x6",
        STEPS,
        {"vector_issue": 2, "repeat_unary": 64, "repeat_gather": 64, "vector_drain": 2, "short_row": 64},
        FIRST,
    ),
    Route(
        "vbrc, first axis",
        "f32 1x8@4, f32 64x8",
        SCALAR,
        {"scalar_local": 1024, "flag": 2},
        FIRST,
        fallbacks.UNALIGNED_START,
    ),
    Route(
        "vbrc, second axis",
        "f32 64x1, f32 64x8",
        BLOCKS,
        {"vector_issue": 1, "repeat_unary": 8, "vector_drain": 1},
        LAST,
    ),
    Route(
        "vbrc, second axis",
        "f32 64x1, f32 64x512",
        BLOCKS,
        {"vector_issue": 2, "repeat_unary": 520, "vector_drain": 2},
        LAST,
    ),
    Route(
        "vbrc, second axis",
        "f32 64x1, f32 64x6",
        BLOCKS,
        {"vector_issue": 2, "repeat_unary": 8, "repeat_gather": 64, "vector_drain": 2},
        LAST,
    ),
    Route(
        "vbrc, second axis",
        "f32 64x1, f32 64x500/512",
        TRIP,
        {"flag": 2, "scalar_local": 64, "vector_issue": 64, "repeat_unary": 512},
        LAST,
    ),
    Route(
        "vbrc, second axis",
        "i64 64x1, i64 64x8",
        TRIPS,
        {"flag": 128, "scalar_local": 64, "vector_issue": 128, "repeat_unary": 128},
        LAST,
    ),
    Route(
        "vbrc, second axis",
        "i1 64x1/256, i1 64x8/256",
        TRIPS,
        {"flag": 128, "scalar_local": 64, "vector_issue": 64, "repeat_unary": 64},
        LAST,
    ),
    Route(
        "vbrc, second axis",
        "f32 16x1x24, f32 16x64x24",
        REPEATS,
        {"vector_issue": 16, "repeat_unary": 1024, "short_row": 1024},
        MIDDLE,
    ),
    Route(
        "vreduce sum, second axis",
        "f32 64x512, f32 64x1",
        STEPS,
        {"flag": 1, "vector_drain": 4, "vector_issue": 8, "repeat_binary": 448, "repeat_sum": 64},
        AR,
    ),
    Route(
        "vreduce sum, second axis", "f32 64x8, f32 64x1", STEPS, {"flag": 1, "vector_issue": 1, "repeat_unary": 8}, AR
    ),
    Route(
        "vreduce sum, second axis",
        "f32 64x6, f32 64x1",
        SCALAR,
        {"scalar_local": 1024, "flag": 2},
        AR,
        fallbacks.UNALIGNED_ROWS,
    ),
    Route(
        "vreduce sum, second axis",
        "i32 64x512, i32 64x1",
        PARTLY,
        {
            "flag": 9,
            "vector_issue": 15,
            "repeat_unary": 64,
            "vector_drain": 17,
            "repeat_binary": 728,
            "scalar_local": 1024,
            "short_row": 192,
        },
        AR,
        fallbacks.TYPE,
    ),
    Route(
        "vreduce sum, first axis",
        "f32 512, f32 1",
        STEPS,
        {"flag": 1, "vector_drain": 4, "vector_issue": 4, "repeat_binary": 7, "repeat_sum": 1},
        R,
    ),
    Route(
        "vreduce max, first axis",
        "f32 512, f32 1",
        TRIP,
        {
            "vector_issue": 3,
            "repeat_unary": 1,
            "vector_drain": 4,
            "repeat_binary": 8,
            "flag": 2,
            "repeat_extreme": 1,
            "scalar_local": 1,
        },
        R,
    ),
    Route(
        "vreduce sum, first axis",
        "f32 64x512, f32 1x512",
        STEPS,
        {"vector_issue": 31, "repeat_binary": 504, "vector_drain": 5},
        RA,
    ),
    Route(
        "vreduce max, first axis",
        "bf16 64x8, bf16 1x8",
        SCALAR,
        {"scalar_local": 1536, "flag": 2},
        RA,
        fallbacks.UNALIGNED_ROWS,
    ),
    Route(
        "vreduce max, second axis",
        "f32 64x8, f32 64x1",
        STEPS,
        {"flag": 1, "vector_drain": 1, "vector_issue": 1, "repeat_extreme": 64},
        AR,
    ),
    Route(
        "vreduce max with index, second axis",
        "f32 64x512, f32 64x1",
        TRIPS,
        {"vector_issue": 64, "flag": 128, "vector_drain": 64, "repeat_extreme": 512, "scalar_local": 128},
        RI,
    ),
    Route(
        "vreduce max with index, first axis",
        "f32 64x512, f32 1x512",
        TRIP,
        {
            "flag": 2,
            "scalar_local": 1,
            "vector_drain": 191,
            "local_byte": 2048,
            "vector_issue": 254,
            "repeat_unary": 512,
            "repeat_binary": 1512,
        },
        RI,
    ),
    Route(
        "vcumsum, first axis",
        "f32 64x512, f32 64x512",
        EACH,
        {"vector_issue": 64, "local_byte": 2048, "repeat_binary": 504, "vector_drain": 64},
        "Cumulative/CumOpUtils.h",
    ),
    Route(
        "vtranspose 1 0",
        "f32 64x128, f32 128x64",
        STEPS,
        {"vector_issue": 4, "repeat_gather": 256, "vector_drain": 1},
        "Transpose/Transpose2D.cpp",
    ),
    Route(
        "vtranspose 1 0",
        "f32 64x12, f32 12x64",
        SCALAR,
        {"scalar_local": 1536, "flag": 2},
        "Transpose/Transpose2D.cpp",
        fallbacks.UNALIGNED_ROWS,
    ),
    Route(
        "vtranspose 1 0",
        "i64 64x16, i64 16x64",
        STEPS,
        {"vector_issue": 512, "repeat_gather": 2048, "vector_drain": 320, "local_byte": 147456},
        "Transpose/Transpose2D.cpp",
    ),
    Route(
        "vtranspose 1 0 2",
        "f32 8x64x16, f32 64x8x16",
        REPEATS,
        {"vector_issue": 8, "repeat_unary": 512},
        "Transpose/Transpose3D.cpp",
    ),
    Route(
        "vtranspose 1 0 2",
        "f32 8x64x6, f32 64x8x6",
        SCALAR,
        {"scalar_local": 6144, "flag": 2},
        "Transpose/Transpose3D.cpp",
        fallbacks.UNALIGNED_ROWS,
    ),
    Route(
        "vgather",
        "f32 1024, i32 512, f32 512",
        STEPS,
        {"vector_issue": 3, "repeat_unary": 16, "repeat_gather": 8, "vector_drain": 2},
        "Gather/Gather1D.cpp",
    ),
    Route(
        "vgather",
        "f32 1024, i32 512@4, f32 512",
        SCALAR,
        {"scalar_local": 1536, "flag": 2},
        "Gather/Gather1D.cpp",
        fallbacks.UNALIGNED_START,
    ),
    Route("vflip", "f32 512, f32 512", SCALAR, {"scalar_local": 1024, "flag": 2}, "Gather/Flip1D.cpp", fallbacks.ORDER),
    Route(
        "vdeinterleave",
        "f32 1024, f32 512",
        ONE,
        {"vector_issue": 1, "repeat_gather": 16},
        "Deinterleave/Deinterleave1D.cpp",
    ),
    Route(
        "vdeinterleave",
        "f32 1024@4, f32 512",
        SCALAR,
        {"scalar_local": 1024, "flag": 2},
        "Deinterleave/Deinterleave1D.cpp",
        fallbacks.UNALIGNED_START,
    ),
    Route(
        "vinterleave",
        "f32 512, f32 512, f32 1024",
        TRIP,
        {
            "vector_issue": 6,
            "repeat_unary": 129,
            "repeat_gather": 1024,
            "vector_drain": 6,
            "flag": 2,
            "scalar_local": 1,
            "repeat_binary": 16,
        },
        "Interleave/Interleave1D.cpp",
    ),
    Route(
        "vsort",
        "f32 512",
        TRIP,
        {"flag": 4, "scalar_local": 8, "vector_issue": 10, "vector_drain": 12, "repeat_unary": 10, "repeat_gather": 64},
        "Sort/Sort1D.cpp",
    ),
    Route(
        "varange",
        "i32 512",
        TRIP,
        {"flag": 2, "scalar_local": 8, "vector_issue": 6, "vector_drain": 5, "repeat_unary": 10},
        "Arange/Arange1D.cpp",
    ),
    Route(
        "varange",
        "i64 512",
        SCALAR,
        {"flag": 16, "scalar_local": 1020, "vector_drain": 7},
        "Arange/Arange1D.cpp",
        fallbacks.INT64,
    ),
    Route("varange", "i32 64x8", SCALAR, {"scalar_local": 512}, "Arange/Arange2D.cpp", fallbacks.ORDER),
    Route("copy", "f32 512, f32 512", ONE, {"vector_issue": 1, "local_byte": 2048}, DMA1),
    Route("copy", "f32 500, f32 500", ONE, {"vector_issue": 1, "repeat_binary": 8}, DMA1),
    Route(
        "copy",
        "f32 512@4, f32 512@4",
        PARTLY,
        {"scalar_local": 14, "flag": 2, "vector_issue": 1, "repeat_binary": 8},
        DMA1,
        fallbacks.UNALIGNED_START,
    ),
    Route("copy", "f32 512:2, f32 512", SCALAR, {"scalar_local": 1024, "flag": 2}, DMA1, fallbacks.STRIDED),
    Route("copy", "f32 64x8/16, f32 64x8/24", ONE, {"vector_issue": 1, "local_byte": 2048}, DMA2),
    Route("copy", "f32 64x6/8, f32 64x6/8", REPEATS, {"vector_issue": 1, "repeat_binary": 64, "short_row": 64}, DMA2),
    Route("copy", "f32 64x4/8, f32 64x4", REPEATS, {"vector_issue": 1, "repeat_gather": 64}, DMA2),
    Route("copy", "f32 64x6/7, f32 64x6/7", SCALAR, {"scalar_local": 768, "flag": 2}, DMA2, fallbacks.UNALIGNED_ROWS),
)


def markdown() -> str:
    """Both tables as the page shows them: what the routes mean, and which each layout takes."""
    lines = [
        "| route | what it is |",
        "| --- | --- |",
        *(f"| {name} | {text} |" for name, text in MEANINGS.items()),
        "",
    ]
    lines += ["| operation | operands | route | counts | library file |", "| --- | --- | --- | --- | --- |"]
    for route in ROUTES:
        words = f"{route.route} ({route.fallback})" if route.fallback else route.route
        counts = ", ".join(f"{name} {count:g}" for name, count in route.counts.items())
        lines.append(f"| {route.operation} | {route.operands} | {words} | {counts} | {route.file} |")
    return "\n".join(lines)


if __name__ == "__main__":
    print(markdown())
