"""A run of the tuner: searches group after group, and writes each one's table as soon as it is decided."""

import fcntl
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import optuna

from cold_kernels.ascend.machine import Machine
from cold_kernels.cases import Case
from cold_kernels.command import DONE, FAILED, INTERRUPTED
from cold_kernels.spec import KernelSpec
from cold_kernels.tables import Table, path_of, source_digest, write

from ..dry_run import dry_run
from .decision import GroupDecision, Referee
from .display import Report
from .group import Group, groups, work
from .interrupt import Interrupt
from .journal import journal, journal_path
from .limits import Limits
from .pace import ahead
from .pool import Pool, Processes
from .sampler import DEFAULT
from .search import search
from .shared import Shared
from .study import Study
from .tasks import Plan
from .together import search_together
from .warm_start import beside_tables, warm_started


@dataclass(frozen=True)
class GroupSearch:
    """One group to search, with what it takes; ``joined`` are the cases that tables brought in."""

    group: Group
    study: Study
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
    if not any(spec.empty(case.sizes) for case in cases):  # if one is, `groups` says so
        dry_run(spec, min(cases, key=work), cores)
    return groups(spec, cases)


def searches_for(
    found: Iterable[Group],
    machine: Machine,
    output: Path,
    seed: int,
    judged: Callable[[Group], tuple[Case, ...]] | None,
    held: ExitStack,
    sampler: str = DEFAULT,
    shared: Shared | None = None,
) -> list[GroupSearch]:
    """Everything that can fail before the first trial; the journals stay open as long as ``held``.

    Args:
        judged: The cases of a group that alone are judged where tables have it; None: all, with those of tables.
        sampler: One of `sampler.SAMPLERS`.
        shared: Where trials are kept instead of in journals beside the tables.

    Raises:
        ValueError: two kernels of one name, a file that is no journal, or a table that cannot be written.
        OSError, JournalBusy: a journal cannot be written.
    """
    opened: dict[str, tuple[KernelSpec, optuna.storages.BaseStorage]] = {}
    searches = []
    for group in found:
        spec = group.spec
        if spec.name not in opened:
            path = path_of(output, machine.chip.name, spec.name)
            if path.is_dir():
                raise ValueError(f"{path} is a folder, where the table must go; move it away, or give --output")
            file = journal_path(output, machine.chip.name, spec.name)
            opened[spec.name] = spec, shared.storage if shared else held.enter_context(journal(file))
        owner, storage = opened[spec.name]
        if owner is not spec:
            raise ValueError(f"two kernels are called {spec.name}; tune one at a time")
        chip, joined = machine.chip.name, ()
        beside = judged and beside_tables(group, judged(group), chip, output, machine.versions)
        if beside:
            group = beside
        else:
            group, joined = warm_started(group, chip, output)
        study = Study(group, machine, storage, seed, sampler, shared)
        searches.append(GroupSearch(study.group, study, joined))
    return searches


def pool_for(
    searches: Sequence[GroupSearch],
    machine_for: Callable[[str], Machine],
    chip: str,
    kernels: Mapping[KernelSpec, str],
    jobs: int,
    limits: Limits,
) -> Pool:
    """Where the searches have their work done; a search's number in ``searches`` is that of its group there.

    Args:
        machine_for: Makes the machine in another process, called with ``chip``.
        kernels: What `cold_kernels.specs.load` calls each kernel.
        jobs: How many processes; one too is another than this, as whatever a trial does must not end the search.
        limits: Of a trial.
    """
    plan = Plan.of(machine_for, chip, [(kernels[each.group.spec], each.group) for each in searches])
    return Processes(plan, jobs, limits)


def tune(
    searches: Sequence[GroupSearch], machine: Machine, pool: Pool, trials: Callable[[Group], int], output: Path
) -> int:
    """Search every group, writing its kernel's table as soon as it is done; prints as it goes.

    Args:
        trials: How many a group is worth.

    Returns:
        The exit code.

    Raises:
        ToolchainMissing: the compiler went away.
        OSError: a trial or a table cannot be written.
    """
    report = Report()
    chip = machine.chip.name
    shared = next((each.study.shared for each in searches if each.study.shared), None)
    kept = shared.name if shared else output / chip
    report.say(f"SIMULATED (HIVM level), device time, {chip}; trials are kept in {kept}")
    for each in searches if shared else ():
        each.study.ask(trials(each.group))  # all of them, so that workers can begin on any
    decisions: list[GroupDecision] = []
    paths: dict[Path, None] = {}
    stopped = False
    with Interrupt() as interrupt, pool:
        for number, each in enumerate(searches):
            if said := _from_tables(each):
                report.say(said)
            seen = [took for other in searches if other.group.spec is each.group.spec for took in other.study.seconds]
            if said := ahead(each.study, trials(each.group), pool.jobs, seen):
                report.say(said)
            decision, stopped = _search(each, number, pool, trials(each.group), interrupt, report)
            if decision is not None:
                decisions.append(decision)
                if decision.rows:
                    paths[_write(machine, decision, output)] = None
            if stopped:
                break
    report.summary(decisions, chip)
    for path in paths:
        report.say(f"wrote {path}")
    if stopped:
        report.say("Interrupted; every finished trial is kept. The same command goes on from here.")
        return INTERRUPTED
    return DONE if all(decision.rows for decision in decisions) else FAILED


def _search(
    each: GroupSearch, number: int, pool: Pool, trials: int, interrupt: Interrupt, report: Report
) -> tuple[GroupDecision | None, bool]:
    """Search and decide one group; and whether Ctrl-C stopped it."""
    group, study = each.group, each.study
    total = study.target if study.shared else study.planned(trials)
    earlier = study.decided
    decision, stopped = None, False
    with report.progress(group, min(len(earlier), total), total) as progress:
        for config, outcome in earlier:
            progress.seen(outcome, config == group.default)

        def show(done, config, outcome):
            progress.seen(outcome, config == group.default)
            progress(done, outcome)

        try:
            if study.shared:
                search_together(study, number, pool, interrupt, show)
            else:
                search(study, number, pool, trials, interrupt, show)
        except KeyboardInterrupt:
            stopped = True
            if study.pending:
                report.say(f"{group}: interrupted before all that tables know was tried; they stay as they are")
                return None, stopped
            report.say(f"{group}: interrupted; deciding on what is there, Ctrl-C again skips that")
        interrupt.forget()
        progress.stage("checking the winner")
        try:
            with interrupt.allowed():
                if study.decided:
                    decision = Referee(study, number, pool).decide()
        except KeyboardInterrupt:
            stopped = True
    return decision, stopped


def _from_tables(each: GroupSearch) -> str:
    """What tables add to the search; "" if that is nothing."""
    group, pending = each.group, each.study.pending
    said = []
    if group.kept:
        own = {group.spec.key(case.shape()) for case in group.cases}
        others = sum(entry.shape not in own for entry in group.kept)
        what = "1 other shape keeps" if others == 1 else f"{others} other shapes keep"
        said.append(f"{_sizes(group, group.cases)} judged against what tables have for it; {what} theirs")
    if each.joined:
        shapes = _sizes(group, each.joined)
        said.append(f"{shapes}, tuned before, are judged along, as launches read a group from one table")
    if pending:
        count = "1 configuration" if len(pending) == 1 else f"{len(pending)} configurations"
        said.append(f"{count} of earlier tables tried after the default, besides --trials")
    return f"{group}: {'; '.join(said)}" if said else ""


def _sizes(group: Group, cases: Iterable[Case]) -> str:
    return ", ".join(" ".join(f"{dim}={case.sizes[dim]}" for dim in group.spec.bucket) for case in cases)


def _write(machine: Machine, decision: GroupDecision, output: Path) -> Path:
    spec = decision.group.spec
    table = Table(spec.name, machine.chip.name, source_digest(spec), dict(machine.versions), decision.entries())
    folder = path_of(output, table.chip, spec.name).parent
    folder.mkdir(parents=True, exist_ok=True)
    held = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(held, fcntl.LOCK_EX)  # another tuner's entries, written between reading and writing, would be lost
        return write(output, spec, table)
    finally:
        os.close(held)
