"""The study of one group: what was proposed, what became of it, and what comes next."""

import hashlib
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import dataclass, replace
from typing import Any

import optuna
from optuna.distributions import BaseDistribution
from optuna.exceptions import UpdateFinishedTrialError
from optuna.samplers import BaseSampler
from optuna.storages import BaseStorage
from optuna.trial import FrozenTrial, TrialState

from cold_kernels.ascend.machine import Machine
from cold_kernels.record import Record
from cold_kernels.tables import source_digest

from .group import Group
from .sampler import DEFAULT, LegalSampler
from .shared import Shared
from .trial import Outcome

BATCH = 8
"""Trials that are proposed together: none of them knows of another's outcome, so any number may run at a time.

It belongs to the method and not to the machine: with it, a seed gives the same search on any number of cores.
"""
PLACE = "place"
WARM_START = "warm start"
"""Marks a trial of what a table knew: it is none of those asked for."""
ABANDONED = "abandoned"
WORKER = "worker"
"""Who runs a trial of a storage that is shared."""
PLANNED, STARTS, SEED, SAMPLER, KERNEL, CHIP = "planned trials", "warm start", "seed", "sampler", "kernel", "chip"
"""What a study keeps for those who join it."""
OVERFLOW = "unified_buffer_bits"
NOTHING_CHECKED = 0.0


@dataclass(frozen=True)
class Proposal:
    """A configuration to try.

    Args:
        place: Its place in the search, from 0.
        config: The configuration.
        best: The best time of the batches before, in microseconds; `NOTHING_CHECKED` in the first, where all but the
            default are timed alone: nobody knows yet what is worth a comparison with float64, and what wins gets one.
    """

    place: int
    config: Record
    best: float


class Study:
    """A group's Optuna study in ``storage``, made or resumed; it alone reads and writes it.

    It belongs to a kernel's source and space, a group and its cases, a chip and its model, the compiler's versions, a
    method and a seed; where any of these differs it is another study. A trial that was running when its process was
    killed is closed as failed, and its configuration is proposed again.

    The search is cut into batches of `BATCH`. A proposal depends on the batches before its own and on what stands
    before it in its own, so a study that was killed and resumed proposes what it would have proposed undisturbed.
    So do several tuners on a storage that is ``shared``: each of them takes places with `claim`, and none is taken
    twice unless whoever took it is dead.
    """

    def __init__(
        self,
        group: Group,
        machine: Machine,
        storage: BaseStorage,
        seed: int,
        sampler: str = DEFAULT,
        shared: Shared | None = None,
    ) -> None:
        self.shared = shared
        stands_for = {
            "source": source_digest(group.spec),
            "declaration": group.declaration(),
            "model": machine.model,
            "versions": dict(machine.versions),
            "cases": [str(case) for case in group.cases],
            "method": f"batches of {BATCH} by {sampler}"
            + (f", shaped as {group.kept[0].config}" if group.kept else ""),
        }
        digest = hashlib.sha256(repr(stands_for).encode()).hexdigest()[:12]
        self.name = f"{group} {machine.chip.name} seed={seed} {digest}"
        self._study = optuna.create_study(
            study_name=self.name,
            storage=storage,
            sampler=_Given(),
            load_if_exists=True,
        )
        self._notes: dict[str, Any] = self._study.user_attrs
        if shared:
            stands_for |= {SEED: seed, SAMPLER: sampler, KERNEL: group.spec.name, CHIP: machine.chip.name}
            stands_for[STARTS] = [dict(config) for config in group.warm_start]
        if not self._notes.keys() >= stands_for.keys():
            for name, value in stands_for.items():
                if name not in self._notes:
                    self.note(name, value)
        if shared:  # what the first of them found in its tables, all of them try
            group = replace(group, warm_start=tuple(Record(config) for config in self._notes[STARTS]))
        self.group = group
        self.sampler = LegalSampler(group.domain, seed, sampler)
        self._learned = 0
        self._running: dict[int, optuna.Trial] = {}
        self._elsewhere: set[int] = set()
        self._proposed: dict[tuple[int, frozenset[Record]], Record] = {}
        for trial in self._read():
            if not shared:
                self._abandon(trial.number)

    def refresh(self) -> None:
        """Take note of what others did in a shared storage."""
        self._notes = self._study.user_attrs
        self._read()

    def _read(self) -> list[FrozenTrial]:
        """Read all trials; those that have not ended."""
        self._batches: list[dict[int, FrozenTrial]] = []
        abandoned, open_ = set(self._notes.get(ABANDONED, [])), []
        for trial in self._study.get_trials(deepcopy=False):
            if not trial.state.is_finished():
                open_.append(trial)
            elif trial.number not in abandoned:
                self._keep(trial)
        self._elsewhere = {trial.user_attrs[PLACE] for trial in open_ if PLACE in trial.user_attrs}
        return open_

    def claim(self, total: int) -> Proposal | None:
        """The next place of a search for ``total`` trials that nobody has taken, taken; None if there is none now."""
        shared = self.shared
        with shared.lock():
            self._notes = self._study.user_attrs
            running = self._read()
            mine = {trial.number for trial in self._running.values()}
            lost = [each for each in running if PLACE not in each.user_attrs]  # who made it, under this lock, is gone
            lost += [each for each in running if each.user_attrs.get(WORKER) == shared.worker]
            lost += shared.dead(self._study._study_id, running, WORKER)
            for number in sorted({each.number for each in lost} - mine):
                self._abandon(number)
            if lost:
                self._read()
            for proposal in self.batch(total - len(self.decided)):
                if proposal.place not in self._elsewhere:
                    self.start(proposal)
                    return proposal
        return None

    def ask(self, trials: int) -> None:
        """Ask all that work on a shared study for so many trials, as `planned` counts them."""
        with self.shared.lock():
            self.refresh()
            if (total := self.planned(trials)) > self.target:
                self.note(PLANNED, total)

    @property
    def target(self) -> int:
        """The most trials that anybody asked for, as `planned`."""
        return self._notes.get(PLANNED, 0)

    @property
    def decided(self) -> list[tuple[Record, Outcome]]:
        """Configurations whose trials came to an end of their own, and their outcomes, in the order of the search."""
        return [(self.config(trial), _recorded(trial)) for trial in self._trials()]

    @property
    def pending(self) -> list[Record]:
        """What tables know and the study has not tried."""
        tried = {self.config(trial) for trial in self._trials()}
        return [config for config in self.group.warm_start if config not in tried]

    @property
    def seconds(self) -> list[float]:
        """How long trials took that came to an end of their own."""
        return [trial.duration.total_seconds() for trial in self._trials() if trial.duration]

    def planned(self, trials: int) -> int:
        """How many trials are decided when a search for ``trials`` is over.

        What tables know is tried besides, and ``trials`` that earlier runs did count.
        """
        done = list(self._trials())
        besides = sum(WARM_START in trial.user_attrs for trial in done)
        return min(len(self.group.legal), max(trials + besides, len(done)) + len(self.pending))

    def batch(self, most: int) -> list[Proposal]:
        """What is open of the first batch that is not through, but not more than ``most``; in order."""
        number = next((i for i, batch in enumerate(self._batches) if len(batch) < BATCH), len(self._batches))
        if through := self._batches[self._learned : number]:
            self.sampler.learn(batch[place] for batch in through for place in sorted(batch))
        self._learned = number
        here = self._batches[number] if number < len(self._batches) else {}
        before = [trial for batch in self._batches[:number] for trial in batch.values()]
        best = min((trial.value for trial in before if trial.state == TrialState.COMPLETE), default=NOTHING_CHECKED)
        taken = {self.config(trial) for trial in before}
        decided_here = {self.config(trial) for trial in here.values()}
        found: list[Proposal] = []
        for place in range(number * BATCH, (number + 1) * BATCH):
            if place in here:
                taken.add(self.config(here[place]))
                continue
            if len(found) == most or len(taken | decided_here) == len(self.group.legal):
                break
            config = self._propose(place, taken)
            if config in decided_here:  # what tables know has changed since
                config = self._propose(place, taken | decided_here)
            found.append(Proposal(place, config, best))
            taken.add(config)
        return found

    def _propose(self, place: int, taken: set[Record]) -> Record:
        """As the sampler does, which `claim` would ask the same again and again."""
        asked = place, frozenset(taken)
        if asked not in self._proposed:
            if len(self._proposed) > 8 * BATCH:
                self._proposed.clear()
            self._proposed[asked] = self.sampler.propose(place, taken)
        return self._proposed[asked]

    def start(self, proposal: Proposal) -> None:
        """The proposal's trial runs from now on."""
        self._study.sampler.params = self.sampler.params(proposal.config)
        trial = self._study.ask(self.sampler.distributions)
        self._running[proposal.place] = trial
        if self.shared:
            self.shared.alive(trial._trial_id)
            trial.set_user_attr(WORKER, self.shared.worker)
        trial.set_user_attr("config", dict(proposal.config))
        if proposal.config in self.group.warm_start:
            trial.set_user_attr(WARM_START, True)
        trial.set_user_attr(PLACE, proposal.place)  # the last: with it the place is taken

    def tell(self, proposal: Proposal, outcome: Outcome) -> None:
        """The trial is over, and on disk when this returns."""
        trial = self._running.pop(proposal.place)
        if not self.shared:
            self._keep(_record(self._study, trial, outcome))
            return
        self.shared.over(trial._trial_id)
        try:
            _record(self._study, trial, outcome)
        except (UpdateFinishedTrialError, ValueError):
            # Others took this worker for dead, and close or repeat the trial; or its end was told and not confirmed.
            if not self._study._storage.get_trial(trial._trial_id).state.is_finished():
                raise
        self.refresh()

    def abandon(self) -> None:
        """Close what runs as not finished: its configurations count as not tried."""
        with self.shared.lock() if self.shared else nullcontext():
            if self._running and self.shared:
                self.refresh()
            for trial in self._running.values():
                if self.shared:
                    self.shared.over(trial._trial_id)
                self._abandon(trial.number)
            self._running.clear()

    def noted(self, name: str) -> Any:
        """What `note` kept; None if it kept nothing."""
        return self._notes.get(name)

    def note(self, name: str, value: Any) -> None:
        """Keep a fact about the group; it is on disk when this returns."""
        self._study.set_user_attr(name, value)
        self._notes[name] = value

    def config(self, trial: FrozenTrial) -> Record:
        """The configuration that a trial was of."""
        return self.sampler.config(trial.params)

    def _trials(self) -> Iterator[FrozenTrial]:
        for batch in self._batches:
            for place in sorted(batch):
                yield batch[place]

    def _keep(self, trial: FrozenTrial) -> None:
        number, _ = divmod(place := trial.user_attrs[PLACE], BATCH)
        while len(self._batches) <= number:
            self._batches.append({})
        self._batches[number].setdefault(place, trial)

    def _abandon(self, number: int) -> None:
        self.note(ABANDONED, [*self._notes.get(ABANDONED, []), number])
        self._study.tell(number, state=TrialState.FAIL, skip_if_finished=True)


class _Given(BaseSampler):
    """Gives a trial the parameters that were chosen for it before it began."""

    params: dict[str, int]

    def infer_relative_search_space(self, study: optuna.Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        return {}

    def sample_relative(self, study: optuna.Study, trial: FrozenTrial, search_space: dict) -> dict[str, Any]:
        return {}

    def sample_independent(self, study: optuna.Study, trial: FrozenTrial, name: str, distribution: Any) -> int:
        return self.params[name]


def _record(study: optuna.Study, trial: optuna.Trial, outcome: Outcome) -> FrozenTrial:
    trial.set_user_attr("rung", outcome.rung)
    if outcome.us:
        trial.set_user_attr("us", outcome.us)
    if outcome.checked:
        trial.set_user_attr("checked", list(outcome.checked))
    if outcome.failure:
        trial.set_user_attr("failure", outcome.failure)
    if outcome.excess_bits is not None:
        trial.set_constraint(OVERFLOW, outcome.excess_bits)
        return study.tell(trial, state=TrialState.PRUNED)
    if outcome.failure:
        return study.tell(trial, state=TrialState.FAIL)
    return study.tell(trial, outcome.value)


def _recorded(trial: FrozenTrial) -> Outcome:
    kept = trial.user_attrs
    bits = trial.constraints.get(OVERFLOW)
    return Outcome(
        kept["rung"],
        kept.get("us", {}),
        kept.get("failure", ""),
        None if bits is None else int(bits),
        tuple(kept.get("checked", ())),
    )
