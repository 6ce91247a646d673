"""``python -m bench report``: what was accepted and what was timed last, as one page and one picture."""

import argparse
from pathlib import Path

from cold_kernels.command import CommandFailed
from cold_kernels.files import write_whole
from tuner.report.page import page, picture

from ..timing.wall_clock import RESULTS


def add_parser(subparsers: "argparse._SubParsersAction") -> None:
    """Registers the command."""
    parser = subparsers.add_parser(
        "report",
        help="one HTML page and a PNG: rooflines, history, wall clock",
        description="Draws the accepted facts, their history, and the times of the last `pytest bench/` as one page "
        "with everything in it, and as a picture beside it.",
    )
    out = RESULTS / "report.html"
    parser.add_argument("--out", type=Path, default=out, metavar="FILE.html", help="default: bench/results/report.html")
    parser.set_defaults(run=run, needs=("matplotlib",))


def run(arguments: argparse.Namespace) -> None:
    """Runs the command."""
    from .panels import sections

    out = arguments.out
    if out.suffix != ".html":
        raise ValueError(f"--out {out}: the name must end in .html; the picture is written beside it")
    found = sections()
    if not found:
        raise CommandFailed("nothing was accepted or timed yet; see bench/README.md")
    write_whole(out, page("cold-kernels: benchmarks", found))
    write_whole(out.with_suffix(".png"), picture(found))
    print(f"wrote {out} and {out.with_suffix('.png')}")
