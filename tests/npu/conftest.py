"""The tests in `on_device` need a simulated NPU: `test_on_device.py` runs them in processes that have one."""

import pytest
import torch

collect_ignore = [] if torch._C._get_privateuse1_backend_name() == "npu" else ["on_device"]


@pytest.fixture(autouse=True)
def _compiler():
    for needed in ("triton.backends.ascend", "ascendnpuir", "xdsl"):
        pytest.importorskip(needed)
