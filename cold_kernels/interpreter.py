"""What triton-ascend's interpreter lacks of the language that its compiler takes."""

import functools
from typing import Any

import numpy as np


@functools.cache
def complete() -> None:
    """Teach it to sort: ``tl.sort`` asks for an operation that triton-ascend 3.2.0 has in its compiler alone.

    Upstream's sorts in the language itself and never asks.
    """
    from triton.runtime.interpreter import InterpreterBuilder, TensorHandle

    def create_sort(_: Any, source: TensorHandle, axis: int, descending: bool) -> TensorHandle:
        ordered = np.sort(source.data, axis=axis)
        return TensorHandle(np.flip(ordered, axis) if descending else ordered, source.dtype.scalar)

    if not hasattr(InterpreterBuilder, "create_sort"):
        InterpreterBuilder.create_sort = create_sort
