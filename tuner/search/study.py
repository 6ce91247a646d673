"""The study of one group: what was proposed, what became of it, and what comes next."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import optuna
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler
from optuna.storages import BaseStorage
from optuna.trial import FrozenTrial, TrialState

from cold_kernels.ascend.machine import Machine
from cold_kernels.record import Record
from cold_kernels.tables import source_digest

from .group import Group
from .sampler import DEFAULT, LegalSampler
from .trial import Outcome

BATCH = 8
"""Trials that are proposed together: none of them knows of another's outcome, so any number may run at a time.

It belongs to the method and not to the machine: with it, a seed gives the same search on any number of cores.
"""
PLACE = "place"
WARM_START = "warm start"
"""Marks a trial of what a table knew: it is none of those asked for."""
ABANDONED = "abandoned"
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
    """

    def __init__(self, group: Group, machine: Machine, storage: BaseStorage, seed: int, sampler: str = DEFAULT) -> None:
        self.group = group
        self.sampler = LegalSampler(group.domain, seed, sampler)
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
        self._study = optuna.create_study(
            study_name=f"{group} {machine.chip.name} seed={seed} {digest}",
            storage=storage,
            sampler=_Given(),
            load_if_exists=True,
        )
        self._notes: dict[str, Any] = self._study.user_attrs
        if not self._notes:
            for name, value in stands_for.items():
                self.note(name, value)
        self._batches: list[dict[int, FrozenTrial]] = []
        self._learned = 0
        self._running: dict[int, optuna.Trial] = {}
        abandoned = self._notes.get(ABANDONED, [])
        for trial in self._study.get_trials(deepcopy=False):
            if not trial.state.is_finished():
                self._abandon(trial.number)
            elif trial.number not in abandoned:
                self._keep(trial)

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
            config = self.sampler.propose(place, taken)
            if config in decided_here:  # what tables know has changed since
                config = self.sampler.propose(place, taken | decided_here)
            found.append(Proposal(place, config, best))
            taken.add(config)
        return found

    def start(self, proposal: Proposal) -> None:
        """The proposal's trial runs from now on."""
        self._study.sampler.params = self.sampler.params(proposal.config)
        trial = self._study.ask(self.sampler.distributions)
        self._running[proposal.place] = trial
        trial.set_user_attr(PLACE, proposal.place)
        trial.set_user_attr("config", dict(proposal.config))
        if proposal.config in self.group.warm_start:
            trial.set_user_attr(WARM_START, True)

    def tell(self, proposal: Proposal, outcome: Outcome) -> None:
        """The trial is over, and on disk when this returns."""
        self._keep(_record(self._study, self._running.pop(proposal.place), outcome))

    def abandon(self) -> None:
        """Close what runs as not finished: its configurations count as not tried."""
        for trial in self._running.values():
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
        self._batches[number][place] = trial

    def _abandon(self, number: int) -> None:
        self.note(ABANDONED, [*self._notes.get(ABANDONED, []), number])
        self._study.tell(number, state=TrialState.FAIL)


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
