"""A run of the tuner: searches group after group, and writes each one's table as soon as it is decided."""

import sys
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import optuna

from cold_kernels.ascend.errors import ToolchainMissing
from cold_kernels.ascend.machine import Machine
from cold_kernels.cases import Case
from cold_kernels.command import FAILED, INTERRUPTED
from cold_kernels.spec import KernelSpec
from cold_kernels.tables import Table, path_of, source_digest, write

from ..display import Report
from ..dry_run import dry_run
from .decision import Decision, Referee
from .evaluate import Evaluator
from .group import Group, groups, work
from .interrupt import Interrupt
from .journal import journal
from .study import open_study, planned, search
from .trial import decided, recorded
from .warm_start import with_known


@dataclass(frozen=True)
class Job:
    """One group to search, with everything that it takes; ``joined`` are the cases that tables brought in."""

    group: Group
    evaluator: Evaluator
    study: optuna.Study
    joined: tuple[Case, ...] = ()


def groups_of(spec: KernelSpec, shapes: Sequence[str] | None, cores: int) -> list[Group]:
    """The groups of ``shapes``, in the language of `cold_kernels.cases.Case`; None: of the spec's targets.

    The spec's functions have been called once when this returns.

    Raises:
        ValueError: a shape cannot be read, made or tuned, or a function of the spec fails.
    """
    cases = [Case.parse(text, spec) for text in shapes or spec.targets]
    if not cases:
        raise ValueError(f"{spec.name}: targets is empty; name a shape")
    for case in cases if shapes else ():
        try:
            case.tensors(spec)
        except (RuntimeError, ValueError) as error:
            raise ValueError(f"{spec.name}: cannot make tensors for {case}: {error}") from error
    if all(size for case in cases for size in case.sizes.values()):  # if not, `groups` says so
        dry_run(spec, min(cases, key=work), cores)
    return groups(spec, cases)


def jobs_for(found: Iterable[Group], machine: Machine, output: Path, seed: int, held: ExitStack) -> list[Job]:
    """Everything that can fail before the first trial; the journals stay open as long as ``held``.

    Raises:
        ValueError: two kernels of one name, a file that is no journal, or a table that cannot be written.
        OSError, JournalBusy: a journal cannot be written.
    """
    opened: dict[str, tuple[Evaluator, optuna.storages.BaseStorage]] = {}
    jobs = []
    for group in found:
        spec = group.spec
        if spec.name not in opened:
            path = path_of(output, machine.chip.name, spec.name)
            if path.is_dir():
                raise ValueError(f"{path} is a folder, where the table must go; move it away, or give --output")
            trials = path.with_name(f"{spec.name}.journal")
            opened[spec.name] = Evaluator(spec, machine), held.enter_context(journal(trials))
        evaluator, storage = opened[spec.name]
        if evaluator.spec is not spec:
            raise ValueError(f"two kernels are called {spec.name}; tune one at a time")
        group, joined = with_known(group, machine.chip.name, output)
        jobs.append(Job(group, evaluator, open_study(group, evaluator, storage, seed), joined))
    return jobs


def tune(jobs: Sequence[Job], trials: Callable[[Group], int], output: Path) -> int:
    """Search every job, writing its kernel's table as soon as it is done; prints as it goes.

    Args:
        trials: How many a group is worth.

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
                if known := _known(job):
                    report.say(known)
                decision, stopped = _search(job, trials(job.group), interrupt, report)
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
    total = planned(job.study, job.group, trials)
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
            stopped = True
            if sampler.pending(job.study):
                report.say(f"{job.group}: interrupted before all that tables know was tried; they stay as they are")
                return None, stopped
            report.say(f"{job.group}: interrupted; deciding on what is there, Ctrl-C again skips that")
        interrupt.forget()
        progress.stage("checking the winner")
        try:
            with interrupt.allowed():
                if decided(job.study):
                    decision = Referee(job.group, job.evaluator, job.study).decide()
        except KeyboardInterrupt:
            stopped = True
    return decision, stopped


def _known(job: Job) -> str:
    """What tables add to the search; "" if that is nothing."""
    group, pending = job.group, job.study.sampler.pending(job.study)
    said = []
    if job.joined:
        shapes = ", ".join(" ".join(f"{dim}={case.sizes[dim]}" for dim in group.spec.bucket) for case in job.joined)
        said.append(f"{shapes}, tuned before, are judged along, as launches read a group from one table")
    if pending:
        count = "1 configuration" if len(pending) == 1 else f"{len(pending)} configurations"
        said.append(f"{count} of earlier tables tried after the default, besides --trials")
    return f"{group}: {'; '.join(said)}" if said else ""


def _write(job: Job, decision: Decision, output: Path) -> Path:
    machine, spec = job.evaluator.machine, job.group.spec
    entries = tuple(row.entry(job.group) for row in decision.rows)
    table = Table(spec.name, machine.chip.name, source_digest(spec), dict(machine.versions), entries)
    return write(output, spec, table)
