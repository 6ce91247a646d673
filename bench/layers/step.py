"""``python -m bench step``: a decode step, greedy and contrastive, by every LoRA scheme; modelled."""

import argparse
import dataclasses
import functools
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from ..png import png
from . import cases as layer_cases
from .goals import LAUNCH_FLOORS, OURS, PARTS
from .projections import ADAPTERS, MODELS, Model
from .step_model import (
    EAGER,
    GREEDY,
    KINDS,
    OPTIMISTIC,
    Contest,
    DecodeStep,
    batch_of,
    held_bytes,
    kv_bytes,
    kv_reads,
    passes,
)

CHIP = "Ascend910B3"
STEP_MODELS = ("Llama-2-7B", "Qwen2.5-7B")
REQUESTS, RANKS = (1, 2, 4, 8, 16, 32, 64), (16, 64)
SHOWN, CONTEXTS = (1, 16, 64), (512, 2048, 8192)
"""Requests and tokens of context where nothing else is asked for."""
PRINTED = {"choices": "choice_launches", "held": "held_bytes"}
"""Names in ``--json`` of a step's parts that have another one there."""
PAPER = 0.28
"""Less end-to-end latency than greedy decoding, says CoLD's abstract, not which greedy."""


def add_parser(subparsers: "argparse._SubParsersAction") -> None:
    """Registers the command."""
    parser = subparsers.add_parser(
        "step",
        help="a decode step, greedy and CoLD, by ours and the peers' schemes",
        description="Models a decode step: the base matrix products and the KV reads by their bytes, LoRA and the "
        "contrastive choice simulated; on Ascend910B3, for 1 to 64 requests. CoLD eager has every amateur in every "
        "step; in CoLD optimistic it lags, and is asked where more than one token passes the mask. Whatever else a "
        "step does is left out.",
    )
    parser.add_argument("--model", choices=STEP_MODELS, action="append", help="default: both; repeatable")
    parser.add_argument("--rank", type=int, choices=RANKS, action="append", help="default: 16 and 64; repeatable")
    parser.add_argument(
        "--requests", type=int, choices=REQUESTS, action="append", help="default: 1, 16, 64; repeatable"
    )
    parser.add_argument(
        "--context", type=int, action="append", help="tokens in the KV cache; default: 512, 2048, 8192; repeatable"
    )
    parser.add_argument(
        "--contested", type=float, default=Contest.contested, metavar="SHARE",
        help="of a request's steps, where more than one token passes the mask; default: %(default)s",
    )  # fmt: skip
    parser.add_argument(
        "--taken-back", type=float, default=Contest.taken_back, metavar="SHARE",
        help="of all steps, where contrast wants another token than the expert; default: %(default)s",
    )  # fmt: skip
    parser.add_argument("--adapters", choices=ADAPTERS, default="distinct", help="of the requests; default: distinct")
    parser.add_argument("--picture", type=Path, metavar="OUT.png", help="draw the steps over launches and context")
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of tables")
    parser.set_defaults(run=run, goes_on="the same command goes on", needs=("matplotlib", "rich"))


def run(arguments: argparse.Namespace) -> None:
    """Runs the command."""
    if arguments.picture and arguments.picture.suffix != ".png":
        raise ValueError(f"--picture {arguments.picture}: the name must end in .png")
    if arguments.picture and not arguments.picture.parent.is_dir():
        raise ValueError(f"--picture {arguments.picture}: there is no folder {arguments.picture.parent}")
    for context in arguments.context or ():
        if context < 1:
            raise ValueError(f"--context {context}: must be 1 or more tokens")
    contest = Contest(arguments.contested, arguments.taken_back)
    import xdsl  # noqa: F401

    models = [MODELS[name] for name in dict.fromkeys(arguments.model or STEP_MODELS)]
    requests, contexts = arguments.requests or SHOWN, arguments.context or CONTEXTS
    found = steps(models, arguments.rank or RANKS, requests, arguments.adapters, contexts, contest)
    print(json.dumps(as_json(found, contest), indent=1)) if arguments.json else show(found, contest)
    if arguments.picture:
        _draw(found, arguments.picture)


def _draw(found: "Steps", path: Path) -> None:
    from .step_plot import plot

    models = {model for model, *_ in found}
    path.write_bytes(png(lambda figure: plot(figure, by_rank(found)), 3.2 * len(models)))


Steps = dict[tuple[str, int, int, int], dict[tuple[str, str], DecodeStep]]
"""By model, rank, requests and context: by decoding, one of `KINDS`, and LoRA scheme."""


def steps(
    models: Sequence[Model],
    ranks: Sequence[int],
    requests: Sequence[int],
    adapters: str,
    contexts: Sequence[int],
    contest: Contest,
) -> Steps:
    """The steps; what is not known yet is counted.

    Raises:
        AscendError: a scheme does not compile; `ToolchainMissing` without a compiler.
    """
    wanted = {
        (model, rank, count, kind): layer_cases.LayerCase(CHIP, model.name, rank, batch_of(kind, count, adapters))
        for model in models
        for rank in ranks
        for count in requests
        for kind in KINDS
    }
    cells = list(dict.fromkeys(wanted.values()))
    found = layer_cases.known(
        cells, lambda done, cell: print(f"{done}/{len(cells)} {cell}", file=sys.stderr, flush=True)
    )
    made: Steps = {}
    for (model, rank, count, kind), cell in wanted.items():
        choice = (0.0, 0) if kind == GREEDY else choice_of(model.vocabulary, whole_eights(count))
        for context in contexts:
            once = bytes_us(count * kv_bytes(model, context))
            expert, amateur = (reads * once for reads in kv_reads(kind, contest))
            held = held_bytes(kind, model, rank, cell.batch, context)
            rest = *choice, expert, amateur, passes(kind, contest), held
            for scheme, part in found[cell].items():
                if scheme != PARTS:
                    lora = model.layers * part["us"][0], model.layers * part["launches"]
                    step = DecodeStep(bytes_us(model.base_bytes), *lora, *rest)
                    made.setdefault((model.name, rank, count, context), {})[kind, scheme] = step
    return made


def whole_eights(requests: int) -> int:
    """Rows of the choice's case: a multiple of 8 has the usual alpha and beta in all of them."""
    return -(-requests // 8) * 8


def bytes_us(count: float) -> float:
    """Time of so many bytes at the bandwidth of global memory."""
    from cold_kernels.ascend.chips import chip_named

    return count / chip_named(CHIP).hbm_bytes_per_second * 1e6


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


def show(found: Steps, contest: Contest) -> None:
    """Print tables for each model and rank."""
    from rich.console import Console
    from rich.table import Table

    console = Console(width=150)
    console.print(
        f"MODELLED decode steps on {CHIP}, nominal chip: base matrix products and KV reads by their bytes, LoRA and "
        "the contrastive choice simulated (HIVM level). Attention beyond its reads, normalization, greedy's choice, "
        "the host are not in it; nothing was measured on an NPU."
    )
    console.print(
        f"{EAGER}: every amateur in every step. {OPTIMISTIC}: amateurs lag and take their pending tokens as a chunk, "
        f"in {contest.contested:.0%} of a request's steps; {contest.taken_back:.0%} of the steps are repeated. "
        f"Latencies of CoLD are those by {OURS}."
    )
    floors = " / ".join(f"{us:g}" for us in LAUNCH_FLOORS)
    for (model, rank), group in by_rank(found).items():
        names = list(dict.fromkeys(scheme for each in group.values() for _, scheme in each))
        columns = [*((GREEDY, name) for name in names), (EAGER, OURS), (OPTIMISTIC, OURS)]
        table = Table(title=f"{model}, rank {rank}: ms a token at {LAUNCH_FLOORS[1]:g} us a launch")
        for name in ("requests", "context", *(f"{kind} {name}" for kind, name in columns)):
            table.add_column(name)
        for (count, context), each in group.items():
            times = (f"{each[column].us(LAUNCH_FLOORS[1]) / 1e3:.2f}{mark(each[column])}" for column in columns)
            table.add_row(str(count), str(context), *times)
        console.print(table)
        for kind in KINDS[1:]:
            title = f"{model}, rank {rank}: latency of {kind} over greedy by ..., at {floors} us a launch"
            table = Table(title=title)
            for name in ("requests", "context", *names):
                table.add_column(name)
            for (count, context), each in group.items():
                changes = (" / ".join(f"{change(each, name, us, kind):+.0%}" for us in LAUNCH_FLOORS) for name in names)
                table.add_row(f"{count}{mark(each[kind, OURS])}", str(context), *changes)
            console.print(table)
    console.print("* weights, adapters and KV caches do not fit in a card's 64 GB.")
    console.print(f"CoLD's abstract: {-PAPER:.0%} against greedy decoding; it does not say which.")


def mark(step: DecodeStep) -> str:
    """A star where no card holds it."""
    return "*" * (not step.fits)


def change(each: dict[tuple[str, str], DecodeStep], scheme: str, launch_us: float, kind: str = EAGER) -> float:
    """Latency of CoLD by our kernels over that of greedy decoding by a scheme, less 1."""
    return each[kind, OURS].us(launch_us) / each[GREEDY, scheme].us(launch_us) - 1


def by_rank(found: Steps) -> dict[tuple[str, int], dict[tuple[int, int], dict]]:
    """By model and rank: by requests and context."""
    groups: dict = {}
    for (model, rank, *case), each in found.items():
        groups.setdefault((model, rank), {})[tuple(case)] = each
    return groups


def as_json(found: Steps, contest: Contest) -> dict:
    """One object: ``evidence``, ``contest``, and ``steps``, a row for each model, rank, number of requests, context,
    decoding and scheme."""
    rows = [
        dict(model=model, rank=rank, requests=count, context=context, decoding=kind, scheme=scheme)
        | {PRINTED.get(part, part): value for part, value in dataclasses.asdict(step).items()}
        | dict(fits=step.fits, us={f"{us:g}": step.us(us) for us in LAUNCH_FLOORS})
        for (model, rank, count, context), each in found.items()
        for (kind, scheme), step in each.items()
    ]
    return {
        "evidence": "modelled: base and KV reads by bytes, LoRA and choice simulated",
        "chip": CHIP,
        "contest": dataclasses.asdict(contest),
        "steps": rows,
    }
