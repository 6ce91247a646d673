"""What of SGLang 0.5.23 a LoRA backend meets, in our own words: its base class, batches, layers and memory pool."""

import sys
from dataclasses import dataclass
from types import ModuleType, SimpleNamespace

import torch

MOST = 16
"""Largest rank of the memory pool."""


@dataclass
class LoRABatchInfo:
    use_cuda_graph: bool
    bs: int
    num_segments: int
    seg_indptr: torch.Tensor
    weight_indices: torch.Tensor
    lora_ranks: torch.Tensor
    scalings: torch.Tensor
    max_len: int | None
    seg_lens: torch.Tensor | None
    permutation: torch.Tensor | None = None
    expected_tokens: int | None = None
    has_active_lora: bool = False


class BaseLoRABackend:
    chunk = None
    """Rows of a pass of the head where log probabilities are chunked."""

    def __init__(self, max_loras_per_batch, device):
        self.max_loras_per_batch, self.device = max_loras_per_batch, device
        self.reset_batch_state()
        self._is_moe_lora = False

    def reset_batch_state(self):
        self.batch_info = self.lm_head_batch_info = self.lm_head_pass_batch_infos = None

    def get_batch_info(self, layout=None):
        return self.batch_info

    def _get_lm_head_pass_segments(self, weight_indices, pruned_lens):
        rows = [slot for slot, length in zip(weight_indices, pruned_lens) for _ in range(length)]
        if self.chunk is None or len(rows) <= self.chunk:
            return None
        passes = [rows[first : first + self.chunk] for first in range(0, len(rows), self.chunk)]
        return [(one, [1] * len(one)) for one in passes]

    def forward_with_base(self):
        raise NotImplementedError

    init_decode_cuda_graph_batch_info = prepare_lora_batch = forward_with_base
    run_gate_up_lora = run_lora_a_embedding = run_lora_a_sgemm = run_lora_b_sgemm = run_qkv_lora = forward_with_base


def generate_sequence_lengths(forward_batch, device=None):
    return torch.tensor(forward_batch.lengths, dtype=torch.int32, device=device)


def get_lm_head_pruned_lens(forward_batch):
    return forward_batch.pruned


def batch(lengths, pruned=None):
    return SimpleNamespace(lengths=lengths, pruned=pruned)


class HookRegistry:
    hooks = []

    @classmethod
    def register(cls, target, hook, hook_type):
        cls.hooks.append((target, hook, hook_type))


def install(monkeypatch, **changes):
    """Put the stand-in where SGLang would be imported from; ``changes`` take its modules' contents' places."""
    contents = {
        "sglang.srt.environ": dict(envs=SimpleNamespace(SGLANG_EXPERIMENTAL_LORA_OPTI=SimpleNamespace(get=bool))),
        "sglang.srt.lora.backend.base_backend": dict(BaseLoRABackend=BaseLoRABackend),
        "sglang.srt.lora.backend.lora_registry": dict(registered={}),
        "sglang.srt.lora.utils": dict(
            LoRABatchInfo=LoRABatchInfo,
            generate_sequence_lengths=generate_sequence_lengths,
            get_lm_head_pruned_lens=get_lm_head_pruned_lens,
        ),
        "sglang.srt.plugins.hook_registry": dict(HookRegistry=HookRegistry, HookType=SimpleNamespace(AFTER="after")),
    }
    registry = contents["sglang.srt.lora.backend.lora_registry"]
    registry["register_lora_backend"] = lambda name: lambda create: registry["registered"].setdefault(name, create)
    modules = {}
    for name, items in contents.items():
        parts = name.split(".")
        for end in range(1, len(parts) + 1):
            modules.setdefault(".".join(parts[:end]), ModuleType(".".join(parts[:end])))
        vars(modules[name]).update({**items, **{key: changes[key] for key in items.keys() & changes.keys()}})
    for name, module in modules.items():
        monkeypatch.setitem(sys.modules, name, module)
    monkeypatch.setattr(HookRegistry, "hooks", [])
    for ours in ("backend", "batches"):
        monkeypatch.delitem(sys.modules, f"cold_kernels.integrations.sglang.{ours}", raising=False)
    return registry["registered"]


class Pool:
    """A layer's weights in SGLang's layout; what no adapter fills holds ``rubbish``."""

    def __init__(self, slots, hidden, widths, dtype=torch.float32, rubbish=float("nan"), most=MOST):
        self.widths, self.most, self.offsets = widths, most, [0]
        for width in widths:
            self.offsets.append(self.offsets[-1] + width)
        self.a = torch.full((slots, len(widths) * most, hidden), rubbish, dtype=dtype)
        self.b = torch.full((slots, self.offsets[-1], most), rubbish, dtype=dtype)
        self.adapters = {}

    def load(self, slot, rank, scaling, seed=0):
        made = torch.Generator().manual_seed(100 * seed + slot)
        slices, (_, _, hidden) = len(self.widths), self.a.shape
        a = torch.randn(slices * rank, hidden, generator=made).to(self.a.dtype)
        b = torch.randn(self.offsets[-1], rank, generator=made).to(self.b.dtype)
        self.a[slot, : slices * rank], self.b[slot, :, :rank] = a, b
        self.adapters[slot] = (rank, scaling, a, b)

    def ranks(self):
        return [self.adapters.get(slot, (0,))[0] for slot in range(len(self.a))]

    def scalings(self):
        return [self.adapters.get(slot, (0, 0.0))[1] for slot in range(len(self.a))]

    def reference(self, x, slots):
        """What LoRA adds to each row, in float64; zero where the slot has no adapter."""
        added = torch.zeros(len(x), self.offsets[-1], dtype=torch.float64)
        for row, slot in enumerate(slots):
            if slot in self.adapters:
                rank, scaling, a, b = self.adapters[slot]
                for place, (start, end) in enumerate(zip(self.offsets, self.offsets[1:])):
                    low = a[place * rank : (place + 1) * rank].double() @ x[row].double()
                    added[row, start:end] = scaling * (b[start:end].double() @ low)
        return added

    @property
    def starts(self):
        return torch.tensor(self.offsets, dtype=torch.int32)


def by_token(slots, lengths):
    return [slot for slot, length in zip(slots, lengths) for _ in range(length)]
