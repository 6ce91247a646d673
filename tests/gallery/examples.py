"""All examples of the gallery, by name, and a small launch of each kernel."""

from collections.abc import Iterator

import torch

from cold_kernels.ascend import Program
from cold_kernels.ascend.simulator.core.binding import detached
from tests.ascend.simulator.kernels import build
from tests.gallery import (
    argmax,
    atomics,
    attention,
    cross_entropy,
    elementwise,
    embedding,
    linear_attention,
    matmul,
    normalization,
    pointers,
    quantization,
    reduction,
    rotary,
    sampling,
    softmax,
)

MODULES = (
    argmax, atomics, attention, cross_entropy, elementwise, embedding, linear_attention, matmul, normalization,
    pointers, quantization, reduction, rotary, sampling, softmax,
)  # fmt: skip
CASES = {
    f"{module.__name__.split('.')[-1]}/{name}": make for module in MODULES for name, make in module.EXAMPLES.items()
}


def launches(only: tuple[str, ...] = ("",)) -> Iterator[tuple[str, Program, list, tuple[int, ...]]]:
    """Name, program, arguments as they are before it, and grid: of each kernel its first launch.

    Args:
        only: What the names of the examples begin with.
    """
    seen = set()
    for name, make in CASES.items():
        if not name.startswith(only):
            continue
        torch.manual_seed(0)
        example = make()
        if seen.issuperset(launch.kernel for launch in example.launches):
            continue
        for launch in example.launches:
            program, before = build(launch.kernel, launch.args, **launch.constants), detached(launch.args)
            launch.run()  # the next one takes what it leaves
            if launch.kernel not in seen:
                seen.add(launch.kernel)
                yield name, program, before, launch.grid
