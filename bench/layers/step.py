"""``python -m bench step``: a decode step, greedy and contrastive, by every LoRA scheme; modelled."""

import argparse
import functools
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ..png import png
from . import cases as layer_cases
from .goals import LAUNCH_FLOORS, OURS, PARTS
from .projections import ADAPTERS, MODELS, Batch, Model

CHIP = "Ascend910B3"
STEP_MODELS = ("Llama-2-7B", "Qwen2.5-7B")
REQUESTS, RANKS = (1, 2, 4, 8, 16, 32, 64), (16, 64)
PAPER = 0.28
"""Less end-to-end latency than greedy decoding, says CoLD's abstract, not which greedy."""


@dataclass(frozen=True)
class DecodeStep:
    """A decode step's parts in microseconds on the nominal chip, by what a launch costs whatever it does.

    Args:
        base_us: The base model's matrix products, by the bytes of their weights; no launches, attention or KV cache.
        lora_us: All layers' LoRA, without what launches cost whatever they do, with the start of their cores.
        launches: Of all layers.
        choice_us, choices: The same of the contrastive choice, and its launches; none for greedy.
    """

    base_us: float
    lora_us: float
    launches: int
    choice_us: float = 0.0
    choices: int = 0

    def us(self, launch_us: float) -> float:
        return self.base_us + self.lora_us + self.choice_us + (self.launches + self.choices) * launch_us


def add_parser(subparsers: "argparse._SubParsersAction") -> None:
    """Registers the command."""
    parser = subparsers.add_parser(
        "step",
        help="a decode step, greedy and CoLD, by ours and the peers' schemes",
        description="Models a decode step: the base matrix products by their bytes, LoRA and the contrastive choice "
        "simulated; on Ascend910B3, for 1 to 64 requests. Attention and whatever else a step does are left out.",
    )
    parser.add_argument("--model", choices=STEP_MODELS, action="append", help="default: both; repeatable")
    parser.add_argument("--rank", type=int, choices=RANKS, action="append", help="default: 16 and 64; repeatable")
    parser.add_argument("--requests", type=int, choices=REQUESTS, action="append", help="default: all; repeatable")
    parser.add_argument("--adapters", choices=ADAPTERS, default="distinct", help="of the requests; default: distinct")
    parser.add_argument("--picture", type=Path, metavar="OUT.png", help="draw the steps over what a launch costs")
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of tables")
    parser.set_defaults(run=run, goes_on="the same command goes on", needs=("matplotlib", "rich"))


def run(arguments: argparse.Namespace) -> None:
    """Runs the command."""
    if arguments.picture and arguments.picture.suffix != ".png":
        raise ValueError(f"--picture {arguments.picture}: the name must end in .png")
    if arguments.picture and not arguments.picture.parent.is_dir():
        raise ValueError(f"--picture {arguments.picture}: there is no folder {arguments.picture.parent}")
    import xdsl  # noqa: F401

    models = [MODELS[name] for name in dict.fromkeys(arguments.model or STEP_MODELS)]
    found = steps(models, arguments.rank or RANKS, arguments.requests or REQUESTS, arguments.adapters)
    print(json.dumps(as_json(found), indent=1)) if arguments.json else show(found)
    if arguments.picture:
        _draw(found, arguments.picture)


def _draw(found: "Steps", path: Path) -> None:
    from .step_plot import plot

    models = {model for model, _, _ in found}
    path.write_bytes(png(lambda figure: plot(figure, by_rank(found)), 3.2 * len(models)))


Steps = dict[tuple[str, int, int], dict[tuple[str, str], DecodeStep]]
"""By model, rank and requests: by decoding, ``greedy`` or ``CoLD``, and scheme."""


def steps(models: Sequence[Model], ranks: Sequence[int], requests: Sequence[int], adapters: str) -> Steps:
    """The steps; what is not known yet is counted.

    Raises:
        AscendError: a scheme does not compile; `ToolchainMissing` without a compiler.
    """
    wanted = {
        (model, rank, count, kind): layer_cases.LayerCase(CHIP, model.name, rank, batch_of(kind, count, adapters))
        for model in models
        for rank in ranks
        for count in requests
        for kind in ("greedy", "CoLD")
    }
    cells = list(dict.fromkeys(wanted.values()))
    found = layer_cases.known(
        cells, lambda done, cell: print(f"{done}/{len(cells)} {cell}", file=sys.stderr, flush=True)
    )
    made: Steps = {}
    for (model, rank, count, kind), cell in wanted.items():
        base = base_us(model)
        choice = choice_of(model.vocabulary, whole_eights(count)) if kind == "CoLD" else (0.0, 0)
        for scheme, part in found[cell].items():
            if scheme != PARTS:
                step = DecodeStep(base, model.layers * part["us"][0], model.layers * part["launches"], *choice)
                made.setdefault((model.name, rank, count), {})[kind, scheme] = step
    return made


def batch_of(kind: str, requests: int, adapters: str) -> Batch:
    """Rows of a step: one a request, or one with the adapter and one without."""
    return Batch(2 * requests, adapters, half=True) if kind == "CoLD" else Batch(requests, adapters)


def whole_eights(requests: int) -> int:
    """Rows of the choice's case: a multiple of 8 has the usual alpha and beta in all of them."""
    return -(-requests // 8) * 8


def base_us(model: Model) -> float:
    """Time of the base model's weights at the bandwidth of global memory."""
    from cold_kernels.ascend.chips import chip_named

    return model.base_bytes / chip_named(CHIP).hbm_bytes_per_second * 1e6


@functools.cache
def choice_of(vocabulary: int, rows: int) -> tuple[float, int]:
    """Microseconds of the contrastive choice of so many rows without its launches, and how many these are."""
    from cold_kernels import tables
    from cold_kernels.cases import Case
    from cold_kernels.contrastive.score import contrastive_argmax as spec
    from tuner.search.evaluate import Evaluator

    from ..exact.cases import shipped_tables
    from .schemes import machine

    case = Case.parse(f"B={rows} V={vocabulary}", spec)
    with shipped_tables():
        config = tables.select(spec, spec.key(case.shape()), CHIP).config
    timed = Evaluator(spec, machine(CHIP)).timed(config, case)
    return timed.net(machine(CHIP).chip), len(timed.parts)


def show(found: Steps) -> None:
    """Print a table for each model and rank."""
    from rich.console import Console
    from rich.table import Table

    console = Console(width=150)
    console.print(
        f"MODELLED decode steps on {CHIP}, nominal chip: base matrix products by the bytes of their weights, LoRA and "
        "the contrastive choice simulated (HIVM level). Attention, KV cache, normalization, greedy's choice, the host "
        "are not in it; nothing was measured on an NPU."
    )
    for (model, rank), group in by_rank(found).items():
        table = Table(title=f"{model}, rank {rank}: ms a step at {LAUNCH_FLOORS[1]:g} us a launch")
        names = list(dict.fromkeys(scheme for each in group.values() for _, scheme in each))
        for name in ("requests", *(f"{kind} {scheme}" for kind in ("greedy", "CoLD") for scheme in names)):
            table.add_column(name)
        for count, each in group.items():
            times = [each[kind, name].us(LAUNCH_FLOORS[1]) for kind in ("greedy", "CoLD") for name in names]
            table.add_row(str(count), *(f"{us / 1e3:.2f}" for us in times))
        console.print(table)
        floors = " / ".join(f"{us:g}" for us in LAUNCH_FLOORS)
        table = Table(
            title=f"{model}, rank {rank}: latency of CoLD by {OURS} against greedy by ..., at {floors} us a launch"
        )
        for name in ("requests", *names):
            table.add_column(name)
        for count, each in group.items():
            changes = (" / ".join(f"{change(each, name, us):+.0%}" for us in LAUNCH_FLOORS) for name in names)
            table.add_row(str(count), *changes)
        console.print(table)
    console.print(f"CoLD's abstract: {-PAPER:.0%} against greedy decoding; it does not say which.")


def change(each: dict[tuple[str, str], DecodeStep], scheme: str, launch_us: float) -> float:
    """Latency of CoLD by our kernels over that of greedy decoding by a scheme, less 1."""
    return each["CoLD", OURS].us(launch_us) / each["greedy", scheme].us(launch_us) - 1


def by_rank(found: Steps) -> dict[tuple[str, int], dict[int, dict]]:
    """By model and rank: by requests."""
    groups: dict = {}
    for (model, rank, count), each in found.items():
        groups.setdefault((model, rank), {})[count] = each
    return groups


def as_json(found: Steps) -> dict:
    """One object: ``evidence``, and ``steps``, a row for each model, rank, number of requests, decoding and scheme."""
    rows = [
        dict(model=model, rank=rank, requests=count, decoding=kind, scheme=scheme, base_us=step.base_us)
        | dict(lora_us=step.lora_us, launches=step.launches, choice_us=step.choice_us, choice_launches=step.choices)
        | dict(us={f"{us:g}": step.us(us) for us in LAUNCH_FLOORS})
        for (model, rank, count), each in found.items()
        for (kind, scheme), step in each.items()
    ]
    return {"evidence": "modelled: base by bytes, LoRA and choice simulated", "chip": CHIP, "steps": rows}
