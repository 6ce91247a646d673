"""``python -m tuner watch``: how far the searches on a shared storage are."""

import argparse
import json
import sys
import time

EVERY = 2.0
HEADER = ("study", "trials", "unusable", "default us", "best us", "workers", "left")


def add_parser(subparsers: "argparse._SubParsersAction") -> None:
    """Registers the command."""
    parser = subparsers.add_parser(
        "watch",
        help="show the searches on a shared storage, who works on them and the time left",
        description="Shows all studies of a storage: on a terminal until Ctrl-C or until all have their trials, "
        "elsewhere once. Reads only. Times are simulated, not measured.",
    )
    parser.add_argument("--storage", required=True, metavar="URL", help="as autotune was given it")
    parser.add_argument("--study", metavar="NAME", help="only this one; default: all")
    parser.add_argument("--json", action="store_true", help="print once, as JSON")
    parser.set_defaults(run=run, needs=("optuna", "rich"), goes_on="the searches go on without it")


def run(arguments: argparse.Namespace) -> int:
    """Runs the command; 0."""
    import optuna
    from rich.console import Console
    from rich.live import Live

    from ..search.display import PLAIN_WIDTH
    from ..search.joining import standings
    from ..search.shared import open_shared

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    shared = open_shared(arguments.storage)
    found = standings(shared, arguments.study)
    if arguments.json:
        print(json.dumps([each.record() for each in found], indent=1))
        return 0
    if not found:
        print(f"{shared.name} has no study yet")
        return 0
    if not sys.stdout.isatty():
        Console(markup=False, highlight=False, width=PLAIN_WIDTH, color_system=None).print(_table(found, plain=True))
        return 0
    with Live(_table(found), auto_refresh=False) as live:
        while any(each.open for each in found):
            time.sleep(EVERY)
            found = standings(shared, arguments.study)
            live.update(_table(found), refresh=True)
    return 0


def _table(found, plain: bool = False):
    from rich import box
    from rich.table import Table

    title = "SIMULATED (HIVM level), device time; nothing was measured on an NPU"
    table = Table(title=title, title_justify="left", box=box.ASCII if plain else box.SIMPLE_HEAD)
    for name in HEADER:
        table.add_column(name, justify="left" if name in ("study", "workers") else "right")
    for each in found:
        workers = ", ".join(f"{name} ({count})" for name, count in each.workers.items())
        table.add_row(
            each.name, f"{len(each.trials)}/{each.planned}", str(each.unusable), _figure(each.default),
            _figure(each.best), workers or "-", _span(each.seconds_left),
        )  # fmt: skip
    return table


def _figure(us: float | None) -> str:
    return "-" if us is None else f"{us:.2f}"


def _span(seconds: float | None) -> str:
    if seconds is None:
        return "unknown"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"
