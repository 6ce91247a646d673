"""The tests in `on_device` need a simulated NPU: `test_on_device.py` runs them in processes that have one."""

import torch

collect_ignore = [] if torch._C._get_privateuse1_backend_name() == "npu" else ["on_device"]
