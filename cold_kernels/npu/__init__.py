"""An NPU that is not there: other people's Triton-Ascend code and its tests, unchanged, on a machine without one.

Three ways in: ``python -m pytest -p cold_kernels.npu``, ``python -m cold_kernels.npu script.py``, and `simulated`.
"""

from .simulated import simulated

__all__ = ["simulated"]
pytest_plugins = ["cold_kernels.npu.plugin"]
