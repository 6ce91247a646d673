"""``python -m bench memory``: what schemes of contrastive LoRA decoding hold in a decode step, counted from tensors.

After the memory stress of CoLD (arXiv 2505.14620): the expert is the base model with an adapter, the amateur the base
model alone. All tensors are on torch's meta device, where they have a shape and a type, and no memory.
"""

import argparse
import functools
import json
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from cold_kernels.limits import MAX_FUSED_RANK

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
BATCHES = (1, 2, 4, 8, 16, 32)
MOST = 4096
"""Requests, and adapters, at most."""
CARDS = {"32 GB": 32 << 30, "64 GB": 64 << 30}
"""Bytes of global memory: Ascend910B4; Ascend910B1 to B3.

``memory_size`` in CANN platform_config: Ascend910B4.ini 34359738368, Ascend910B1.ini and B2.ini 68719476736; 910B3:
npu-smi, 65536 MB. Firmware and runtime take their part, which is not taken off here.
"""
PAPER = 14.28, 28.0
"""GB with weights once and twice by CoLD's paper, Llama-2-7B."""
GB, PLAIN_WIDTH = 1e9, 120
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
        from decoding.layers import linear_layers

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
    from decoding.layers import SHARE_AN_INPUT

    buffers = [meta(step.rows, step.rank, dtype="float32") for _ in max(SHARE_AN_INPUT, key=len)]
    return {**weights_once(step), "LoRA activations": buffers}


def cold_kernels(step: StepShape) -> "Held":
    """`bgmv_shrink_expand` with a `lora_row_order`: nothing between the products."""
    from cold_kernels import lora_row_order

    return {**weights_once(step), "row order": [lora_row_order(meta(step.rows, dtype="int64"))]}


SCHEMES: "dict[str, Callable[[StepShape], Held]]" = {
    "two models, one adapter merged": two_models,
    "Gather-BMM, copies of one module at a time": gather_one,
    "Gather-BMM, copies of all modules for the step": gather_all,
    "one core per token (vllm-ascend)": shrink_apart,
    "split-K with atomics (vLLM)": shrink_apart,
    "cold-kernels": cold_kernels,
}
"""Each gives the tensors that are held at the peak of a step, by what they are for."""


def add_parser(subparsers: "argparse._SubParsersAction") -> None:
    """Registers the command."""
    parser = subparsers.add_parser(
        "memory",
        help="memory of contrastive LoRA decoding by scheme, counted",
        description="Counts, from tensors without memory, the bytes that two models, Gather-BMM, the kernels of "
        "vllm-ascend, of vLLM and these hold in a decode step, and the largest batch that fits on a card.",
    )
    parser.add_argument("--model", default="Llama-2-7B", help=f"{' or '.join(MODELS)}; default: Llama-2-7B")
    parser.add_argument("--rank", type=int, default=64, help="of the adapters; default: 64")
    parser.add_argument("--context", type=int, default=512, help="tokens in each row's KV cache; default: 512")
    parser.add_argument("--adapters", type=int, metavar="N", help="default: as many as requests")
    parser.add_argument("--json", action="store_true", help="print one JSON object, with bytes by what they are for")
    parser.set_defaults(run=run, extra="decode")


def run(arguments: argparse.Namespace) -> None:
    """Runs the command."""
    check(arguments)
    step = StepShape(built(*MODELS[arguments.model]), arguments.rank, arguments.context, arguments.adapters)
    found = {"model": arguments.model, **findings(step)}
    if arguments.json:
        print(json.dumps(found, indent=1))
    else:
        show(found)


def check(arguments: argparse.Namespace) -> None:
    """Raise ValueError for a value that cannot be counted with."""
    if arguments.model not in MODELS:
        raise ValueError(f"unknown model {arguments.model!r}; use {' or '.join(MODELS)}")
    positions = MODELS[arguments.model][1]["max_position_embeddings"]
    for name, most, why in (
        ("rank", MAX_FUSED_RANK, "as bgmv_shrink_expand takes it"),
        ("context", positions, f"the positions of {arguments.model}"),
        ("adapters", MOST, "as batches are counted up to there"),
    ):
        value = getattr(arguments, name)
        if value is not None and not 1 <= value <= most:
            raise ValueError(f"--{name} {value}: it must be from 1 to {most}, {why}")


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


def findings(step: StepShape) -> dict[str, Any]:
    """What ``--json`` prints besides the model's name; sizes in bytes."""
    once, pair = counted(step.model.parameters()), counted(step.pairs(1, step.modules))
    return {
        "evidence": "COUNTED",
        "dtype": "float16",
        "rank": step.rank,
        "context": step.context,
        "adapters": step.adapters or "as many as requests",
        "cards": CARDS,
        "weights": {"once": once, "twice": 2 * once, "an adapter": pair, "ratio": (once + pair) / (2 * once)},
        "schemes": {
            scheme: {
                "requests": {str(requests): held(scheme, step, requests) for requests in BATCHES},
                "largest batch": {card: largest_batch(scheme, step, size) for card, size in CARDS.items()},
            }
            for scheme in SCHEMES
        },
    }


def show(found: dict[str, Any]) -> None:
    """Print tables, and what belongs to them, to standard output."""
    from rich import box
    from rich.console import Console
    from rich.table import Table

    console = Console(markup=False, highlight=False)
    if not console.is_terminal:
        console = Console(markup=False, highlight=False, width=PLAIN_WIDTH, color_system=None)
    look = box.SIMPLE_HEAD if console.is_terminal else box.ASCII
    sizes, most = Table("GB (1e9 bytes), by requests", box=look), Table("largest batch, in requests", box=look)
    for table, names in ((sizes, map(str, BATCHES)), (most, (*CARDS, f"LoRA operators at {BATCHES[-1]}, MB"))):
        for name in names:
            table.add_column(name, justify="right", no_wrap=True)
    for scheme, facts in found["schemes"].items():
        batches = list(facts["requests"].values())
        sizes.add_row(scheme, *(f"{batch['total'] / GB:.2f} {_marks(batch['total'])}" for batch in batches))
        fits = (f"{batch} or more" if batch == MOST else str(batch) for batch in facts["largest batch"].values())
        most.add_row(scheme, *fits, f"{sum(batches[-1].get(part, 0) for part in OPERATORS) / 1e6:.4f}")
    cards = ", ".join(f"{card} {size / GB:.2f}e9 bytes" for card, size in CARDS.items())
    once, twice, adapter, ratio = (found["weights"][key] for key in ("once", "twice", "an adapter", "ratio"))
    for shown in (
        f"COUNTED from tensors; nothing was allocated or measured: {found['model']} in fp16, rank {found['rank']}, "
        f"context {found['context']}, adapters: {found['adapters']}, two rows a request",
        sizes,
        *(f"{_marks(size + 1)} out of memory on {card}" for card, size in CARDS.items()),
        most,
        f"Cards: {cards}; what firmware and runtime take is not taken off. Not counted: the base model's activations.",
        "Two models serve one adapter, the others all of theirs.",
        f"Weights once: {once / GB:.2f} GB, with an adapter {(once + adapter) / GB:.2f}; twice: {twice / GB:.2f} GB. "
        f"Ratio {once / twice:.2f}, with the adapter {ratio:.2f} (the paper, Llama-2-7B: {PAPER[0]} against "
        f"{PAPER[1]:g} GB, {PAPER[0] / PAPER[1]:.2f}).",
    ):
        console.print(shown, soft_wrap=isinstance(shown, str))


def _marks(size: int) -> str:
    """A star for each card that has less."""
    return "*" * sum(size > card for card in CARDS.values())
