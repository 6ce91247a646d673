"""What a launch costs the host before Triton's own launcher gets it, for each kernel and for a whole step."""

import pytest

pytest.importorskip("triton")
from cold_kernels.devices import interpreting

from .host import KERNELS, STEP, calls, cpu_seconds, stand_in
from .yardstick import python_loop

pytestmark = pytest.mark.skipif(interpreting(), reason="TRITON_INTERPRET=1: nothing is launched")
SHARE = 0.25
"""Of `python_loop`, which takes 170 us where 40 us are the most that a launch may take."""


@pytest.mark.parametrize("name", [*KERNELS, STEP])
def test_host(race, name):
    with stand_in():
        call = calls()[name]
        if name != STEP:
            ours, loop = cpu_seconds(call, python_loop)
            assert ours <= SHARE * loop, f"{ours * 1e6:.1f} us of CPU time, the loop takes {loop * 1e6:.1f} us"
        race(call, {"Python loop": python_loop})
