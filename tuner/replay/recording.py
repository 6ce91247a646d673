"""Records the whole space of a group: every legal configuration, compiled, timed and compared with float64."""

import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from cold_kernels.ascend.machine import Machine
from cold_kernels.cases import Case
from cold_kernels.record import Record
from cold_kernels.tables import source_digest

from ..search.evaluate import Evaluator
from ..search.group import Group
from ..search.pool import Pool, answers
from ..search.tasks import Workplace
from ..search.trial import Outcome, attempt
from .loading import load_space
from .space import KINDS, Recorded, RecordedSpace, write_space

SAVE_EVERY = 20.0
"""Seconds between writes of what is recorded so far: the most that a kill costs."""


@dataclass(frozen=True)
class RecordOne:
    """A task of `tuner.search.pool`: a configuration in full; the answer is `Recorded`."""

    config: Record

    def do(self, group: Group, evaluator: Evaluator, place: Workplace) -> Recorded:
        clock = _Clock(evaluator)
        outcome = attempt(group, clock, self.config, None)
        return Recorded(outcome, clock.seconds)

    def lost(self, why: str) -> Recorded:
        return Recorded(Outcome("legal", failure=why))


class _Clock:
    """An evaluator that says how long it took."""

    def __init__(self, evaluator: Evaluator) -> None:
        self.seconds = dict.fromkeys(KINDS, 0.0)
        self._evaluator = evaluator
        self._machine = evaluator.machine

    def timed(self, config: Record, case: Case) -> Any:
        return self._clocked("simulate", lambda: self._evaluator.timed(config, case))

    def wrong(self, config: Record, case: Case) -> str | None:
        return self._clocked("check", lambda: self._evaluator.wrong(config, case))

    def _clocked(self, kind: str, do: Callable[[], Any]) -> Any:
        before, began = self.seconds["compile"], time.monotonic()
        self._evaluator.machine = replace(self._machine, compile=self._compile)
        try:
            return do()
        finally:
            self._evaluator.machine = self._machine
            self.seconds[kind] += time.monotonic() - began - (self.seconds["compile"] - before)

    def _compile(self, *wanted: Any) -> Any:
        began = time.monotonic()
        try:
            return self._machine.compile(*wanted)
        finally:
            self.seconds["compile"] += time.monotonic() - began


def begun(group: Group, kernel: str, machine: Machine, path: Path) -> RecordedSpace:
    """The group's space as far as ``path`` has it; an empty one if there is no such file.

    Raises:
        ValueError: the file is of something else, or no recorded space.
        OSError: it cannot be read.
    """
    rejected: Counter[str] = Counter()
    for shape in [case.shape() for case in group.cases]:
        for config in group.spec.configs():
            rejected.update(name for name, by in group.spec.violations(config, shape).items() if by > 0)
    about = {
        "spec": kernel,
        "chip": machine.chip.name,
        "cases": [str(case) for case in group.cases],
        "source": source_digest(group.spec),
        "declaration": group.declaration(),
        "model": machine.model,
        "versions": dict(machine.versions),
        "evidence": "simulated",
        "unit": "microseconds",
        "rejected": dict(sorted(rejected.items())),
    }
    values = {name: tunable.values for name, tunable in group.spec.space.items()}
    empty = RecordedSpace(group.spec.name, about, values, group.default, {}, len(group.legal))
    if not path.exists():
        return empty
    found = load_space(path)
    for what in ("chip", "cases", "source", "declaration", "model", "versions"):
        if found.about.get(what) != about[what]:
            raise ValueError(f"{path} was recorded of another {what}; move it away, or name another file")
    return replace(found, about=about)


def record(
    space: RecordedSpace,
    group: Group,
    number: int,
    pool: Pool,
    path: Path,
    report: Callable[[int], None],
) -> RecordedSpace:
    """Record what ``space`` lacks, and write it to ``path`` from time to time and at the end, however that comes.

    Args:
        number: Of the group in the pool.
        report: Called with how many are done after each configuration.

    Raises:
        KeyboardInterrupt: Ctrl-C; what is done is on disk.
        ToolchainMissing: the compiler went away; likewise.
        OSError: the file cannot be written.
    """
    done = dict(space.recorded)
    saved = time.monotonic()
    write_space(path, space)  # so that a place that cannot be written to costs no compilation

    def so_far() -> RecordedSpace:
        return replace(space, recorded={config: done[config] for config in group.legal if config in done})

    try:
        todo = [RecordOne(config) for config in group.legal if config not in done]
        for task, recorded in answers(pool, number, todo):
            done[task.config] = recorded
            report(len(done))
            if time.monotonic() - saved > SAVE_EVERY:
                write_space(path, so_far())
                saved = time.monotonic()
    except BaseException:
        with suppress(OSError):
            write_space(path, so_far())
        raise
    write_space(path, so_far())
    return so_far()
