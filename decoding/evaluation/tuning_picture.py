"""A map of the score over alpha and beta."""

import io
from pathlib import Path

from cold_kernels.files import write_whole

from .tuning import Tuned


def draw(settings: Tuned, path: Path) -> None:
    """Write the map as PNG: a dot for each setting that was tried, its colour the score over plain LoRA's in points.

    Between dots nothing was tried and nothing is shown. The best one has a ring.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.4, 4.2), layout="constrained")
    axes = figure.add_subplot()
    contrast = [each for each in settings.trials if each.beta]
    points = [100 * (each.score - settings.greedy) for each in contrast]
    bound = max([abs(point) for point in points], default=0) or 1
    colour = dict(cmap="RdBu", vmin=-bound, vmax=bound, edgecolors="0.3", linewidths=0.4)
    dots = axes.scatter([each.alpha for each in contrast], [each.beta for each in contrast], c=points, s=60, **colour)
    if settings.best.beta:
        ring = dict(s=190, facecolors="none", edgecolors="black", linewidths=1.6)
        axes.scatter([settings.best.alpha], [settings.best.beta], label="best", **ring)
        axes.legend(loc="lower left", bbox_to_anchor=(0, 1), frameon=False)
    axes.set(xscale="log", xlabel="alpha", ylabel="beta")
    axes.set_title(f"plain LoRA: {100 * settings.greedy:.1f} percent", fontsize=10)
    figure.colorbar(dots, label="score over plain LoRA, points")
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=150)
    write_whole(path, buffer.getvalue())
