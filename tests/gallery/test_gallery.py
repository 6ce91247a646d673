"""Every kernel of the gallery, compiled for the real compiler, executed, and compared with its reference."""

import pytest
import torch

from cold_kernels.ascend.installation import toolchain_problem

if problem := toolchain_problem():
    pytest.skip(str(problem), allow_module_level=True)

from tests.gallery.examples import CASES


@pytest.mark.parametrize("name", CASES)
def test_values(name):
    torch.manual_seed(0)
    example = CASES[name]()
    for simulation in example.run():
        assert simulation.microseconds > simulation.chip.constants["launch_us"]
        assert simulation.hazards == ()
    example.check()
