"""``python -m bench report``: what was accepted and what was timed last, as one page and one picture."""

import argparse
import base64
import html
import io
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from cold_kernels.files import write_whole
from cold_kernels.specs import INSTALL

from ..timing.wall_clock import RESULTS

WIDTH, DPI = 13.0, 110
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
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Runs the command; 0, 1 if something is missing or cannot be written, 2 for a file of another kind."""
    out = arguments.out
    if out.suffix != ".html":
        print(f"report: --out {out}: the name must end in .html; the picture is written beside it", file=sys.stderr)
        return 2
    try:
        import matplotlib  # noqa: F401
    except ImportError as error:
        print(f"report: {error}; {INSTALL}", file=sys.stderr)
        return 1
    from .panels import sections

    found = sections()
    if not found:
        print("report: nothing was accepted or timed yet; see bench/README.md", file=sys.stderr)
        return 1
    try:
        write_whole(out, page(found))
        write_whole(out.with_suffix(".png"), picture(found))
    except OSError as error:
        print(f"report: {error}", file=sys.stderr)
        return 1
    print(f"wrote {out} and {out.with_suffix('.png')}")
    return 0


def picture(sections: Sequence) -> bytes:
    """A PNG of all sections' drawings, one below the other."""
    heights = [section.height for section in sections]

    def draw(figure) -> None:
        parts = figure.subfigures(len(sections), 1, height_ratios=heights, squeeze=False)[:, 0]
        for part, section in zip(parts, sections, strict=True):
            part.suptitle(section.title, fontsize=10)
            section.draw(part)

    return drawn(draw, sum(heights))


def drawn(draw: Callable, height: float) -> bytes:
    """A PNG, so many inches high, of what ``draw`` draws into a figure."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(WIDTH, height), layout="constrained")
    draw(figure)
    written = io.BytesIO()
    FigureCanvasAgg(figure).print_figure(written, format="png", dpi=DPI, facecolor="white")
    return written.getvalue()


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
