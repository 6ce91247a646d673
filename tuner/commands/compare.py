"""``python -m tuner compare``: what two storages found for the same kernels."""

import argparse
import json

from cold_kernels.command import CommandFailed


def add_parser(subparsers: "argparse._SubParsersAction") -> None:
    """Registers the command."""
    parser = subparsers.add_parser(
        "compare",
        help="two searches beside each other",
        description="Compares what two storages found for the same kernel, group of shapes and chip: the best of each, "
        "how soon it was found, and whether configurations that both have tried took the same time.",
    )
    for name in ("A", "B"):
        parser.add_argument(name.lower(), metavar=name, help="a journal of autotune, or the URL of a database")
    parser.add_argument(
        "--json", action="store_true", help="a list of objects; keys are listed in tuner/report/comparison.py"
    )
    parser.set_defaults(run=run, needs=("optuna", "rich"))


def run(arguments: argparse.Namespace) -> None:
    """Runs the command."""
    from ..report.comparison import compare
    from ..report.studies import searches
    from ..search.display import Report

    found = compare(searches(arguments.a), searches(arguments.b))
    if arguments.json:
        print(json.dumps(found, indent=1))
        return
    if not found:
        raise CommandFailed(f"{arguments.a} and {arguments.b} have searched nothing in common")
    report = Report()
    report.say("SIMULATED (HIVM level), device time; ratio: B's best over A's")
    for pair in found:
        ratio = "-" if pair["ratio"] is None else f"{pair['ratio']:.3f}"
        report.say(f"{pair['group']}, {len(pair['cases'])} cases: ratio {ratio}")
        for name in ("a", "b"):
            side = pair[name]
            best = "nothing works" if side["best"] is None else (
                f"{side['us']:.2f} us at trial {side['found_at']}: "
                + " ".join(f"{key}={value}" for key, value in side["best"].items())
            )  # fmt: skip
            report.say(f"  {name.upper()} seed={side['seed']}, {side['trials']} trials: {best}")
        report.say(f"  {pair['both']} configurations were tried by both, {pair['differ']} with other times")
