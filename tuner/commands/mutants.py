"""``python -m tuner mutants``: breaks compiled programs in one place each, and counts what the hazards find of it.

Keys of ``--json``: ``killed``, ``survived``, ``equivalent`` (how many), ``score`` (killed of those that are wrong),
``goal``, ``false_alarms`` (reports on unbroken programs), ``by_kind`` (the counts by what was broken), ``reported``
(of the equivalent ones, those that were reported all the same) and ``survivors`` (``program``, ``kind``, ``change``,
``wrong``: how it comes out otherwise). Everything is simulated.
"""

import argparse
import dataclasses
import json
import sys
from collections import Counter
from collections.abc import Iterator
from importlib.util import find_spec
from typing import Any

from cold_kernels.specs import DEFAULT_CHIP, FAILED, INSTALL, KERNELS, WRONG_INPUT, check_name, load

GOAL = 0.95
ORDERS, MOST = 24, 60
GALLERY = "tests.gallery.examples"
CONFIGURATIONS = ({}, {"AUTO": False})
"""Changes to a spec's default configuration: with the compiler's own multi-buffering, and without."""

Launch = tuple[str, Any, list, tuple[int, ...]]
"""Name, program, arguments as they are before it, grid."""


def add_parser(subparsers: "argparse._SubParsersAction") -> None:
    """Registers the command."""
    parser = subparsers.add_parser(
        "mutants",
        help="how many broken programs the hazards find",
        description="Removes flags and barriers from compiled programs, moves and swaps buffers and events, and looks "
        "for hazards in each. Whether such a mutant is wrong is judged by running its pipes in random orders. Exit "
        f"code 0 if at least {GOAL:.0%} of the wrong ones are found and no unbroken program is reported, else 1.",
    )
    parser.add_argument(
        "kernels",
        nargs="*",
        metavar="KERNEL",
        help=f"{', '.join(KERNELS)}, FILE.py:SPEC, or gallery (of a checkout); by default all of ours and the gallery",
    )
    parser.add_argument("--orders", type=int, default=ORDERS, help=f"random orders a mutant; by default {ORDERS}")
    parser.add_argument(
        "--most", type=int, default=MOST, help=f"mutants a program, always the same ones; by default {MOST}, 0: all"
    )
    parser.add_argument(
        "--json", action="store_true", help="one JSON object on standard output; keys: tuner/mutants.py"
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Runs the command; 0 if the goal is met, 1 if it is not or something is not installed, 2 for wrong input."""
    from cold_kernels.ascend.errors import ToolchainMissing

    names = arguments.kernels or [*KERNELS, *(["gallery"] if _has_gallery() else [])]
    try:
        for name in names:
            if name != "gallery":
                check_name(name)
            elif not _has_gallery():
                raise ValueError("the gallery is in tests/gallery of a checkout: run this from its folder")
        if arguments.orders < 1:
            raise ValueError(f"--orders is {arguments.orders}; it must be 1 or more")
        if arguments.most < 0:
            raise ValueError(f"--most is {arguments.most}; it must be 1 or more, or 0 for all")
        found = judged(launches(names), arguments.orders, arguments.most, progress=not arguments.json)
    except ValueError as error:
        print(f"mutants: {error}", file=sys.stderr)
        return WRONG_INPUT
    except (ImportError, ToolchainMissing) as error:
        print(f"mutants: {error}" + (f"; {INSTALL}" if isinstance(error, ImportError) else ""), file=sys.stderr)
        return FAILED
    print(json.dumps(found, indent=2) if arguments.json else text(found))
    return 0 if found["score"] >= GOAL and not found["false_alarms"] else FAILED


def _has_gallery() -> bool:
    try:
        return find_spec(GALLERY) is not None
    except ModuleNotFoundError:
        return False


def launches(names: list[str]) -> Iterator[Launch]:
    """The launches whose programs are broken: small cases, yet with several tiles and rows."""
    for name in names:
        if name == "gallery":
            from tests.gallery.examples import launches as of_gallery

            yield from of_gallery()
        else:
            yield from _of_spec(name)


def _of_spec(name: str) -> Iterator[Launch]:
    """A spec's launches on the hardest of its hard cases that its default configuration may run."""
    from cold_kernels.ascend.machine import ascend_machine
    from cold_kernels.ascend.simulator.core.binding import detached
    from cold_kernels.cases import Case
    from cold_kernels.record import Record

    from ..search.evaluate import Evaluator

    spec = load(name)
    seen: list[Launch] = []
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


def judged(found: Iterator[Launch], orders: int, most: int = 0, progress: bool = False) -> dict[str, Any]:
    """Verdicts on all mutants of these launches, as the JSON's keys."""
    from cold_kernels.ascend.errors import AscendError
    from cold_kernels.ascend.simulator.mutation.verdict import EQUIVALENT, KILLED, SURVIVED, verdicts

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
