"""``python -m bench grid``: the LoRA of whole layers by ours and the peers' schemes, contrastive choices, the goals."""

import argparse
import statistics
from collections.abc import Mapping

from cold_kernels.ascend.host_clock import enqueue_us, enqueued_us
from cold_kernels.command import DONE, FAILED, CommandFailed

from . import cases as layer_cases
from . import choice_cases
from .cases import LAYERS
from .choice_cases import CHOICES
from .goals import OURS, Goal, best_peer, enqueued_ratio, goals, launched, ratios, schemes
from .projections import Batch
from .stored_cells import to_stderr

FIRST = layer_cases.LayerCase("Ascend910B3", "Llama-2-7B", 16, Batch(32, "distinct", half=True))
"""What the README shows."""
ROWS = tuple(sorted({*layer_cases.ROWS, *layer_cases.PROMPTS, *choice_cases.ROWS}))
SIMULATED = "SIMULATED (HIVM level)"
JUDGED = {True: "yes", False: "no", None: "reported"}


def add_parser(subparsers: "argparse._SubParsersAction") -> None:
    """Registers the command."""
    parser = subparsers.add_parser(
        "grid",
        help="layers of five models: ours beside the peers' schemes, contrastive choices, and the goals",
        description="Compiles, executes and times what each scheme launches for the LoRA of a layer, on a sample of "
        "the grid of models, ranks, batches and chips, and on prompts; and the contrastive choice. Cells are on "
        "disk at once; the same command goes on. Exit code 1 if a goal is not met.",
    )
    parser.add_argument(
        "--sample", type=int, metavar="N", help="draw so many layers, and count unknown ones; default: all known"
    )
    parser.add_argument("--seed", type=int, default=0, help="of the sample; default: 0")
    parser.add_argument(
        "--sharing", action="store_true", help="count all layers of two models whose rows share adapters"
    )
    parser.add_argument("--prefill", action="store_true", help="count all layers of prompts that are unknown")
    parser.add_argument("--choices", action="store_true", help="count all contrastive choices that are unknown")
    parser.add_argument("--chip", choices=layer_cases.CHIPS, help="cells of this chip alone")
    parser.add_argument("--rows", type=int, choices=ROWS, help="cells of so many rows alone")
    parser.add_argument(
        "--markdown", action="store_true", help=f"print {FIRST} alone, as a table for a page, from what is on disk"
    )
    parser.add_argument(
        "--goals", action="store_true", help="print the goals alone, as a table for a page, from what is on disk"
    )
    parser.set_defaults(run=run, goes_on="the same command goes on")


def run(arguments: argparse.Namespace) -> int:
    """Runs the command; 0, or 1 if a goal is not met."""
    if arguments.markdown:
        found = LAYERS.latest().get(FIRST)
        if not found:
            raise CommandFailed(f"{FIRST} is not known yet; python -m bench step counts it")
        print("\n".join(markdown(found)))
        return DONE
    if arguments.goals:
        print("\n".join(goals_markdown(_of_grid(LAYERS.latest()), CHOICES.latest())))
        return DONE
    everything = len(layer_cases.grid())
    if arguments.sample is not None and not 1 <= arguments.sample <= everything:
        raise ValueError(f"--sample {arguments.sample}: the grid has {everything} cells; take 1 to all")
    import rich  # noqa: F401
    import xdsl  # noqa: F401

    layers, choices = _layers(arguments), _choices(arguments)
    if not layers and arguments.sample:
        which = f"of {arguments.chip or 'any chip'} and {arguments.rows or 'any number of'} rows"
        raise ValueError(f"--sample {arguments.sample} draws no cell {which}; take more, or another --seed")
    if not layers and not choices:
        raise CommandFailed(
            "nothing is known yet, or kernels have changed; give --sample N, --sharing, --prefill or --choices"
        )
    judged = goals(layers, choices)
    show(layers, choices, judged)
    return FAILED if any(goal.met is False for goal in judged) else DONE


def markdown(found: Mapping) -> list[str]:
    """Lines of a table of the schemes for one layer; times from the least to the most of the plausible chips."""
    ends = [enqueue_us(end) for end in ("nominal", "low", "high")]
    lines = [
        f"**{SIMULATED}, {FIRST.chip}, 32 plausible chips; nothing was measured on an NPU**",
        "",
        f"LoRA of a layer of {FIRST.model}, rank {FIRST.rank}, {FIRST.batch.active} requests and as many base rows. "
        "*Device time*: what a replayed graph takes. *With host enqueue*: eager mode.",
        "",
        "| scheme | launches | bytes copied over minimal | device time, us, nominal (least to most) "
        "| ours is faster on | with host enqueue, us, nominal (least to most) |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    ours = found[OURS]["device_us"]
    for name, scheme in schemes(found).items():
        times = scheme["device_us"]
        eager, low, high = (enqueued_us(launched(scheme), end) for end in ends)
        wins = sum(mine < other for mine, other in zip(ours[1:], times[1:], strict=True))
        lines.append(
            f"| {name} | {len(launched(scheme))} | {scheme['bytes'] / found[OURS]['minimal']:.2f} | "
            f"{times[0]:.0f} ({min(times[1:]):.0f} to {max(times[1:]):.0f}) | "
            f"{'-' if name == OURS else f'{wins}/{len(times) - 1}'} | {eager:.0f} ({low:.0f} to {high:.0f}) |"
        )
    return lines


def _asked(arguments: argparse.Namespace, chip: str, rows: int) -> bool:
    return arguments.chip in (None, chip) and arguments.rows in (None, rows)


def _layers(arguments: argparse.Namespace) -> layer_cases.Counted:
    def asked(cell: layer_cases.LayerCase) -> bool:
        return _asked(arguments, cell.chip, cell.batch.rows)

    wanted = layer_cases.sample(arguments.sample, arguments.seed) if arguments.sample else []
    wanted += layer_cases.sharing() * arguments.sharing + layer_cases.prefill() * arguments.prefill
    wanted = list(dict.fromkeys(cell for cell in wanted if asked(cell)))
    found = LAYERS.known(wanted, to_stderr(wanted))
    if arguments.sample:
        return found
    return {cell: each for cell, each in _of_grid(LAYERS.current()).items() if asked(cell)} | found


def _of_grid(layers: layer_cases.Counted) -> layer_cases.Counted:
    """Without the layers that are on disk for `bench step` alone."""
    grid = {*layer_cases.grid(), *layer_cases.prefill()}
    return {cell: found for cell, found in layers.items() if cell in grid}


def _choices(arguments: argparse.Namespace) -> dict[choice_cases.ChoiceCase, dict]:
    wanted = [cell for cell in choice_cases.grid() if _asked(arguments, cell.chip, cell.rows)]
    if arguments.choices:
        return CHOICES.known(wanted, to_stderr(wanted))
    return {cell: found for cell, found in CHOICES.current().items() if cell in wanted}


def show(layers: layer_cases.Counted, choices: Mapping[choice_cases.ChoiceCase, Mapping], judged: list[Goal]) -> None:
    """Print the cells in groups, and the goals."""
    from rich.console import Console
    from rich.table import Table

    console = Console(width=160)
    console.print(about(layers, choices))
    console.print(clocks())
    for title, names, rows in (
        ("LoRA of a layer, medians over cells; times: best peer's scheme over ours", LAYER_COLUMNS, summary(layers)),
        ("Contrastive choice, medians over cells", CHOICE_COLUMNS, choice_summary(choices)),
    ):
        table = Table(title=title)
        for name in names:
            table.add_column(name)
        for row in rows:
            table.add_row(*map(str, row))
        console.print(table)
    table = Table(title="Goals, device time", show_lines=True)
    for name in ("goal", "found", "met"):
        table.add_column(name, overflow="fold")
    for goal in judged:
        table.add_row(goal.goal, goal.found, JUDGED[goal.met])
    console.print(table)


def goals_markdown(layers: layer_cases.Counted, choices: Mapping[choice_cases.ChoiceCase, Mapping]) -> list[str]:
    """Lines of a table of the goals.

    Raises:
        CommandFailed: there is no cell.
    """
    if not layers and not choices:
        raise CommandFailed("nothing is known yet; give --sample N, --sharing, --prefill or --choices")
    rows = (f"| {goal.goal} | {goal.found} | {JUDGED[goal.met]} |" for goal in goals(layers, choices))
    return [about(layers, choices), "", "| device time | found | met |", "| --- | --- | --- |", *rows]


def about(layers: layer_cases.Counted, choices: Mapping[choice_cases.ChoiceCase, Mapping]) -> str:
    """What kind of figures, and of how many cells."""
    prompts = sum(cell.batch.prompt for cell in layers)
    counts = f"{len(layers) - prompts} layers of {len(layer_cases.grid())}, "
    counts += f"{prompts} prompts of {len(layer_cases.prefill())}, {len(choices)} choices of {len(choice_cases.grid())}"
    chips = ", ".join(sorted({cell.chip for cell in (*layers, *choices)}))
    return f"{SIMULATED} and counted in the compiled programs; nothing was measured on an NPU. {counts}, on {chips}."


def clocks() -> str:
    """Both clocks in words, with what a launch is taken to cost the host."""
    nominal, low, high = (enqueue_us(end) for end in ("nominal", "low", "high"))
    return (
        "Device time: what a profiler calls Task Duration, and what a replayed graph takes if nothing passes between "
        "its launches. With host enqueue: eager mode, the layer alone in an empty queue, where the host pays "
        f"{nominal['triton']:g} us for a launch of Triton's ({low['triton']:g} to {high['triton']:g}) and "
        f"{nominal['torch']:g} us for an operator of torch's ({low['torch']:g} to {high['torch']:g})."
    )


LAYER_COLUMNS = (
    "rank", "rows", "cells", "ours, device time us", "x, device time", "best peer", "ours, with host enqueue us",
    "x, with host enqueue",
)  # fmt: skip
CHOICE_COLUMNS = ("logits", "rows", "cells", "device time us", "least device time us", "with host enqueue us")


def summary(found: layer_cases.Counted) -> list[tuple]:
    """A row for each rank and number of rows, in the order of `LAYER_COLUMNS`."""
    groups: dict[tuple[int, str], list[dict]] = {}
    for cell, each in sorted(found.items(), key=lambda item: (item[0].rank, item[0].batch.prompt, item[0].batch.rows)):
        rows = f"{cell.batch.rows}{' of a prompt' * cell.batch.prompt}"
        groups.setdefault((cell.rank, rows), []).append(each)
    enqueue = enqueue_us()
    return [
        (
            *group,
            len(cells),
            f"{statistics.median(each[OURS]['device_us'][0] for each in cells):.0f}",
            f"{statistics.median(ratios(each)[0] for each in cells):.2f}",
            statistics.mode(map(best_peer, cells)),
            f"{statistics.median(enqueued_us(launched(each[OURS]), enqueue) for each in cells):.0f}",
            f"{statistics.median(enqueued_ratio(each, enqueue) for each in cells):.2f}",
        )
        for group, cells in groups.items()
    ]


def choice_summary(found: Mapping[choice_cases.ChoiceCase, Mapping]) -> list[tuple]:
    """A row for each vocabulary and number of rows, in the order of `CHOICE_COLUMNS`."""
    groups: dict[tuple[int, int], list[Mapping]] = {}
    for cell, each in sorted(found.items(), key=lambda item: (item[0].vocabulary, item[0].rows)):
        groups.setdefault((cell.vocabulary, cell.rows), []).append(each)
    enqueue = enqueue_us()
    return [
        (
            *group,
            len(cells),
            f"{statistics.median(each['device_us'][0] for each in cells):.1f}",
            f"{statistics.median(each['least_us'][0] for each in cells):.1f}",
            f"{statistics.median(enqueued_us(each['launches'], enqueue) for each in cells):.1f}",
        )
        for group, cells in groups.items()
    ]
