"""LoRA of one projection on a GPU, three ways: ours, vLLM's Triton operators from its package, gathered products."""

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch

import cold_kernels

SLOTS, HIDDEN, RANK = 4, 4096, 16
SCALE = 0.5
DECODING = (1, 2, 4, 8, 16, 32, 64, 128, 256)
PREFILL = 2048
VLLM = "vllm.lora.ops.triton_ops"


@dataclass(frozen=True)
class Projection:
    """Tensors of one projection on a device: ``y += SCALE * b[idx] @ (a[idx] @ x)``."""

    x: torch.Tensor
    a: torch.Tensor
    b: torch.Tensor
    y: torch.Tensor
    idx: torch.Tensor

    @classmethod
    def made(cls, rows: int, device: str, dtype: torch.dtype, rank: int = RANK) -> "Projection":
        """Random numbers, rows dealt over all slots; of a prompt one slot has all rows."""
        generator = torch.Generator().manual_seed(rows)

        def random(*size: int) -> torch.Tensor:
            return torch.randn(*size, generator=generator).to(dtype).to(device)

        idx = torch.zeros(rows, dtype=torch.int64) if rows == PREFILL else torch.arange(rows) % SLOTS
        return cls(
            random(rows, HIDDEN), random(SLOTS, rank, HIDDEN) * HIDDEN**-0.5, random(SLOTS, HIDDEN, rank),
            random(rows, HIDDEN), idx.to(device),
        )  # fmt: skip

    def rows(self, some: slice) -> "Projection":
        """These rows alone."""
        return Projection(self.x[some].clone(), self.a, self.b, self.y[some].clone(), self.idx[some].clone())

    def reference(self) -> torch.Tensor:
        """In float64, on the CPU."""
        x, a, b, y = (tensor.cpu().double() for tensor in (self.x, self.a, self.b, self.y))
        found = y.clone()
        for slot in self.idx.cpu().unique().tolist():
            mine = self.idx.cpu() == slot
            found[mine] += SCALE * (x[mine] @ a[slot].T) @ b[slot].T
        return found


def fused(p: Projection, y: torch.Tensor) -> Callable[[], Any]:
    """Ours, as layers call it: one operator."""
    starts = torch.zeros(1, dtype=torch.int64, device=y.device)
    return lambda: cold_kernels.bgmv_shrink_expand(p.x, p.a[:, None], p.b, y, p.idx, starts, SCALE, True)


def apart(p: Projection, y: torch.Tensor) -> Callable[[], Any]:
    """Ours, by the operators with vLLM's names."""
    low = torch.zeros(p.x.shape[0], p.a.shape[1], dtype=torch.float32, device=y.device)

    def call() -> None:
        cold_kernels.bgmv_shrink(p.x, p.a, low, p.idx, SCALE)
        cold_kernels.bgmv_expand(low, p.b, y, p.idx, True)

    return call


def gathered(p: Projection, y: torch.Tensor) -> Callable[[], Any]:
    """Each row's matrices gathered, then batched products: what PyTorch alone can do."""

    def call() -> None:
        low = torch.bmm(p.a[p.idx], p.x[:, :, None])
        y.add_(torch.bmm(p.b[p.idx], low)[:, :, 0], alpha=SCALE)

    return call


def vllm(p: Projection, y: torch.Tensor) -> Callable[[], Any]:
    """vLLM's operators, as its `PunicaWrapperGPU` calls them; metadata made once, as a step of it does.

    Raises:
        ImportError: the package is not installed, or lacks these operators.
    """
    meta_of = importlib.import_module(f"{VLLM}.lora_kernel_metadata").LoRAKernelMeta
    shrink = importlib.import_module(f"{VLLM}.lora_shrink_op").lora_shrink
    expand = importlib.import_module(f"{VLLM}.lora_expand_op").lora_expand
    rows = p.x.shape[0]
    made = meta_of.make(SLOTS, rows, y.device)
    made.prepare_tensors(p.idx.to(torch.int32))
    try:
        said = made.meta_args(rows, False)
    except TypeError:  # older releases
        said = made.meta_args(rows)
    low = torch.empty(1, rows, p.a.shape[1], dtype=torch.float32, device=y.device)
    a, b = [p.a[:, None].contiguous()], [p.b[:, None].contiguous()]

    def call() -> None:
        shrink(p.x, a, low, *said, SCALE)
        expand(low, b, y, *said, offset_start=0, add_inputs=True)

    return call


WAYS: dict[str, Callable[[Projection, torch.Tensor], Callable[[], Any]]] = {
    "cold-kernels, fused": fused,
    "cold-kernels, apart": apart,
    "vLLM": vllm,
    "gathered bmm": gathered,
}
