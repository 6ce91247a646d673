"""Run by tests/test_interpreter.py under TRITON_INTERPRET=1: every kernel in the form that it has on GPUs.

In a file of its own, as Hypothesis wants one class a process to run what both inherit.
"""

import torch

from cold_kernels.record import Record
from tests.every_kernel import SPECS, bits, tensors
from tests.interpreted import Interpreted


class TestInterpretedAsOnGpus(Interpreted):
    """The other form of a kernel's text, where it has one."""

    def launch(self, spec, args, config=None, cores=3):
        gpu = spec.on("cuda")
        return super().launch(gpu, args, config or gpu.default_for(gpu.shape_of(args)), cores)

    def test_the_row_of_a_slot_has_the_same_bits_however_its_columns_are_shared(self):
        spec, found = SPECS["bgmv_shrink_expand"].on("cuda"), []
        for share in (1, 4):
            args = tensors(spec, "T=3 L=2 H=700 S=2 R=16 D=700 starts=0/300 idx=1/-1/0")
            config = Record(spec.default_for(spec.shape_of(args)), SHARE=share, TILE=1024)
            self.check(spec, args, config=config, cores=9)
            found.append(bits(args["y"]))
        assert torch.equal(*found)
