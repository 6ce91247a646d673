"""What of vLLM 0.23 and vllm-ascend 0.23 a LoRA wrapper meets, in our own words: read from their source, not run."""

import enum
import importlib
import sys
from dataclasses import dataclass
from types import ModuleType, SimpleNamespace

import torch


class Base:
    """As vLLM's ``PunicaWrapperBase``: which slot each row has, in tensors that stay where they are."""

    def __init__(self, max_num_batched_tokens, max_batches, device, **kwargs):
        self._token_lora_indices = torch.full((max_num_batched_tokens,), 77)  # rubbish until it is written
        self._sampler_indices = torch.full((max_num_batched_tokens,), 77)
        self._embeddings_indices = torch.zeros(2, max_num_batched_tokens, dtype=torch.long)
        self.indices_len = [None] * 4
        self.device, self.is_prefill, self.no_lora = device, False, False

    def update_metadata(self, mapping, lora_index_to_id, max_loras, vocab_size, **kwargs):
        slots = lambda ids: torch.tensor([lora_index_to_id.index(one) if one > 0 else -1 for one in ids])  # noqa: E731
        rows, samples = slots(mapping.index_mapping), slots(mapping.prompt_mapping)
        self._token_lora_indices[: len(rows)] = rows
        self._sampler_indices[: len(samples)] = samples
        self.indices_len = [len(rows), len(samples), len(samples), len(rows)]
        self.is_prefill, self.no_lora = mapping.is_prefill, bool((rows == -1).all())

    @property
    def token_lora_indices(self):
        return self._token_lora_indices[: self.indices_len[0]]

    @property
    def sampler_indices(self):
        return self._sampler_indices[: self.indices_len[1]]


def torch_shrink(x, a, y, indices, scaling=1.0):
    """vLLM 0.23's: a base row takes the last slot's weights."""
    y[:] = scaling * torch.einsum("th,trh->tr", x.to(y.dtype), _three(a)[indices].to(y.dtype))


def torch_expand_slice(x, b, y, indices, offset, size, add_inputs=True):
    """vLLM 0.23's: a base row takes the last slot's weights."""
    y[:, offset : offset + size] += torch.einsum("tr,tdr->td", x, _three(b)[indices].to(x.dtype)).to(y.dtype)


for one in (torch_shrink, torch_expand_slice):
    one.__module__ = "vllm.lora.ops.torch_ops.lora_ops"


def _three(weights):
    return weights.squeeze(1) if weights.dim() == 4 else weights


def kernel_shrink(x, a, y, indices, scaling=1.0):
    """vllm-ascend's own: ranks to 64, and base rows are left alone."""
    assert a.shape[-2] <= 64
    torch_shrink(x, a, y, indices.clamp(min=0), scaling)
    y[indices < 0] = 0


def kernel_expand_slice(x, b, y, indices, offset, size, add_inputs=True):
    """vllm-ascend's own: ranks to 64, and base rows are left alone."""
    assert b.shape[-1] <= 64
    torch_expand_slice(x * (indices >= 0)[:, None], b, y, indices.clamp(min=0), offset, size)


class DeviceType(enum.Enum):
    A2 = 0
    _310P = 2


class Wrapper(Base):
    """As vllm-ascend's ``PunicaWrapperNPU``, as far as it is not overridden."""

    def __init__(self, max_num_batched_tokens, max_batches, device, **kwargs):
        Base.__init__(self, max_num_batched_tokens, max_batches, device)
        self.lora_config = kwargs.get("lora_config")
        on_310p = sys.modules["vllm_ascend.utils"].get_ascend_device_type() == DeviceType._310P
        in_torch = on_310p or self.lora_config.max_lora_rank >= 128
        self.bgmv_shrink = torch_shrink if in_torch else kernel_shrink
        self.bgmv_expand_slice = torch_expand_slice if in_torch else kernel_expand_slice

    def add_lora_fused_moe(
        self, y, x, lora_a_stacked, lora_b_stacked, *, expert_ids, adapter_enabled, token_lora_mapping
    ):
        """One row for a token and expert; the slot of both is one index into flattened weights."""
        experts, slots = lora_a_stacked[0].shape[1], token_lora_mapping
        enabled = (slots >= 0) & adapter_enabled[slots.clamp(min=0)].bool()
        indices = torch.where(enabled, slots * experts + expert_ids, -1)
        offset = 0
        for a, b in zip(lora_a_stacked, lora_b_stacked):
            low = torch.zeros(len(x), a.shape[-2])
            self.bgmv_shrink(x, a.flatten(0, 1), low, indices, 1.0)
            self.bgmv_expand_slice(low, b.flatten(0, 1), y, indices, offset, b.shape[-2], add_inputs=True)
            offset += b.shape[-2]


class Layer(torch.nn.Module):
    """As vLLM's ``BaseLayerWithLoRA`` of some slices: weights ``[L, 1, R, H]`` and ``[L, 1, D, R]`` for each."""

    def __init__(self, slots, rank, hidden, widths):
        super().__init__()
        self.output_slices = widths
        self.lora_a_stacked = tuple(torch.zeros(slots, 1, rank, hidden) for _ in widths)
        self.lora_b_stacked = tuple(torch.zeros(slots, 1, width, rank) for width in widths)

    def set_mapping(self, punica_wrapper):
        self.punica_wrapper = punica_wrapper

    def load(self, slot):
        for weights in (*self.lora_a_stacked, *self.lora_b_stacked):
            weights[slot] = torch.randn(weights.shape[1:])

    def added(self, x, slots):
        """What LoRA adds, in float64; ``slots`` has None for base rows."""
        rows = []
        for row, slot in zip(x.double(), slots):
            parts = [
                b[slot or 0, 0].double() @ (a[slot or 0, 0].double() @ row) * (slot is not None)
                for a, b in zip(self.lora_a_stacked, self.lora_b_stacked)
            ]
            rows.append(torch.cat(parts))
        return torch.stack(rows)


@dataclass
class Reader:
    """vLLM's reader of adapters, as releases have it that know nothing of ranks and scalings by layer."""

    r: int

    @classmethod
    def from_dict(cls, config):
        return cls(config["r"])


def install(monkeypatch, device=DeviceType.A2, version="0.23.0"):
    """Put the stand-in where vLLM and vllm-ascend would be imported from; the platform comes back."""

    class Platform:
        device_type = "npu"

        @classmethod
        def get_punica_wrapper(cls):
            return "vllm_ascend.lora.punica_npu.PunicaWrapperNPU"

    def resolve(name):
        module, _, attribute = name.rpartition(".")
        return getattr(importlib.import_module(module), attribute)

    platform, given = Platform(), type("BaseLayerWithLoRA", (Layer,), {"set_mapping": Layer.set_mapping})
    contents = {
        "vllm": dict(__version__=version),
        "vllm.platforms": dict(current_platform=platform),
        "vllm.lora.layers": dict(BaseLayerWithLoRA=given),
        "vllm.lora.peft_helper": dict(
            PEFTHelper=type("PEFTHelper", (Reader,), {"from_dict": vars(Reader)["from_dict"]})
        ),
        "vllm.utils.import_utils": dict(resolve_obj_by_qualname=resolve),
        "vllm_ascend.utils": dict(AscendDeviceType=DeviceType, get_ascend_device_type=lambda: device),
        "vllm_ascend.lora.punica_npu": dict(PunicaWrapperNPU=Wrapper),
    }
    for name in contents:
        parts = name.split(".")
        for end in range(1, len(parts) + 1):
            path = ".".join(parts[:end])
            module = ModuleType(path)
            vars(module).update(contents.get(path, {}), __path__=[])
            monkeypatch.setitem(sys.modules, path, module)
    for path in [path for path in sys.modules if path.startswith("cold_kernels.integrations.vllm.")]:
        monkeypatch.delitem(sys.modules, path)
    return platform, given


def mapping(ids, samples=None):
    """vLLM's ``LoRAMapping``: the adapter of each row, and of each row that is sampled; 0 is the base model."""
    return SimpleNamespace(index_mapping=tuple(ids), prompt_mapping=tuple(samples or ids), is_prefill=True)
