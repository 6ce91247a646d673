import pytest

pytest.importorskip("xdsl")
pytest.importorskip("ml_dtypes")
import numpy as np
import torch

from cold_kernels.ascend import UnsupportedProgram, simulate
from cold_kernels.ascend.simulator import OutOfBounds
from cold_kernels.ascend.simulator.core.memory import BIT, ELEMENT_TYPES, Allocation, MemRef
from cold_kernels.ascend.simulator.core.operations import Op
from cold_kernels.ascend.simulator.dialects.copies import _pad
from cold_kernels.ascend.simulator.dialects.elementwise import _overwritten, whole_repeats
from cold_kernels.ascend.simulator.execute.translate import Translator
from tests.ascend.simulator.programs import buffer, constants, hand_written, tensor

F32, I32 = ELEMENT_TYPES["f32"], ELEMENT_TYPES["i32"]


@pytest.fixture
def memory():
    return np.full(512, 0xFF, np.uint8)


def view(memory, shape, strides, dtype=I32, offset=0, start=0, end=512):
    return MemRef(Allocation("x", memory, start, end, True), offset, shape, strides, dtype)


def test_strided_view(memory):
    ref = view(memory, (2, 3), (8, 2), offset=1, start=32)
    ref.write(np.arange(6).reshape(2, 3))
    assert memory[32:].view(np.int32)[[1, 3, 5, 9, 11, 13]].tolist() == [0, 1, 2, 3, 4, 5]
    assert (memory[32:].view(np.int32) == -1).sum() == 120 - 6
    assert ref.read().tolist() == [[0, 1, 2], [3, 4, 5]]
    assert ref.address == 36 and ref.size == 6 and ref.rows() == (2, 3) and ref.extent == 52


@pytest.mark.parametrize(
    "shape, strides, offset, complaint",
    [
        ((9,), (1,), 0, "elements 0 to 8 of x, which has 8"),
        ((1,), (1,), -1, "elements -1 to -1"),
        ((2, 4), (8, 1), 0, "elements 0 to 11"),
        ((2,), (-4,), 2, "elements -2 to 2"),
        ((1,), (1,), 8, "elements 8 to 8"),
    ],
)
def test_outside(memory, shape, strides, offset, complaint):
    ref = view(memory, shape, strides, offset=offset, start=32, end=64)
    with pytest.raises(OutOfBounds, match=complaint):
        ref.read()
    with pytest.raises(OutOfBounds, match=complaint):
        ref.write(0)
    assert (memory == 0xFF).all()


def test_inside(memory):
    view(memory, (0,), (1,), offset=99, end=32).write(0)
    view(memory, (2, 4), (4, 1), end=32).write(0)
    view(memory, (2,), (-4,), offset=4, end=32).read()
    assert (memory[:32] == 0).all() and (memory[32:] == 0xFF).all()


def test_bits_are_packed_low_bit_first(memory):
    ref = view(memory, (11,), (1,), BIT, offset=16, end=8)
    ref.write(np.arange(11) % 3 == 0)
    assert memory[2] == 0b01001001 and memory[3] & 7 == 0b010 and memory[4] == 0xFF
    assert ref.read().tolist() == [place % 3 == 0 for place in range(11)]
    assert ref.itemsize == 1 / 8 and ref.address == 2
    ref.write(True)
    assert ref.read().all()


def test_bits_in_rows_of_whole_bytes(memory):
    ref = view(memory, (2, 3, 3), (64, 8, 1), BIT, offset=16)
    values = np.arange(18).reshape(2, 3, 3) % 4 == 0
    ref.write(values)
    assert np.array_equal(ref.read(), values)
    assert memory[2:5].tolist() == [0b001, 0b010, 0b100] and memory[5] == 0xFF
    dense = view(memory, (2, 3, 3), (9, 3, 1), BIT, offset=256)
    dense.write(values)
    assert np.array_equal(dense.read(), values) and memory[32] == 0b00010001


def test_bits_outside(memory):
    with pytest.raises(OutOfBounds, match="elements 0 to 64 of x, which has 64"):
        view(memory, (65,), (1,), BIT, end=8).read()
    assert view(memory, (64,), (1,), BIT, end=8).read().all()


def test_bits_that_are_not_simulated(memory):
    for strides in ((2,), (4, 2), (12, 1)):
        with pytest.raises(UnsupportedProgram, match="not start at a byte"):
            view(memory, (4, 2)[: len(strides)], strides, BIT).read()
    with pytest.raises(UnsupportedProgram, match="not start at a byte"):
        view(memory, (4,), (1,), BIT, offset=3).write(True)


def test_assign_wants_the_very_shape(memory):
    ref = view(memory, (2, 3), (3, 1))
    ref.assign(np.zeros((2, 3)))
    for wrong in (np.zeros(3), np.zeros((1, 3)), 0):
        with pytest.raises(UnsupportedProgram, match="elements for"):
            ref.assign(wrong)


def test_padding_fills_the_last_block_of_each_burst(memory):
    ref = view(memory, (2, 3), (8, 1), offset=8)
    ref.write(1)
    _pad(ref, 7, 2, right=True)
    ints = memory.view(np.int32)
    assert ints[6:24].tolist() == [7, 7, 1, 1, 1, 7, 7, 7, 7, 7, 1, 1, 1, 7, 7, 7, 7, 7][:10] + [1, 1, 1] + [7] * 5


def test_padding_ends_where_the_block_does_and_not_after_so_many_elements(memory):
    ref = view(memory, (2,), (1,), offset=5)
    _pad(ref, 7, 0, right=True)
    assert memory.view(np.int32)[:10].tolist() == [-1] * 7 + [7, -1, -1]


def test_rows_that_are_no_whole_blocks_are_not_padded_over_each_other(memory):
    ref = view(memory, (2, 3), (3, 1))
    ref.write(1)
    _pad(ref, 7, 0, right=False)
    assert memory.view(np.int32)[:8].tolist() == [1] * 6 + [-1] * 2


@pytest.mark.parametrize("padding", [0, 7])
def test_a_load_fills_the_rest_of_its_last_block(padding):
    source, source_kind = tensor("x", "%x0", (3,), "f32")
    target, target_kind = tensor("y", "%x1", (8,), "f32")
    value, kind = (", %seven", ", f32") if padding else ("", "")
    segments = f"array<i32: 1, 1, {len(kind) and 1}, 0, 0, 0>"
    body = f"""{source}{target}{buffer("some", 0, "3xf32")}{buffer("all", 0, "8xf32")}
    {constants(seven="7.0 : f32")}
    "hivm.hir.load"(%y, %all) <{{operandSegmentSizes = array<i32: 1, 1, 0, 0, 0, 0>}}>
        : ({target_kind}, memref<8xf32, <ub>>) -> ()
    "hivm.hir.load"(%x, %some{value}) <{{operandSegmentSizes = {segments}}}>
        : ({source_kind}, memref<3xf32, <ub>>{kind}) -> ()
    "hivm.hir.store"(%all, %y) : (memref<8xf32, <ub>>, {target_kind}) -> ()
    """
    x, y = torch.tensor([1.0, 2.0, 3.0]), torch.full((8,), -1.0)
    simulate(hand_written(body, "memref<?xf32, <gm>>", "memref<?xf32, <gm>>"), [x, y], (1,))
    assert y.tolist() == [1, 2, 3] + [padding] * 5


def test_padding_before_the_buffer(memory):
    with pytest.raises(OutOfBounds, match="3 elements before"):
        _pad(view(memory, (4,), (1,), offset=2, start=32), 7, 3, right=True)


def test_a_comparison_runs_to_the_end_of_its_repeat(memory):
    source, bits = view(memory, (3,), (1,), F32), view(memory, (3,), (1,), BIT, start=384)
    wide, target = whole_repeats([source, bits])
    assert wide.shape == target.shape == (64,) and wide.address == 0 and target.address == 384
    assert whole_repeats([view(memory, (64,), (1,), F32), view(memory, (64,), (1,), BIT, start=384)]) is None
    late = view(memory, (3,), (1,), F32, start=384)
    assert whole_repeats([late, view(memory, (3,), (1,), BIT)]) is None


def test_operands_in_one_place(memory):
    whole, half = view(memory, (16,), (1,), F32), view(memory, (16,), (1,), ELEMENT_TYPES["f16"])
    assert not _overwritten(whole, whole) and not _overwritten(whole, half)
    assert _overwritten(half, whole)
    assert _overwritten(whole, view(memory, (16,), (1,), F32, offset=1))
    assert not _overwritten(whole, view(memory, (16,), (1,), F32, offset=16))
    apart, dense = view(memory, (2, 8), (16, 1), F32), view(memory, (2, 8), (8, 1), F32)
    assert not _overwritten(apart, dense)  # the second row goes where nothing is read
    assert _overwritten(dense, view(memory, (2, 8), (8, 1), F32, offset=8))
    assert _overwritten(view(memory, (3, 8), (16, 1), F32), view(memory, (3, 8), (8, 1), F32))
    left, right = (view(memory, (4, 8), (16, 1), F32, offset=column) for column in (0, 8))
    assert not _overwritten(left, right)


def test_a_comparison_whose_bits_go_where_its_operand_is():
    """Each repeat reads 64 numbers before it writes their 8 bytes, which lie further ahead in the same buffer."""
    source, source_kind = tensor("x", "%x0", (256,), "f32")
    target, target_kind = tensor("y", "%x1", (256,), "f32")
    body = f"""{source}{target}{buffer("a", 0, "256xf32")}{buffer("b", 0, "256xi1")}{buffer("c", 1024, "256xf32")}
    {constants(three="3.0 : f32", one="1.0 : f32", zero="0.0 : f32")}{buffer("t", 4096, "64xf32")}
    "hivm.hir.load"(%x, %a) <{{operandSegmentSizes = array<i32: 1, 1, 0, 0, 0, 0>}}>
        : ({source_kind}, memref<256xf32, <ub>>) -> ()
    "hivm.hir.vcmp"(%a, %three, %b) <{{compare_mode = #hivm.compare_mode<gt>,
        operandSegmentSizes = array<i32: 2, 1>}}> : (memref<256xf32, <ub>>, f32, memref<256xi1, <ub>>) -> ()
    "hivm.hir.vsel"(%b, %one, %zero, %c, %t) <{{operandSegmentSizes = array<i32: 3, 1, 1>}}>
        : (memref<256xi1, <ub>>, f32, f32, memref<256xf32, <ub>>, memref<64xf32, <ub>>) -> ()
    "hivm.hir.store"(%c, %y) : (memref<256xf32, <ub>>, {target_kind}) -> ()
    """
    x, y = torch.randint(0, 7, (256,)).float(), torch.zeros(256)
    simulate(hand_written(body, "memref<?xf32, <gm>>", "memref<?xf32, <gm>>"), [x, y], (1,))
    assert torch.equal(y, (x > 3).float())


def part(sizes, kind, result):
    """A part of a buffer of a type whose result lacks axes of size 1, and what its handler gives."""
    dots = ", ".join("0" for _ in sizes)
    ones = ", ".join("1" for _ in sizes)
    return f"""{buffer("a", 0, kind)}
    %b = "memref.subview"(%a) <{{operandSegmentSizes = array<i32: 1, 0, 0, 0>, static_offsets = array<i64: {dots}>,
        static_sizes = array<i64: {", ".join(map(str, sizes))}>, static_strides = array<i64: {ones}>}}>
        : (memref<{kind}, <ub>>) -> memref<{result}, <ub>>"""


@pytest.mark.parametrize(
    "kind, sizes, result",
    [
        ("1x4x32x8xf32", (1, 4, 32, 1), "1x4x32xf32, strided<[1024, 256, 8]>"),
        ("1x4x32x8xf32", (1, 4, 32, 1), "4x32x1xf32, strided<[256, 8, 1]>"),
        ("16x1x8xf32", (8, 1, 1), "8x1xf32, strided<[8, 8]>"),
    ],
    ids=str,
)
def test_the_axes_that_a_part_keeps_are_those_of_its_strides(kind, sizes, result):
    function = hand_written(part(sizes, kind, result)).entry
    translator = Translator(Op(function))
    (view,) = (op for op in function.walk() if op.name == "memref.subview")
    ref = translator.known[view.results[0]]
    assert tuple(zip(ref.shape, ref.strides)) == tuple(
        zip(map(int, result.split("xf32")[0].split("x")), eval(result.partition("<")[2].rstrip(">")), strict=True)
    )


def test_a_part_that_its_type_does_not_describe():
    program = hand_written(part((1, 4, 32, 1), "1x4x32x8xf32", "4x32xf32, strided<[999, 8]>"))
    with pytest.raises(UnsupportedProgram, match="memref.subview at .* as memref<4x32xf32"):
        simulate(program, [], (1,))
