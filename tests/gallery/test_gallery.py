"""Every kernel of the gallery, compiled for the real compiler, executed, and compared with its reference."""

import pytest
import torch

from cold_kernels.ascend.installation import toolchain_problem

if problem := toolchain_problem():
    pytest.skip(str(problem), allow_module_level=True)

from tests.gallery import (
    argmax,
    cross_entropy,
    elementwise,
    embedding,
    normalization,
    quantization,
    reduction,
    rotary,
    sampling,
    softmax,
)

MODULES = (
    argmax, cross_entropy, elementwise, embedding, normalization, quantization, reduction, rotary, sampling, softmax
)  # fmt: skip
CASES = {
    f"{module.__name__.split('.')[-1]}/{name}": make for module in MODULES for name, make in module.EXAMPLES.items()
}


@pytest.mark.parametrize("name", CASES)
def test_values(name):
    torch.manual_seed(0)
    example = CASES[name]()
    for simulation in example.run():
        assert simulation.microseconds > simulation.chip.constants["launch_us"]
    example.check()
