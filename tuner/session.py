"""A run of the tuner: searches group after group, and writes each one's table as soon as it is decided."""

import sys
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import optuna

from cold_kernels.ascend.errors import ToolchainMissing
from cold_kernels.cases import Case
from cold_kernels.spec import KernelSpec
from cold_kernels.tables import Table, path_of, source_digest, write

from .display import Report
from .evaluate import Evaluator
from .group import Group, groups
from .interrupt import Interrupt
from .journal import journal
from .machine import Machine
from .robust import Decision, Referee
from .study import open_study, search
from .trial import decided, recorded

FAILED, INTERRUPTED = 1, 130


@dataclass(frozen=True)
class Job:
    """One group to search, with everything that it takes."""

    group: Group
    evaluator: Evaluator
    study: optuna.Study


def groups_of(spec: KernelSpec, shapes: Sequence[str] | None) -> list[Group]:
    """The groups of ``shapes``, in the language of `cold_kernels.cases.Case`; None: of the spec's targets.

    Raises:
        ValueError: a shape cannot be read, made or tuned.
    """
    cases = [Case.parse(text, spec) for text in shapes or spec.targets]
    for case in cases if shapes else ():
        try:
            case.tensors(spec)
        except (RuntimeError, ValueError) as error:
            raise ValueError(f"{spec.name}: cannot make tensors for {case}: {error}") from error
    return groups(spec, cases)


def jobs_for(found: Iterable[Group], machine: Machine, output: Path, seed: int, held: ExitStack) -> list[Job]:
    """Everything that can fail before the first trial; the journals stay open as long as ``held``.

    Raises:
        ValueError: two kernels of one name, or a file that is no journal.
        OSError, JournalBusy: a journal cannot be written.
    """
    opened: dict[str, tuple[Evaluator, optuna.storages.BaseStorage]] = {}
    jobs = []
    for group in found:
        spec = group.spec
        if spec.name not in opened:
            path = path_of(output, machine.chip.name, spec.name).with_suffix(".journal")
            opened[spec.name] = Evaluator(spec, machine), held.enter_context(journal(path))
        evaluator, storage = opened[spec.name]
        if evaluator.spec is not spec:
            raise ValueError(f"two kernels are called {spec.name}; tune one at a time")
        jobs.append(Job(group, evaluator, open_study(group, evaluator, storage, seed)))
    return jobs


def tune(jobs: Sequence[Job], trials: int, output: Path) -> int:
    """Search every job, writing its kernel's table as soon as it is done; prints as it goes.

    Returns:
        The exit code.
    """
    report = Report()
    machine = jobs[0].evaluator.machine
    chip = machine.chip.name
    report.say(f"SIMULATED (HIVM level), {chip}; trials are kept in {output / chip}")
    decisions: list[Decision] = []
    paths: dict[Path, None] = {}
    stopped = False
    try:
        with Interrupt() as interrupt:
            for job in jobs:
                decision, stopped = _search(job, trials, interrupt, report)
                if decision is not None:
                    decisions.append(decision)
                    if decision.rows:
                        paths[_write(job, decision, output)] = None
                if stopped:
                    break
    except ToolchainMissing as error:
        print(f"autotune: {error}", file=sys.stderr)
        return FAILED
    report.summary(decisions, chip)
    for path in paths:
        report.say(f"wrote {path}")
    if stopped:
        report.say("Interrupted; every finished trial is kept. The same command goes on from here.")
        return INTERRUPTED
    return 0 if all(decision.rows for decision in decisions) else FAILED


def _search(job: Job, trials: int, interrupt: Interrupt, report: Report) -> tuple[Decision | None, bool]:
    """Search and decide one group; and whether Ctrl-C stopped it."""
    sampler = job.study.sampler
    total = min(trials, len(job.group.legal))
    earlier = decided(job.study)
    decision, stopped = None, False
    with report.progress(job.group, min(len(earlier), total), total) as progress:
        for trial in earlier:
            progress.seen(recorded(trial), sampler.config(trial) == job.group.default)

        def show(done, config, outcome):
            progress.seen(outcome, config == job.group.default)
            progress(done, outcome)

        try:
            search(job.study, job.group, job.evaluator, trials, interrupt, show)
        except KeyboardInterrupt:
            report.say(f"{job.group}: interrupted; deciding on what is there, Ctrl-C again skips that")
            stopped = True
        interrupt.forget()
        progress.stage("checking the winner")
        try:
            with interrupt.allowed():
                if decided(job.study):
                    decision = Referee(job.group, job.evaluator, job.study).decide()
        except KeyboardInterrupt:
            stopped = True
    return decision, stopped


def _write(job: Job, decision: Decision, output: Path) -> Path:
    machine, spec = job.evaluator.machine, job.group.spec
    entries = tuple(row.entry(job.group) for row in decision.rows)
    table = Table(spec.name, machine.chip.name, source_digest(spec), dict(machine.versions), entries)
    return write(output, spec, table)
