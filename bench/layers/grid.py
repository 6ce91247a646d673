"""``python -m bench grid``: the LoRA of whole layers, ours and the peers' schemes, and how far the goals are met."""

import argparse
import statistics
import sys

from cold_kernels.command import CommandFailed

from . import cases as layer_cases
from .goals import LAUNCH_FLOORS, OURS, PARTS, best_peer, goals, ratios
from .projections import Batch

FIRST = layer_cases.LayerCase("Ascend910B3", "Llama-2-7B", 16, Batch(32, "distinct", half=True))
"""What the README shows."""


def add_parser(subparsers: "argparse._SubParsersAction") -> None:
    """Registers the command."""
    parser = subparsers.add_parser(
        "grid",
        help="layers of five models: ours beside the peers' schemes, and the goals",
        description="Compiles, executes and times what each scheme launches for the LoRA of a layer, on a sample of "
        "the grid of models, ranks, batches and chips. Cells are on disk at once; the same command goes on.",
    )
    parser.add_argument(
        "--sample", type=int, metavar="N", help="draw so many cells, and count unknown ones; default: all known"
    )
    parser.add_argument("--seed", type=int, default=0, help="of the sample; default: 0")
    parser.add_argument("--chip", choices=layer_cases.CHIPS, help="cells of this chip alone")
    parser.add_argument("--rows", type=int, choices=layer_cases.ROWS, help="cells of so many rows alone")
    parser.add_argument(
        "--markdown", action="store_true", help=f"print {FIRST} alone, as a table for a page, from what is on disk"
    )
    parser.set_defaults(run=run, goes_on="the same command goes on")


def run(arguments: argparse.Namespace) -> None:
    """Runs the command."""
    if arguments.markdown:
        found = layer_cases.latest().get(FIRST)
        if not found:
            raise CommandFailed(f"{FIRST} is not known yet; python -m bench step counts it")
        print("\n".join(markdown(found)))
        return
    everything = len(layer_cases.grid())
    if arguments.sample is not None and not 1 <= arguments.sample <= everything:
        raise ValueError(f"--sample {arguments.sample}: the grid has {everything} cells; take 1 to all")
    import rich  # noqa: F401
    import xdsl  # noqa: F401

    found = _found(arguments)
    if not found and arguments.sample:
        which = f"of {arguments.chip or 'any chip'} and {arguments.rows or 'any number of'} rows"
        raise ValueError(f"--sample {arguments.sample} draws no cell {which}; take more, or another --seed")
    if not found:
        raise CommandFailed("nothing is known yet, or kernels have changed since; give --sample N")
    show(found)


def markdown(found: dict) -> list[str]:
    """Lines of a table of the schemes for one layer; times from the least to the most of the plausible chips."""
    lines = [
        f"**SIMULATED (HIVM level), {FIRST.chip}, 32 plausible chips; nothing was measured on an NPU**",
        "",
        f"LoRA of a layer of {FIRST.model}, rank {FIRST.rank}, {FIRST.batch.active} requests and as many base rows, "
        f"{LAUNCH_FLOORS[1]:g} us a launch:",
        "",
        "| scheme | launches | bytes copied over minimal | us, nominal (least to most) | ours is faster on |",
        "| --- | --- | --- | --- | --- |",
    ]
    floor = LAUNCH_FLOORS[1]
    ours = [us + found[OURS]["launches"] * floor for us in found[OURS]["us"]]
    for name, scheme in found.items():
        if name == PARTS:
            continue
        times = [us + scheme["launches"] * floor for us in scheme["us"]]
        wins = sum(mine < other for mine, other in zip(ours[1:], times[1:], strict=True))
        lines.append(
            f"| {name} | {scheme['launches']} | {scheme['bytes'] / found[OURS]['minimal']:.2f} | "
            f"{times[0]:.0f} ({min(times[1:]):.0f} to {max(times[1:]):.0f}) | {'-' if name == OURS else f'{wins}/32'} |"
        )
    return lines


def _found(arguments: argparse.Namespace) -> layer_cases.Counted:
    def asked(cell: layer_cases.LayerCase) -> bool:
        return arguments.chip in (None, cell.chip) and arguments.rows in (None, cell.batch.rows)

    if arguments.sample is None:
        return {cell: found for cell, found in current().items() if asked(cell)}
    wanted = [cell for cell in layer_cases.sample(arguments.sample, arguments.seed) if asked(cell)]
    return layer_cases.known(
        wanted, lambda done, cell: print(f"{done}/{len(wanted)} {cell}", file=sys.stderr, flush=True)
    )


def current() -> layer_cases.Counted:
    """All cells of the grid on disk that were counted with the kernels, tables and model of now."""
    marks, grid = {chip: layer_cases.digest(chip) for chip in layer_cases.CHIPS}, set(layer_cases.grid())
    return {cell: found for cell, mark, found in layer_cases.stored() if cell in grid and marks[cell.chip] == mark}


def show(found: layer_cases.Counted) -> None:
    """Print the cells in groups, and the goals."""
    from rich.console import Console
    from rich.table import Table

    console = Console(width=160)
    console.print(
        "SIMULATED (HIVM level) and counted in the compiled programs; nothing was measured on an NPU. "
        f"{len(found)} cells of {len(layer_cases.grid())}, on {', '.join(sorted({cell.chip for cell in found}))}."
    )
    table = Table(
        title="LoRA of a layer, median over the cells of a row; times: best peer's scheme over ours, by launch floor"
    )
    for name in (
        "rank",
        "rows",
        "cells",
        "ours us (10 us a launch)",
        *(f"x at {us:g} us" for us in LAUNCH_FLOORS),
        "best peer",
    ):
        table.add_column(name)
    for row in summary(found):
        table.add_row(*map(str, row))
    console.print(table)
    table = Table(title="Goals", show_lines=True)
    for name in ("goal", "found", "met"):
        table.add_column(name, overflow="fold")
    for goal in goals(found, bandwidth(found)):
        table.add_row(goal.goal, goal.found, {True: "yes", False: "no", None: "-"}[goal.met])
    console.print(table)


def summary(found: layer_cases.Counted) -> list[tuple]:
    """A row for each rank and number of rows: medians over the cells."""
    groups: dict[tuple[int, int], list[dict]] = {}
    for cell, each in sorted(found.items(), key=lambda item: (item[0].rank, item[0].batch.rows)):
        groups.setdefault((cell.rank, cell.batch.rows), []).append(each)
    rows = []
    for (rank, count), cells in groups.items():
        ours = statistics.median(each[OURS]["us"][0] + each[OURS]["launches"] * LAUNCH_FLOORS[1] for each in cells)
        times = [f"{statistics.median(ratios(each, us)[0] for each in cells):.2f}" for us in LAUNCH_FLOORS]
        peers = [best_peer(each, LAUNCH_FLOORS[1]) for each in cells]
        rows.append((rank, count, len(cells), f"{ours:.0f}", *times, statistics.mode(peers)))
    return rows


def bandwidth(found: layer_cases.Counted) -> dict[str, list[float]]:
    """By chip: bytes per second of global memory, on the nominal chip and on each plausible one."""
    from cold_kernels.ascend.chips import chip_named

    from .schemes import plausible

    return {
        name: [chip.hbm_bytes_per_second for chip in (chip_named(name), *plausible(name))]
        for name in {cell.chip for cell in found}
    }
