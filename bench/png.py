"""A PNG of what is drawn into a figure."""

import io
from collections.abc import Callable

WIDTH, DPI = 13.0, 110


def png(draw: Callable, height: float) -> bytes:
    """A PNG, so many inches high, of what ``draw`` draws into a figure."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(WIDTH, height), layout="constrained")
    draw(figure)
    written = io.BytesIO()
    FigureCanvasAgg(figure).print_figure(written, format="png", dpi=DPI, facecolor="white")
    return written.getvalue()
