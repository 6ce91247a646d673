"""``python -m bench memory``: what schemes of contrastive LoRA decoding hold in a decode step, counted from tensors.

After the memory stress of CoLD (arXiv 2505.14620).
"""

import argparse
import json
from typing import Any

from cold_kernels.limits import MAX_FUSED_RANK

from .held_tensors import MODELS, MOST, OPERATORS, SCHEMES, StepShape, built, counted, held, largest_batch

BATCHES = (1, 2, 4, 8, 16, 32)
CARDS = {"32 GB": 32 << 30, "64 GB": 64 << 30}
"""Bytes of global memory: Ascend910B4; Ascend910B1 to B3.

``memory_size`` in CANN platform_config: Ascend910B4.ini 34359738368, Ascend910B1.ini and B2.ini 68719476736; 910B3:
npu-smi, 65536 MB. Firmware and runtime take their part, which is not taken off here.
"""
PAPER = 14.28, 28.0
"""GB with weights once and twice by CoLD's paper, Llama-2-7B."""
GB, PLAIN_WIDTH = 1e9, 120


def add_parser(subparsers: "argparse._SubParsersAction") -> None:
    """Registers the command."""
    parser = subparsers.add_parser(
        "memory",
        help="memory of contrastive LoRA decoding by scheme, counted",
        description="Counts, from tensors without memory, the bytes that two models, Gather-BMM, the kernels of "
        "vllm-ascend, of vLLM, of SGLang and these hold in a decode step, and the largest batch that fits on a card.",
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
        f"Cards: {cards}; what firmware and runtime take is not taken off. Not counted: the base model's activations; "
        "the workspace of a launch on the cube cores, some megabytes.",
        "Two models serve one adapter, the others all of theirs.",
        f"Weights once: {once / GB:.2f} GB, with an adapter {(once + adapter) / GB:.2f}; twice: {twice / GB:.2f} GB. "
        f"Ratio {once / twice:.2f}, with the adapter {ratio:.2f} (the paper, Llama-2-7B: {PAPER[0]} against "
        f"{PAPER[1]:g} GB, {PAPER[0] / PAPER[1]:.2f}).",
    ):
        console.print(shown, soft_wrap=isinstance(shown, str))


def _marks(size: int) -> str:
    """A star for each card that has less."""
    return "*" * sum(size > card for card in CARDS.values())
