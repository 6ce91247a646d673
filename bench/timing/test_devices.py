"""The operators where there is an NPU or a GPU, beside a copy on it of as many bytes as must move."""

import pytest

pytest.importorskip("triton")
from cold_kernels.cases import Case
from cold_kernels.devices import interpreting
from cold_kernels.specs import KERNELS, load

from .operators import copy_of, on_device, operator, present, wrong

LAUNCHES = 50
"""In a row, so that what a launch costs the host is hidden where the device is the slower one."""
PRESENT = {device.name: device for device in present()}
NONE = pytest.mark.skip(reason="no NPU and no GPU here")
CELLS = [(name, text) for name in KERNELS for text in load(name).targets]


def measure(race, device, name, text):
    """Check an operator on a device against float64, then time it."""
    spec = load(name)
    case = Case.parse(text, spec)
    args = on_device(spec, case, device)
    call = operator(spec, args)
    output = call()
    device.synchronize()
    if problem := wrong(spec, args, output):
        pytest.fail(f"{problem} on {case}, {device.name}", pytrace=False)
    floor = copy_of(spec.minimal_bytes(**case.tensors(spec)), device)
    return race(
        call, {"copy of the minimal bytes": floor}, calls=LAUNCHES, device=device.name, finish=device.synchronize
    )


@pytest.mark.skipif(interpreting(), reason="TRITON_INTERPRET=1: nothing is launched")
@pytest.mark.parametrize("name, text", CELLS, ids=lambda item: item.replace(" ", ","))
@pytest.mark.parametrize("device", [*PRESENT] or [pytest.param("", marks=NONE)])
def test_operator(race, device, name, text):
    measure(race, PRESENT[device], name, text)
