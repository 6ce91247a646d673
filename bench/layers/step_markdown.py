"""Decode steps as tables for a page."""

from collections.abc import Iterator

from .goals import OURS
from .step_model import EAGER, GREEDY, KINDS, OPTIMISTIC
from .steps import CHIP, CLOCKS, Steps, by_rank, change, clocks, mark

CAPTION = f"**MODELLED, LoRA and choice SIMULATED (HIVM level), {CHIP}, nominal chip; nothing was measured on an NPU**"


def markdown(found: Steps) -> list[str]:
    """Lines: for each clock CoLD over greedy decoding by our kernels, of the first rank, and over it by each scheme, of
    the shortest context."""
    lines = [CAPTION, "", clocks()]
    for clock in CLOCKS:
        lines += ["", *_over_contexts(found, clock), "", *_over_schemes(found, clock)]
    return [*lines, "", "\\* more than a card's 64 GB."]


def _over_contexts(found: Steps, clock: str) -> Iterator[str]:
    groups = by_rank(found)
    rank = next(rank for _, rank in groups)
    shown = {model: group for (model, of), group in groups.items() if of == rank}
    contexts = dict.fromkeys(context for group in shown.values() for _, context in group)
    columns = [(model, count) for model, group in shown.items() for count in dict.fromkeys(n for n, _ in group)]
    yield f"*{clock}*: CoLD over greedy decoding by these kernels, eager / optimistic, rank {rank}, by context"
    yield ""
    yield from _header("tokens", (f"{model}: {count}" for model, count in columns))
    for context in contexts:
        cells = []
        for model, count in columns:
            each = shown[model][count, context]
            ratios = (f"{1 + change(each, OURS, clock, kind):.2f}" for kind in (EAGER, OPTIMISTIC))
            cells.append(" / ".join(ratios) + mark(each[EAGER, OURS]).replace("*", "\\*"))
        yield _row(str(context), *cells)


def _over_schemes(found: Steps, clock: str) -> Iterator[str]:
    groups = by_rank(found)
    context = min(context for group in groups.values() for _, context in group)
    counts = ", ".join(map(str, dict.fromkeys(count for group in groups.values() for count, _ in group)))
    yield f"*{clock}*: latency of CoLD by these kernels over greedy by ..., {context} tokens, {counts} requests"
    yield ""
    yield from _header("CoLD, greedy by", (f"{model}, rank {rank}" for model, rank in groups))
    schemes = dict.fromkeys(scheme for each in found.values() for kind, scheme in each if kind == GREEDY)
    for kind in KINDS[1:]:
        for scheme in schemes:
            cells = (
                ", ".join(
                    f"{change(each, scheme, clock, kind):+.0%}" for (_, of), each in group.items() if of == context
                )
                for group in groups.values()
            )
            yield _row(f"{kind}, {scheme}", *cells)


def _header(first: str, names: Iterator[str]) -> Iterator[str]:
    columns = [first, *names]
    yield _row(*columns)
    yield _row(*["---"] * len(columns))


def _row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"
