"""``python -m tuner merge``: several storages as one journal."""

import argparse
from pathlib import Path


def add_parser(subparsers: "argparse._SubParsersAction") -> None:
    """Registers the command."""
    parser = subparsers.add_parser(
        "merge",
        help="several journals as one",
        description="Writes the searches of several storages into a new journal. Each trial of a search counts once; "
        "autotune goes on with the result where it is told to keep its journal there.",
    )
    parser.add_argument("places", nargs="+", metavar="STORAGE", help="a journal of autotune, or the URL of a database")
    parser.add_argument("--out", type=Path, required=True, metavar="FILE.journal", help="the new journal")
    parser.set_defaults(run=run, needs=("optuna",))


def run(arguments: argparse.Namespace) -> None:
    """Runs the command."""
    import optuna

    from ..report.merged import merge

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    print(merge(arguments.places, arguments.out))
