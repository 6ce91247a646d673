"""The plot of decode steps over what the host pays to enqueue a launch, and over context."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from cold_kernels.ascend.host_clock import TRITON, enqueue_us

from .goals import OURS
from .step_model import EAGER, GREEDY, OPTIMISTIC

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import FigureBase

SMALL = 7
STYLES = {GREEDY: "--", EAGER: "-", OPTIMISTIC: ":"}


def plot(figure: "FigureBase", groups: Mapping[tuple[str, int], Mapping[tuple[int, int], Mapping]]) -> None:
    """A row of panels for each model. ``groups`` is what `step.by_rank` gives.

    One panel for each rank: milliseconds a token over what the host pays to enqueue a launch of Triton's (an operator
    in proportion; at 0 that is device time), of most requests and the shortest context that there are, a colour for
    each scheme. The last: CoLD by our kernels over greedy decoding by the same, over the
    context, of the first rank, in device time, a colour for each number of requests; what no card holds is left out.
    """
    models = list(dict.fromkeys(model for model, _ in groups))
    ranks = list(dict.fromkeys(rank for _, rank in groups))
    panels = figure.subplots(len(models), len(ranks) + 1, squeeze=False)
    for model, row in zip(models, panels, strict=True):
        for rank, axes in zip(ranks, row[:-1], strict=True):
            count = max(requests for requests, _ in groups[model, rank])
            context = min(context for _, context in groups[model, rank])
            _over_enqueue(axes, groups[model, rank][count, context])
            axes.set_title(f"{model}, rank {rank}, {count} requests of {context}", fontsize=SMALL + 2)
        _over_context(row[-1], groups[model, ranks[0]])
        row[-1].set_title(f"{model}, rank {ranks[0]}, device time", fontsize=SMALL + 2)
    figure.legend(*panels[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=4, fontsize=SMALL)


def _over_enqueue(axes: "Axes", steps: Mapping) -> None:
    host = enqueue_us()
    paid = [2.5 * n for n in range(19)]
    each = [{launcher: us * one / host[TRITON] for launcher, us in host.items()} for one in paid]
    names = list(dict.fromkeys(scheme for _, scheme in steps))
    for (kind, scheme), step in steps.items():
        if kind == OPTIMISTIC and scheme != OURS:
            continue
        times = [step.enqueued_us(enqueue) / 1e3 for enqueue in each]
        axes.plot(paid, times, STYLES[kind], color=f"C{names.index(scheme)}", label=f"{kind}, {scheme}")
    axes.set_xlabel("us of host enqueue for a launch of Triton's; at 0 device time")
    axes.set_ylabel("ms a token, modelled")
    axes.grid(alpha=0.3)


def _over_context(axes: "Axes", group: Mapping[tuple[int, int], Mapping]) -> None:
    for place, count in enumerate(dict.fromkeys(count for count, _ in group)):
        for kind in (EAGER, OPTIMISTIC):
            held = sorted((context, each) for (n, context), each in group.items() if n == count)
            held = [(context, each) for context, each in held if each[kind, OURS].fits]
            ratios = [each[kind, OURS].device_us / each[GREEDY, OURS].device_us for _, each in held]
            line = f"{STYLES[kind]}o"
            axes.plot([context for context, _ in held], ratios, line, color=f"C{place}", label=f"{kind}, {count}")
    axes.set_xscale("log", base=2)
    axes.xaxis.set_major_formatter("{x:g}")
    axes.set_xlabel("tokens of context")
    axes.set_ylabel("CoLD over greedy, device time, modelled")
    axes.grid(alpha=0.3)
    axes.legend(fontsize=SMALL)
