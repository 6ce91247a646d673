"""One trial: the rungs that a configuration climbs."""

import textwrap
from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any

from cold_kernels.ascend.errors import (
    STAGES,
    AscendError,
    CompilationFailed,
    ToolchainMissing,
    UnifiedBufferOverflow,
)
from cold_kernels.record import Record

from .evaluate import Evaluator, geomean
from .group import Group

WORTH_CHECKING = 1.5
"""A configuration slower than this times the best so far is timed and not checked."""


@dataclass(frozen=True)
class Outcome:
    """What became of a configuration.

    Args:
        rung: The highest of `cold_kernels.tables.RUNGS` that it reached.
        us: Simulated microseconds by case; empty if it does not compile.
        failure: Why it cannot be used, as what follows "it": ``is wrong: ...``; empty if it can.
        excess_bits: For tiles that do not fit the unified buffer: bits required minus available.
        checked: The cases on which its values agreed with float64.
    """

    rung: str
    us: dict[str, float] = field(default_factory=dict)
    failure: str = ""
    excess_bits: int | None = None
    checked: tuple[str, ...] = ()

    @property
    def value(self) -> float:
        """Geometric mean over the cases, in microseconds."""
        return geomean(self.us.values())


def attempt(group: Group, evaluator: Evaluator, config: Record, best: float | None) -> Outcome:
    """Compile and time ``config`` on every case; check its values where it is worth it.

    Compiling and timing come first, as they cost least. A configuration that could win, and the default, is
    then compared with float64 on the smallest case and on the cheapest hard case that it may run; the rest of
    the hard cases wait until it does win.

    Args:
        best: The best time so far, in microseconds, which says what is worth it; None: everything is.
    """
    us: dict[str, float] = {}
    checked: list[str] = []
    try:
        for case in group.cases:
            us[str(case)] = evaluator.timed(config, case).microseconds
        timed = Outcome("compiles", us)
        if best is not None and timed.value > WORTH_CHECKING * best and config != group.default:
            return timed
        hard = [case for case in group.hard if group.spec.allows(config, case.shape())]
        for case in (group.smallest, *hard[:1]):
            failure = problem(evaluator, config, case, needed=case is group.smallest)
            if failure:
                return Outcome("compiles", us, failure, checked=tuple(checked))
            checked.append(str(case))
    except UnifiedBufferOverflow as error:
        return Outcome("legal", failure=_why(error), excess_bits=error.required_bits - error.available_bits)
    except ToolchainMissing:
        raise
    except AscendError as error:
        return Outcome("legal", failure=_why(error))
    return Outcome("simulated", us, checked=tuple(checked))


def problem(evaluator: Evaluator, config: Record, case: Any, *, needed: bool) -> str | None:
    """Why ``config`` must not be used, judging by its values on ``case``; None if nothing speaks against it.

    A hard case that is not ``needed`` and whose program does not fit the unified buffer says nothing about
    the shapes that the configuration is for.
    """
    try:
        wrong = evaluator.wrong(config, case)
        return f"is wrong: {wrong}" if wrong else None
    except ToolchainMissing:
        raise
    except AscendError as error:
        if isinstance(error, UnifiedBufferOverflow) and not needed:
            return None
        return f"{_why(error)} (on {case})"


def commonest(outcomes: Collection[Outcome]) -> str:
    """The kind of failure that most of ``outcomes`` share, by the first of them; "" if none failed."""
    failures = [outcome.failure for outcome in outcomes if outcome.failure]
    if not failures:
        return ""
    (kind, count), *_ = Counter(failure.partition(":")[0] for failure in failures).most_common()
    example = next(failure for failure in failures if failure.partition(":")[0] == kind)
    return f"{count} of {len(outcomes)}: {in_a_line(example)}"


def in_a_line(failure: str, width: int = 240) -> str:
    """A failure for a line of text; the whole one is in the study."""
    return textwrap.shorten(failure, width, placeholder=" ...")


def _why(error: AscendError) -> str:
    if isinstance(error, UnifiedBufferOverflow):
        return f"does not fit: {error}"
    if isinstance(error, CompilationFailed):
        said = "\n".join(error.diagnostics) or "no diagnostics"
        return f"does not compile: {STAGES[error.stage]} says: {said}"
    return f"cannot be simulated: {error}"
