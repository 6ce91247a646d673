"""The current GPU as a measured device: times between events, after a flush, as on an NPU."""

import torch

from cold_kernels.devices import interpreting

from .npu import Npu


class Gpu(Npu):
    """The current GPU, NVIDIA's or AMD's, through upstream Triton. No test here has run on one.

    Clocks are not locked, and the second-level cache is cold: see `Npu`.
    """

    kind = backend = "cuda"

    def missing(self) -> str:
        """What keeps kernels from being measured on a GPU here; "" if nothing does."""
        if interpreting():
            return "TRITON_INTERPRET=1 is set, so kernels are interpreted on the CPU; unset it"
        return "" if torch.cuda.is_available() else "torch sees no GPU"
