"""Compiled programs broken in one place each, and how many of the wrong ones the hazards find.

Keys of ``--json``: ``killed``, ``survived``, ``equivalent`` (how many), ``score`` (killed of those that are wrong),
``goal``, ``false_alarms`` (reports on unbroken programs), ``by_kind`` (the counts by what was broken), ``reported``
(of the equivalent ones, those that were reported all the same) and ``survivors`` (``program``, ``kind``, ``change``,
``wrong``: how it comes out otherwise). Everything is simulated.
"""

import dataclasses
from collections import Counter
from collections.abc import Iterator
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from cold_kernels.ascend.chips import DEFAULT_CHIP
from cold_kernels.ascend.errors import AscendError
from cold_kernels.ascend.machine import ascend_machine
from cold_kernels.ascend.simulator.core.binding import detached
from cold_kernels.ascend.simulator.mutation.verdict import EQUIVALENT, KILLED, SURVIVED, verdicts
from cold_kernels.cases import Case
from cold_kernels.record import Record
from cold_kernels.specs import load

from ..search.evaluate import Evaluator

GOAL = 0.95
GALLERY = "tests.gallery.examples"
"""The gallery, in a checkout alone."""
CONFIGURATIONS = ({}, {"AUTO": False})
"""Changes to a spec's default configuration: with the compiler's own multi-buffering, and without."""

Unbroken = tuple[str, Any, list, tuple[int, ...]]
"""Name, program, arguments as they are before it, grid."""


def has_gallery() -> bool:
    """Whether the kernels in ``tests/gallery`` are there."""
    try:
        return find_spec(GALLERY) is not None
    except ModuleNotFoundError:
        return False


def launches(names: list[str]) -> Iterator[Unbroken]:
    """The launches whose programs are broken: small cases, yet with several tiles and rows."""
    for name in names:
        if name == "gallery":
            yield from import_module(GALLERY).launches()
        else:
            yield from _of_spec(name)


def _of_spec(name: str) -> Iterator[Unbroken]:
    """A spec's launches on the hardest of its hard cases that its default configuration may run."""
    spec = load(name)
    seen: list[Unbroken] = []
    machine = ascend_machine(DEFAULT_CHIP)

    def recorded(program, args, grid, values):
        seen.append((str(label), program, detached(args), grid))
        return machine.simulate(program, args, grid, values)

    evaluator = Evaluator(spec, dataclasses.replace(machine, simulate=recorded))
    cases = [Case.parse(text, spec) for text in (*spec.hard, spec.typical)]
    for change in CONFIGURATIONS:
        config = Record({**spec.default, **{key: value for key, value in change.items() if key in spec.space}})
        if change and config == spec.default:
            continue
        case = max((c for c in cases if spec.allows(config, c.shape())), key=lambda case: len(str(case)))
        label = f"{spec.name} {config}, {case}"
        evaluator.wrong(config, case)
    yield from seen


def judged(found: Iterator[Unbroken], orders: int, most: int = 0, progress: bool = False) -> dict[str, Any]:
    """Verdicts on all mutants of these launches, as the JSON's keys."""
    counts: Counter[str] = Counter()
    by_kind: dict[str, Counter[str]] = {}
    alarms, survivors, reported = [], [], 0
    for name, program, args, grid in found:
        before = counts.copy()
        try:
            for one in verdicts(program, args, grid, orders, most):
                counts[one.verdict] += 1
                by_kind.setdefault(one.mutant.what, Counter())[one.verdict] += 1
                reported += one.verdict == EQUIVALENT and bool(one.found)
                if one.verdict == SURVIVED:
                    survivors.append(
                        dict(program=name, kind=one.mutant.what, change=one.mutant.change, wrong=one.wrong)
                    )
        except AscendError as error:
            alarms.append(f"{name}: {error}")
        if progress:
            new = counts - before
            print(f"{name}: {', '.join(f'{new[v]} {v}' for v in (KILLED, SURVIVED, EQUIVALENT))}", flush=True)
    wrong = counts[KILLED] + counts[SURVIVED]
    return {
        KILLED: counts[KILLED],
        SURVIVED: counts[SURVIVED],
        EQUIVALENT: counts[EQUIVALENT],
        "score": counts[KILLED] / wrong if wrong else 1.0,
        "goal": GOAL,
        "false_alarms": alarms,
        "by_kind": {kind: dict(of_kind) for kind, of_kind in sorted(by_kind.items())},
        "reported": reported,
        "survivors": survivors,
    }


def text(found: dict[str, Any]) -> str:
    """The findings for people."""
    lines = [
        f"\n{found['killed']} of {found['killed'] + found['survived']} wrong mutants found ({found['score']:.1%}; goal "
        f"{found['goal']:.0%}), {found['equivalent']} not seen to be wrong (of them {found['reported']} reported), "
        f"{len(found['false_alarms'])} false alarms; all simulated",
    ]
    for kind, counts in found["by_kind"].items():
        lines.append(f"  {kind}: {', '.join(f'{number} {verdict}' for verdict, number in sorted(counts.items()))}")
    for one in found["survivors"]:
        lines.append(f"  survived: {one['program']}: {one['change']}: {one['wrong']}")
    return "\n".join(lines + [f"  false alarm: {alarm}" for alarm in found["false_alarms"]])
