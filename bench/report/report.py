"""``python -m bench report``: what was accepted and what was timed last, as one page and one picture."""

import argparse
import base64
import html
from collections.abc import Sequence
from pathlib import Path

from cold_kernels.command import CommandFailed
from cold_kernels.files import write_whole

from ..png import png
from ..timing.wall_clock import RESULTS

STYLE = """body { font: 15px system-ui, sans-serif; margin: 2em auto; max-width: 1200px; padding: 0 1em }
img { max-width: 100% } table { border-collapse: collapse; font-size: 12px }
th, td { text-align: left; padding: 2px 8px; border-bottom: 1px solid #ddd } summary { cursor: pointer }"""


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
    write_whole(out, page(found))
    write_whole(out.with_suffix(".png"), picture(found))
    print(f"wrote {out} and {out.with_suffix('.png')}")


def picture(sections: Sequence) -> bytes:
    """A PNG of all sections' drawings, one below the other."""
    heights = [section.height for section in sections]

    def draw(figure) -> None:
        parts = figure.subfigures(len(sections), 1, height_ratios=heights, squeeze=False)[:, 0]
        for part, section in zip(parts, sections, strict=True):
            part.suptitle(section.title, fontsize=10)
            section.draw(part)

    return png(draw, sum(heights))


def page(sections: Sequence) -> str:
    """An HTML page that needs no other file."""
    body = "".join(map(_section, sections))
    head = f'<meta charset="utf-8"><title>cold-kernels: benchmarks</title><style>{STYLE}</style>'
    return f"<!doctype html><html><head>{head}</head><body><h1>cold-kernels: benchmarks</h1>{body}</body></html>\n"


def _section(section) -> str:
    image = base64.b64encode(picture([section])).decode()
    return (
        f"<h2>{html.escape(section.title)}</h2><p>{html.escape(section.note)}</p>"
        f'<img alt="{html.escape(section.title)}" src="data:image/png;base64,{image}">'
        f"<details><summary>{len(section.rows)} rows</summary><table>"
        f"{_row(section.header, 'th')}{''.join(_row(row, 'td') for row in section.rows)}</table></details>"
    )


def _row(cells: Sequence, tag: str) -> str:
    return f"<tr>{''.join(f'<{tag}>{html.escape(str(cell))}</{tag}>' for cell in cells)}</tr>"
