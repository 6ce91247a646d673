"""``python -m bench pages``: writes figures and pictures anew where a page names the command that they are from.

A comment ``<!-- python -m ... -->`` stands above what the command printed, up to ``<!-- end -->``; one with
``--picture FILE`` stands alone, and the command draws the file.
"""

import argparse
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from cold_kernels.command import CommandFailed
from cold_kernels.files import write_whole

ROOT = Path(__file__).parent.parent
FIGURES = re.compile(r"^<!-- (python -m [^\n]*) -->\n((?:(?!<!--).)*)^<!-- end -->", re.S | re.M)
PICTURE = re.compile(r"^<!-- (python -m .*--picture (\S+).*) -->", re.M)


class Generated(NamedTuple):
    """What a page has from a command: the text that it printed, or a picture beside an empty text."""

    page: Path
    command: str
    text: str
    picture: str | None = None


def add_parser(subparsers: "argparse._SubParsersAction") -> None:
    """Registers the command."""
    parser = subparsers.add_parser(
        "pages",
        help="the pages' figures and pictures, written anew",
        description="Runs each command that a page of this repository names in a comment above figures or a picture, "
        "and puts what it prints in their place; a page is written once all of its commands have ended well.",
    )
    parser.add_argument("pages", nargs="*", type=Path, metavar="PAGE.md", help="these alone; default: all")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> None:
    """Runs the command."""
    every = pages()
    wanted = [page.resolve() for page in arguments.pages] or every
    if strange := [page for page in wanted if page not in every]:
        raise ValueError(f"{strange[0]}: no page of this repository; use one of {', '.join(map(_name, every))}")
    for page in wanted:
        text = page.read_text()
        for each in generated(page):
            print(f"{_name(page)}: {each.command}", file=sys.stderr, flush=True)
            printed = output(each.command)
            if each.picture is None:
                before, after = f"<!-- {each.command} -->\n{each.text}", f"<!-- {each.command} -->\n{printed}\n\n"
                text = text.replace(before, after)
        if text != page.read_text():
            write_whole(page, text)
            print(f"wrote {_name(page)}")


def pages() -> list[Path]:
    """The pages of this repository."""
    return [*sorted(ROOT.glob("*.md")), *sorted(ROOT.glob("[!.]*/*.md"))]


def generated(page: Path) -> Iterator[Generated]:
    """What is generated on the page."""
    text = page.read_text()
    for command, printed in FIGURES.findall(text):
        yield Generated(page, command, printed)
    for command, picture in PICTURE.findall(text):
        yield Generated(page, command, "", picture)


def output(command: str) -> str:
    """What a command of a page prints.

    Raises:
        CommandFailed: it does not end well.
    """
    words = [sys.executable, *shlex.split(command)[1:]]
    ended = subprocess.run(words, cwd=ROOT, capture_output=True, text=True)
    if ended.returncode:
        said = ended.stderr.strip().splitlines()
        raise CommandFailed(f"{command} ends with {ended.returncode}: {said[-1] if said else 'it says nothing'}")
    return ended.stdout.strip()


def _name(page: Path) -> str:
    return str(page.relative_to(ROOT))
