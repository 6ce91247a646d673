"""Operands by shape and layout, for tests of what operations cost."""

import math

from cold_kernels.ascend.simulator.trace.operands import Operand


def dense(*shape: int, size: float = 4, place: int = 0, pitch: int | None = None, step: int = 1) -> Operand:
    """Rows beside each other, or ``pitch`` elements apart; ``step`` elements from one to the next of a row."""
    row = shape[-1] if pitch is None else pitch
    strides = [row * math.prod(shape[axis + 1 : -1]) for axis in range(len(shape) - 1)]
    return Operand(shape, (*strides, step), size, place)
