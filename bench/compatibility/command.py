"""``python -m bench compatibility``: other repositories' tests on the simulated NPU, and what became of them."""

import argparse
import datetime
import json
from importlib.metadata import version
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from cold_kernels.ascend.chips import DEFAULT_CHIP
from cold_kernels.files import write_whole

from .causes import Whose
from .page import page
from .repositories import REPOSITORIES, Repository, named
from .run import Options, commit_of, rows
from .summary import Summary, summary, total


def add_parser(subparsers: "argparse._SubParsersAction") -> None:
    """Registers the command."""
    parser = subparsers.add_parser(
        "compatibility",
        help="other repositories' tests on the simulated NPU",
        description="Runs the tests of Triton kernels in checkouts of "
        f"{', '.join(one.name for one in REPOSITORIES)} as they are, on the simulated NPU, and sorts by cause those "
        "that do not pass.",
    )
    parser.add_argument("folder", metavar="FOLDER", type=Path, help="holds the checkouts, each under its name")
    parser.add_argument("--repository", metavar="NAME", action="append", default=[], help="run this one; repeatable")
    parser.add_argument("--most", type=int, default=3, help="cases of a test function; 0 for all (default: 3)")
    parser.add_argument("--jobs", type=int, default=1, help="processes beside each other (default: 1)")
    parser.add_argument("--limit", type=float, default=60.0, help="seconds for a test and for a launch (default: 60)")
    parser.add_argument("--seconds", type=float, help="for the tests of one repository (default: no limit)")
    parser.add_argument(
        "--commit", metavar="NAME=SHA", action="append", default=[], help="of a checkout without git; repeatable"
    )
    parser.add_argument("--out", metavar="FILE.md", type=Path, help="where to write the page")
    parser.add_argument(
        "--json", metavar="FILE", type=Path, help="where to keep what ran; repositories that are not run now stay in it"
    )
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Run what is asked for, and write what is asked for."""
    chosen = named(options.repository)
    how = Options(options.most, options.jobs, options.limit, options.seconds)
    commits = dict(map(_named, options.commit))
    kept = json.loads(options.json.read_text()) if options.json and options.json.exists() else {}
    report: dict[str, Any] = {"repositories": {}, **kept}
    found = [one for one in chosen if (options.folder / one.name).is_dir()]
    if not found:
        raise ValueError(f"{options.folder} holds none of {', '.join(one.name for one in chosen)}")
    for repository in found:
        print(f"{repository.name}: running", flush=True)
        report["repositories"][repository.name] = _ran(repository, options.folder.resolve(), how, commits)
        if options.json:
            write_whole(options.json, json.dumps(report, indent=0) + "\n")
    report.update(chip=DEFAULT_CHIP, versions=_versions())
    by_name = {one.name: one for one in REPOSITORIES if one.name in report["repositories"]}
    report["repositories"] = {name: report["repositories"][name] for name in by_name}
    summaries = [summary(name, about["rows"]) for name, about in report["repositories"].items()]
    if options.json:
        write_whole(options.json, json.dumps(report, indent=0) + "\n")
    if options.out:
        write_whole(options.out, page(report, by_name, summaries))
    _tell(summaries)


def _named(given: str) -> tuple[str, str]:
    name, _, commit = given.partition("=")
    if not commit:
        raise ValueError(f"--commit {given}: NAME=SHA is wanted")
    return name, commit


def _ran(repository: Repository, folder: Path, how: Options, commits: dict[str, str]) -> dict[str, Any]:
    checkout = folder / repository.name
    recorded, ended = rows(repository, checkout, how)
    commit = commits.get(repository.name) or commit_of(checkout) or "unknown"
    about = {"commit": commit, "date": datetime.date.today().isoformat(), "most": how.most, "limit": how.limit}
    return {**about, "ended": ended, "rows": recorded}


def _versions() -> str:
    names = ("cold-kernels", "torch", "triton-ascend", "ascendnpu-ir")
    return ", ".join(f"{name} {version(name)}" for name in names)


def _tell(summaries: list[Summary]) -> None:
    table = Table(title="Other repositories' tests on the simulated NPU", title_justify="left")
    for head in ("repository", "ran", "passed", "not counted", "theirs", "ours", "passed of counted"):
        table.add_column(head, justify="left" if head == "repository" else "right")
    for one in (*summaries, total(summaries)):
        numbers = (one.ran, one.passed, *(one.whose(whose) for whose in (Whose.NOBODY, Whose.THEIRS, Whose.OURS)))
        table.add_row(one.name, *map(str, numbers), one.passed_of_counted)
    Console().print(table)
