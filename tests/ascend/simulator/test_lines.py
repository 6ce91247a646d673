"""What a pipe is busy with is put down to lines of the Triton source, all of it."""

import pytest

for needed in ("triton", "xdsl", "ml_dtypes"):
    pytest.importorskip(needed)
import torch

from cold_kernels.ascend import simulate
from cold_kernels.ascend.installation import toolchain_problem
from cold_kernels.ascend.simulator.profile.profile import profile
from cold_kernels.ascend.simulator.trace.work import PIPES, SCALAR
from tests.ascend.simulator import kernels
from tests.ascend.simulator.kernels import build
from tests.gallery.example import blank
from tests.gallery.examples import launches

pytestmark = pytest.mark.skipif(toolchain_problem() is not None, reason="the Ascend compiler is not installed")


def check(simulation):
    found = profile(simulation)
    for pipe in PIPES:
        assert sum(busy[pipe][0] for busy in found.lines.values()) == pytest.approx(found.busy[pipe])
    return found


def test_scalar_stores_count_where_they_stand():
    x, y = torch.tensor([3], dtype=torch.int32), blank(4, dtype=torch.int32)
    simulation = simulate(build(kernels.scalar_stores, [x, y]), [x, y], (1,))
    assert y.tolist() == [3, 4, 6, 9]
    found = check(simulation)
    code = kernels.scalar_stores.fn.__code__
    access = simulation.chip.constants["scalar_local"]
    for number in range(code.co_firstlineno + 3, code.co_firstlineno + 7):
        assert found.lines[f"{code.co_filename}:{number}"][SCALAR][0] >= access


@pytest.mark.parametrize("family", ["argmax", "embedding", "quantization", "reduction", "rotary", "sampling"])
def test_lines_of_gallery_kernels_add_up_to_their_pipes(family):
    for _, program, args, grid in launches((f"{family}/",)):
        check(simulate(program, args, grid))
