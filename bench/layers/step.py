"""``python -m bench step``: a decode step, greedy and contrastive, by every LoRA scheme; modelled."""

import argparse
import dataclasses
import json
from pathlib import Path

from cold_kernels.ascend.host_clock import enqueue_us
from tuner.report.page import png

from .goals import OURS
from .projections import ADAPTERS, MODELS
from .step_model import BASE, CHOICE, EAGER, GREEDY, KINDS, KV, LORA, OPTIMISTIC, Contest
from .steps import CHIP, CLOCKS, Steps, by_rank, change, clocks, counted, mark, on_disk, steps

STEP_MODELS = ("Llama-2-7B", "Qwen2.5-7B")
REQUESTS, RANKS = (1, 2, 4, 8, 16, 32, 64), (16, 64)
SHOWN, CONTEXTS = (1, 16, 64), (512, 2048, 8192)
"""Requests and tokens of context where nothing else is asked for."""
PAPER = 0.28
"""Less end-to-end latency than greedy decoding, says CoLD's abstract, not which greedy."""


def add_parser(subparsers: "argparse._SubParsersAction") -> None:
    """Registers the command."""
    parser = subparsers.add_parser(
        "step",
        help="a decode step, greedy and CoLD, by ours and the peers' schemes, on both clocks",
        description="Models a decode step: the base matrix products and the KV reads by their bytes, LoRA and the "
        "contrastive choice simulated; on Ascend910B3, for 1 to 64 requests; in device time, and with host enqueue. "
        "CoLD eager has every amateur in every "
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
    parser.add_argument("--picture", type=Path, metavar="OUT.png", help="draw the steps over host enqueue and context")
    printed = parser.add_mutually_exclusive_group()
    printed.add_argument("--json", action="store_true", help="print one JSON object instead of tables")
    printed.add_argument("--markdown", action="store_true", help="print tables for a page, from what is on disk")
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
    known = on_disk if arguments.markdown else counted
    if not arguments.markdown:
        import xdsl  # noqa: F401

    models = [MODELS[name] for name in dict.fromkeys(arguments.model or STEP_MODELS)]
    requests, contexts = arguments.requests or SHOWN, arguments.context or CONTEXTS
    found = steps(models, arguments.rank or RANKS, requests, arguments.adapters, contexts, contest, known)
    if arguments.markdown:
        from .step_markdown import markdown

        print("\n".join(markdown(found)))
    elif arguments.json:
        print(json.dumps(as_json(found, contest), indent=1))
    else:
        show(found, contest)
    if arguments.picture:
        _draw(found, arguments.picture)


def _draw(found: Steps, path: Path) -> None:
    from .step_plot import plot

    models = {model for model, *_ in found}
    path.write_bytes(png(lambda figure: plot(figure, by_rank(found)), 3.2 * len(models)))


def show(found: Steps, contest: Contest) -> None:
    """Print tables for each model and rank."""
    from rich.console import Console
    from rich.table import Table

    console = Console(width=150)
    console.print(
        f"MODELLED decode steps on {CHIP}, nominal chip: base matrix products and KV reads by their bytes, LoRA and "
        "the contrastive choice simulated (HIVM level). Attention beyond its reads, normalization, greedy's choice "
        "are not in it; nothing was measured on an NPU."
    )
    console.print(clocks())
    console.print(
        f"{EAGER}: every amateur in every step. {OPTIMISTIC}: amateurs lag and take their pending tokens as a chunk, "
        f"in {contest.contested:.0%} of a request's steps; {contest.taken_back:.0%} of the steps are repeated. "
        f"Latencies of CoLD are those by {OURS}."
    )
    both = " / ".join(CLOCKS)
    for (model, rank), group in by_rank(found).items():
        names = list(dict.fromkeys(scheme for each in group.values() for _, scheme in each))
        columns = [*((GREEDY, name) for name in names), (EAGER, OURS), (OPTIMISTIC, OURS)]
        table = Table(title=f"{model}, rank {rank}: ms a token, {both}")
        for name in ("requests", "context", *(f"{kind} {name}" for kind, name in columns)):
            table.add_column(name)
        for (count, context), each in group.items():
            times = (
                " / ".join(f"{us(each[column]) / 1e3:.2f}" for us in CLOCKS.values()) + mark(each[column])
                for column in columns
            )
            table.add_row(str(count), str(context), *times)
        console.print(table)
        for kind in KINDS[1:]:
            table = Table(title=f"{model}, rank {rank}: latency of {kind} over greedy by ..., {both}")
            for name in ("requests", "context", *names):
                table.add_column(name)
            for (count, context), each in group.items():
                changes = (" / ".join(f"{change(each, name, clock, kind):+.0%}" for clock in CLOCKS) for name in names)
                table.add_row(f"{count}{mark(each[kind, OURS])}", str(context), *changes)
            console.print(table)
    console.print("* weights, adapters and KV caches do not fit in a card's 64 GB.")
    console.print(f"CoLD's abstract: {-PAPER:.0%} against greedy decoding; it does not say which.")


def as_json(found: Steps, contest: Contest) -> dict:
    """One object: ``evidence``, ``clocks`` in words, ``contest``, ``host_enqueue_us`` of a launch by what launches it,
    and ``steps``, a row for each model, rank, number of requests, context, decoding and scheme.

    A row has ``device_us``, and ``with_host_enqueue_us`` at ``nominal`` and for the ends of what is known of the host;
    parts (``base_us``, ``lora_us``, ``kv_us``, ``choice_us``, ``amateur_kv_us``) are device time.
    """
    host = {end: enqueue_us(end) for end in ("nominal", "low", "high")}
    rows = [
        dict(model=model, rank=rank, requests=count, context=context, decoding=kind, scheme=scheme)
        | {f"{part}_us": step.part_us(part) for part in (BASE, LORA, KV, CHOICE)}
        | dict(launches=step.launches(LORA), choice_launches=step.launches(CHOICE), amateur_kv_us=step.amateur_kv_us)
        | dict(passes=step.passes, held_bytes=step.held, fits=step.fits, device_us=step.device_us)
        | dict(with_host_enqueue_us={end: step.enqueued_us(paid) for end, paid in host.items()})
        for (model, rank, count, context), each in found.items()
        for (kind, scheme), step in each.items()
    ]
    return {
        "evidence": "modelled: base and KV reads by bytes, LoRA and choice simulated",
        "clocks": clocks(),
        "chip": CHIP,
        "contest": dataclasses.asdict(contest),
        "host_enqueue_us": host,
        "steps": rows,
    }
