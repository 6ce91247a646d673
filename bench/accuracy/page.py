"""``python -m bench accuracy page STUDY``: what docs/accuracy.md shows of a study, from its accepted outcomes."""

import argparse
import gzip
import json
from collections.abc import Callable
from pathlib import Path

ACCEPTED = Path(__file__).parent.parent / "accepted" / "accuracy"
"""Outcomes of each study: what `--out` wrote."""


def add_parser(subparsers: "argparse._SubParsersAction") -> None:
    """Registers the command."""
    parser = subparsers.add_parser(
        "page",
        help="what docs/accuracy.md shows of a study; python -m bench pages writes it there",
        description="Prints a study's tables, made from its outcomes in bench/accepted/accuracy. "
        "`python -m bench pages docs/accuracy.md` puts them in the page.",
    )
    parser.add_argument("shown", choices=sorted(sections()), metavar="STUDY", help=", ".join(sorted(sections())))
    parser.set_defaults(run=run, needs=("numpy",), extra="decode")


def run(arguments: argparse.Namespace) -> None:
    """Runs the command."""
    print(section(arguments.shown))


def section(study: str) -> str:
    """The Markdown of a study.

    Raises:
        FileNotFoundError: it was not accepted yet.
    """
    file = ACCEPTED / f"{study}.json.gz"
    if not file.exists():
        raise FileNotFoundError(f"{file} is not there; python -m bench accuracy {study} --out {file}")
    return sections()[study](json.loads(gzip.decompress(file.read_bytes())))


def sections() -> dict[str, Callable[[dict], str]]:
    """What makes Markdown of each study's outcomes."""

    def mechanism(study: dict) -> str:
        from .mechanism_page import markdown

        return markdown(study)

    def real_model(study: dict) -> str:
        from .real_model_page import markdown

        return markdown(study)

    return {"mechanism": mechanism, "real-model": real_model}
