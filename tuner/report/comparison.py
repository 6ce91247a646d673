"""Two storages beside each other: what each found for the same kernel, group and chip."""

import itertools
import math
from collections.abc import Sequence
from typing import Any

from .studies import Search, Tried


def compare(ours: Sequence[Search], theirs: Sequence[Search]) -> list[dict[str, Any]]:
    """For each group that both have searched, the bests of both, and the cases of both.

    Keys: ``group``; for ``a`` and ``b`` each ``seed``, ``trials``, ``usable``, ``best`` (a configuration), ``us`` (its
    geometric mean over the cases that both have, in simulated microseconds), ``found_at`` (its trial, from 1);
    ``ratio``, b's time over a's; ``both``, how many configurations both have tried, and ``differ``, of how many of
    these the times differ.
    """
    found = []
    for a, b in itertools.product(ours, theirs):
        if _group(a) == _group(b) and (cases := [case for case in a.cases if case in b.cases]):
            found.append(_pair(a, b, cases))
    return found


def _group(search: Search) -> str:
    return search.title.rpartition(" seed=")[0]


def _pair(a: Search, b: Search, cases: list[str]) -> dict[str, Any]:
    sides = {"a": _side(a, cases), "b": _side(b, cases)}
    times = [side["us"] for side in sides.values()]
    mine, other = ({trial.config: trial for trial in search.trials} for search in (a, b))
    both = mine.keys() & other.keys()
    differ = [config for config in both if _times(mine[config], cases) != _times(other[config], cases)]
    return {
        "group": _group(a),
        "cases": cases,
        **sides,
        "ratio": times[1] / times[0] if None not in times else None,
        "both": len(both),
        "differ": len(differ),
    }


def _side(search: Search, cases: list[str]) -> dict[str, Any]:
    best = min(search.usable, key=lambda trial: _mean(trial, cases), default=None)
    return {
        "seed": search.title.rpartition(" seed=")[2],
        "trials": len(search.trials),
        "usable": len(search.usable),
        "best": dict(best.config) if best else None,
        "us": _mean(best, cases) if best else None,
        "found_at": best.number + 1 if best else None,
    }


def _mean(trial: Tried, cases: list[str]) -> float:
    return math.exp(math.fsum(math.log(trial.us[case]) for case in cases) / len(cases))


def _times(trial: Tried, cases: list[str]) -> list[float | None]:
    return [trial.us.get(case) for case in cases]
