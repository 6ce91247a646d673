"""A report as one HTML page that needs no other file, and as one picture."""

import base64
import html
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.figure import FigureBase

WIDTH, DPI = 13.0, 110
STYLE = """body { font: 15px system-ui, sans-serif; margin: 2em auto; max-width: 1200px; padding: 0 1em }
img { max-width: 100% } table { border-collapse: collapse; font-size: 12px }
th, td { text-align: left; padding: 2px 8px; border-bottom: 1px solid #ddd } summary { cursor: pointer }"""


@dataclass(frozen=True)
class Section:
    """A part of a report.

    Args:
        title, note: What it shows, and whether that is simulated, counted or measured.
        draw: Draws it into a figure; None: it has a table alone.
        height: Of the drawing, in inches.
        header, rows: The same in a table.
    """

    title: str
    note: str
    draw: Callable[["FigureBase"], None] | None
    height: float
    header: tuple[str, ...]
    rows: list[tuple]


def page(title: str, sections: Sequence[Section]) -> str:
    """An HTML page that needs no other file."""
    body = "".join(map(_section, sections))
    head = f'<meta charset="utf-8"><title>{html.escape(title)}</title><style>{STYLE}</style>'
    return f"<!doctype html><html><head>{head}</head><body><h1>{html.escape(title)}</h1>{body}</body></html>\n"


def picture(sections: Sequence[Section]) -> bytes:
    """A PNG of all sections' drawings, one below the other."""
    drawn = [section for section in sections if section.draw]
    heights = [section.height for section in drawn]

    def draw(figure: "FigureBase") -> None:
        parts = figure.subfigures(len(drawn), 1, height_ratios=heights, squeeze=False)[:, 0]
        for part, section in zip(parts, drawn, strict=True):
            part.suptitle(section.title, fontsize=10)
            section.draw(part)

    return png(draw, sum(heights))


def png(draw: Callable[["FigureBase"], None], height: float) -> bytes:
    """A PNG, so many inches high, of what ``draw`` draws into a figure."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(WIDTH, height), layout="constrained")
    draw(figure)
    written = io.BytesIO()
    FigureCanvasAgg(figure).print_figure(written, format="png", dpi=DPI, facecolor="white")
    return written.getvalue()


def _section(section: Section) -> str:
    drawing = ""
    if section.draw:
        image = base64.b64encode(picture([section])).decode()
        drawing = f'<img alt="{html.escape(section.title)}" src="data:image/png;base64,{image}">'
    table = f"<table>{_row(section.header, 'th')}{''.join(_row(row, 'td') for row in section.rows)}</table>"
    if section.draw and section.rows:
        table = f"<details><summary>{len(section.rows)} rows</summary>{table}</details>"
    shown = table if section.rows else ""
    return f"<h2>{html.escape(section.title)}</h2><p>{html.escape(section.note)}</p>{drawing}{shown}"


def _row(cells: Sequence, tag: str) -> str:
    return f"<tr>{''.join(f'<{tag}>{html.escape(str(cell))}</{tag}>' for cell in cells)}</tr>"
