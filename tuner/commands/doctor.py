"""`python -m tuner doctor`: what is installed here, which back ends that gives, and what the others lack."""

import argparse
import importlib
import subprocess
import sys
from collections.abc import Callable, Sequence

from cold_kernels.ascend.installation import distribution_version, mixed_triton, toolchain_versions
from cold_kernels.command import DONE, FAILED

from ..environment import DOES_NOT, Torch, ask_torch, backends, installed

TESTED = "3.2.0"
"""The triton-ascend that `--fix` installs where the installed one's version is past finding out."""


def add_parser(subparsers) -> None:
    """Registers the command."""
    parser = subparsers.add_parser("doctor", help="what is installed, and which back ends work here")
    parser.add_argument("--fix", action="store_true", help="separate an upstream Triton from triton-ascend")
    parser.add_argument(
        "--programs",
        metavar="CHIP",
        help="compile what tables of other compiler versions hold for a chip, and keep which programs are the same",
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Prints both tables, and what launches take; 1 if no back end can compile, simulate or run a kernel."""
    if arguments.fix:
        fix()
    if arguments.programs:
        compare_programs(arguments.programs)
    torch = ask_torch()
    found = backends(torch)
    print_table("Installed", ("what", "found"), installed(torch))
    rows = [(one.name, *map(_answer, (one.compiles, one.simulates, one.runs))) for one in found]
    print_table("Back ends", ("back end", "compile", "simulate", "run"), rows)
    for one in found:
        for problem in dict.fromkeys((one.compiles, one.simulates, one.runs)):
            if problem not in (None, DOES_NOT):
                print(f"{one.name}: {problem}")
    for line in launches(torch):
        print(line)
    if any(one.works for one in found if one.takes_kernels):
        return DONE
    print("No back end here can compile, simulate or run a kernel.")
    if torch.problem is None:
        print("PyTorch works: the operators run on the CPU without kernels.")
    return FAILED


def compare_programs(chip: str) -> None:
    """Compares the programs of a chip's tables with what is installed, and says what came out.

    Raises:
        ValueError: There is no such chip.
        ToolchainMissing: Nothing can be compiled here.
    """
    from cold_kernels.ascend.machine import ascend_machine

    from ..standing import compare

    compare(ascend_machine(chip), lambda said: print(said, flush=True))


def launches(torch: Torch) -> list[str]:
    """What launches on an NPU take with what is installed, and why, in a line each; none where nothing launches."""
    if torch.problem or mixed_triton() or "triton-ascend" not in toolchain_versions():
        return []
    try:
        from ..standing import launch_lines

        return launch_lines()
    except Exception as problem:  # whatever a broken installation does at import; the rest has been said
        return [f"Launches: what they take cannot be said, as {type(problem).__name__}: {problem}"]


def fix(execute: Callable[[list[str]], int] = subprocess.call) -> bool:
    """Installs triton-ascend alone where upstream Triton shares its folder; whether there was a need to."""
    if (mixed := mixed_triton()) is None:
        print("Nothing to fix: upstream Triton and triton-ascend are not mixed here.")
        return False
    version = distribution_version("triton-ascend") or TESTED
    print(f"{mixed}.\nBoth go, and triton-ascend {version} comes back alone; eager PyTorch needs neither.")
    pip = [sys.executable, "-m", "pip"]
    for command in (
        [*pip, "uninstall", "-y", "triton", "triton-ascend"],
        [*pip, "install", "--no-deps", f"triton-ascend=={version}"],
    ):
        print("$", " ".join(command), flush=True)
        if execute(command) != 0:
            print("That failed; what follows is the state that it left.")
            break
    importlib.invalidate_caches()
    return True


def print_table(title: str, header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """A table by rich, or in plain text where that is missing."""
    try:
        from rich.console import Console
        from rich.table import Table
    except ImportError:
        widths = [max(map(len, column)) for column in zip(header, *rows)]
        print(title)
        for row in (header, *rows):
            print("  " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip())
        return
    table = Table(*header, title=title, title_justify="left")
    for row in rows:
        table.add_row(*row)
    Console(markup=False).print(table)


def _answer(problem: str | None) -> str:
    if problem == DOES_NOT:
        return DOES_NOT
    return "yes" if problem is None else "no"
