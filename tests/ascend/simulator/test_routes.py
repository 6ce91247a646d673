"""What operations cost by the layout of their operands, and that a row operand is no loop of the scalar unit."""

import pytest

from cold_kernels.ascend.simulator.trace.operands import Operand
from cold_kernels.ascend.simulator.trace.vector_costs import elementwise_work


def dense(*shape, size=4, place=0, pitch=None):
    strides, step = [], 1
    for axis in reversed(range(len(shape))):
        strides.insert(0, step)
        step *= shape[axis] if pitch is None or axis < len(shape) - 1 else pitch
    return Operand(shape, tuple(strides), size, place)


@pytest.mark.parametrize(
    "rows, columns, blocks, tile",
    [
        (16, 512, {"vector_issue": 1, "repeat_unary": 2, "vector_drain": 1}, {"vector_issue": 8, "repeat_binary": 128}),
        (64, 8, {"vector_issue": 1, "repeat_unary": 8, "vector_drain": 1}, {"vector_issue": 1, "repeat_binary": 64}),
        (
            2048,
            64,
            {"vector_issue": 2, "repeat_unary": 256, "vector_drain": 1},
            {"vector_issue": 9, "repeat_binary": 2048},
        ),
    ],
)
def test_a_row_operand_becomes_blocks_and_is_then_read_again_and_again(rows, columns, blocks, tile):
    job = elementwise_work((dense(rows, columns), dense(rows, 1), dense(rows, columns)), "repeat_binary")
    counts = {}
    for name, count in job.counts:
        counts[name] = counts.get(name, 0) + count
    assert counts == {name: blocks.get(name, 0) + tile.get(name, 0) for name in {*blocks, *tile}}
    assert not job.fallback and not job.blocks
