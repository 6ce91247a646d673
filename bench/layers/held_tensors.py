"""What schemes of contrastive LoRA decoding hold in a decode step, counted from tensors on torch's meta device.

There tensors have a shape and a type, and no memory. The expert is the base model with an adapter, the amateur the base
model alone.
"""

import functools
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel

    Held = dict[str, Iterable[torch.Tensor]]

LLAMA = dict(
    hidden_size=4096, intermediate_size=11008, num_hidden_layers=32, num_attention_heads=32, num_key_value_heads=32,
    vocab_size=32000, max_position_embeddings=4096,
)  # fmt: skip
QWEN = dict(
    hidden_size=3584, intermediate_size=18944, num_hidden_layers=28, num_attention_heads=28, num_key_value_heads=4,
    vocab_size=152064, max_position_embeddings=131072,
)  # fmt: skip
MODELS = {"Llama-2-7B": ("Llama", LLAMA), "Qwen2.5-7B": ("Qwen2", QWEN)}
"""Architecture in transformers, and sizes as in the ``config.json`` that each model is published with."""
MOST = 4096
"""Requests, and adapters, at most."""
OPERATORS = ("gathered copies", "LoRA activations", "row order")
"""What is held for the LoRA operators alone, in `SCHEMES`."""


@dataclass(frozen=True)
class StepShape:
    """A decode step in fp16: B requests, each with an expert and an amateur row.

    Args:
        model: A stock causal language model on the meta device.
        rank: R of every adapter.
        context: C, the tokens of each row that its KV cache holds.
        adapters: L, slots of a LoRA stack; None for as many as requests.
        requests: B.
    """

    model: "PreTrainedModel"
    rank: int
    context: int
    adapters: int | None = None
    requests: int = 1

    @property
    def rows(self) -> int:
        return 2 * self.requests

    @functools.cached_property
    def modules(self) -> list[tuple[int, int]]:
        """Input and output size of the linear modules of all layers, q to down; the head is not adapted."""
        from decoding.layers.injection import linear_layers

        return [size for name, size in linear_layers(self.model).items() if ".layers." in name]

    def pairs(self, count: int, modules: Iterable[tuple[int, int]]) -> "Iterator[torch.Tensor]":
        """A ``[count, R, in]`` and B ``[count, out, R]`` of each module."""
        for inner, outer in modules:
            yield from (meta(count, self.rank, inner), meta(count, outer, self.rank))

    def caches(self, rows: int) -> "Iterator[torch.Tensor]":
        """Keys and values ``[rows, KV heads, C, head size]`` of each layer."""
        config = self.model.config
        head = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
        for _ in range(2 * config.num_hidden_layers):
            yield meta(rows, config.num_key_value_heads, self.context, head)


def meta(*shape: int, dtype: str = "float16") -> "torch.Tensor":
    """A tensor without memory."""
    import torch

    return torch.empty(shape, dtype=getattr(torch, dtype), device="meta")


def counted(tensors: "Iterable[torch.Tensor]") -> int:
    """Bytes of the tensors' elements."""
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors)


def two_models(step: StepShape) -> "Held":
    """An expert that an adapter is merged into, and the base model, each with a cache of B rows."""
    return {
        "weights": [*step.model.parameters(), *step.model.parameters()],
        "KV caches": [*step.caches(step.requests), *step.caches(step.requests)],
        "logits": [meta(step.rows, step.model.config.vocab_size)],
    }


def weights_once(step: StepShape) -> "Held":
    """What every scheme holds that has one model and 2B rows."""
    return {
        "weights": step.model.parameters(),
        "KV caches": step.caches(step.rows),
        "logits": [meta(step.rows, step.model.config.vocab_size)],
        "adapters": step.pairs(step.adapters or step.requests, step.modules),
        "adapter of each row": [meta(step.rows, dtype="int64")],
    }


def gather_one(step: StepShape) -> "Held":
    """``A[indices]``, ``B[indices]``, and the products ``[2B, R]`` and ``[2B, out]``, of the largest module.

    Those of the other modules are freed. An amateur row is gathered as well, and masked afterwards.
    """
    largest = max(step.modules, key=sum)
    products = [meta(step.rows, step.rank), meta(step.rows, largest[1])]
    return {**weights_once(step), "gathered copies": step.pairs(step.rows, [largest]), "LoRA activations": products}


def gather_all(step: StepShape) -> "Held":
    """As `gather_one`, with every module's copies held, as where adapters are gathered once a step."""
    return {**gather_one(step), "gathered copies": step.pairs(step.rows, step.modules)}


def shrink_apart(step: StepShape) -> "Held":
    """``add_lora_linear`` of vllm-ascend and vLLM: a buffer ``[2B, R]`` in fp32 for each of at most three slices."""
    from cold_kernels.layers.siblings import SHARE_AN_INPUT

    buffers = [meta(step.rows, step.rank, dtype="float32") for _ in max(SHARE_AN_INPUT, key=len)]
    return {**weights_once(step), "LoRA activations": buffers}


def segmented(step: StepShape) -> "Held":
    """SGLang's products by segments: a buffer ``[2B, slices x R]`` in fp16 for the most slices that share an input, and
    in int32 the order of the rows and where segments start and whose they are, as many as rows at most.

    The workspace that the compiler asks for in each launch is not counted.
    """
    from cold_kernels.layers.siblings import SHARE_AN_INPUT

    buffer = meta(step.rows, len(max(SHARE_AN_INPUT, key=len)) * step.rank)
    order = [meta(step.rows + 1, dtype="int32"), *(meta(step.rows, dtype="int32") for _ in range(2))]
    return {**weights_once(step), "LoRA activations": [buffer], "row order": order}


def cold_kernels(step: StepShape) -> "Held":
    """`bgmv_shrink_expand` with a `lora_row_order`: nothing between the products; what its scheme of two launches keeps
    there, for few rows and below a megabyte, is not counted, nor the workspace that the compiler asks for in a launch
    on the cube cores: 0.6 to 3.2 MB in the programs looked at."""
    from cold_kernels import lora_row_order

    return {**weights_once(step), "row order": [lora_row_order(meta(step.rows, dtype="int64"))]}


SCHEMES: "dict[str, Callable[[StepShape], Held]]" = {
    "two models, one adapter merged": two_models,
    "Gather-BMM, copies of one module at a time": gather_one,
    "Gather-BMM, copies of all modules for the step": gather_all,
    "one core per token (vllm-ascend)": shrink_apart,
    "split-K with atomics (vLLM)": shrink_apart,
    "segmented dot (SGLang)": segmented,
    "cold-kernels": cold_kernels,
}
"""Each gives the tensors that are held at the peak of a step, by what they are for."""


def built(architecture: str, sizes: dict[str, int]) -> "PreTrainedModel":
    """The stock model in fp16, on the meta device."""
    import torch
    import transformers

    config = getattr(transformers, f"{architecture}Config")(**sizes, tie_word_embeddings=False)
    with torch.device("meta"):
        return getattr(transformers, f"{architecture}ForCausalLM")(config).half()


def held(scheme: str, step: StepShape, requests: int) -> dict[str, int]:
    """Bytes of a step with so many requests by what they are for, and their total."""
    parts = {name: counted(tensors) for name, tensors in SCHEMES[scheme](replace(step, requests=requests)).items()}
    return {**parts, "total": sum(parts.values())}


def largest_batch(scheme: str, step: StepShape, capacity: int) -> int:
    """The most requests that so many bytes hold, up to `MOST`; 0 if not even one."""
    return bisect_right(range(1, MOST + 1), capacity, key=lambda requests: held(scheme, step, requests)["total"])
