"""A search on a recorded space: what it would have tried, in which order, and what it would have found when."""

import math
import time
from dataclasses import dataclass

from optuna.trial import FrozenTrial, TrialState, create_trial

from cold_kernels.record import Record

from ..search.sampler import LegalSampler
from ..search.study import BATCH, OVERFLOW
from .space import RecordedSpace


@dataclass(frozen=True)
class Replay:
    """A search that was replayed.

    Args:
        space: Where.
        tried: The configurations in the order of the search.
        own_seconds: What the search itself took, without compiler and simulator.
    """

    space: RecordedSpace
    tried: tuple[Record, ...]
    own_seconds: float

    @property
    def best(self) -> float:
        """The least value among what was tried; infinite if none of it can be used."""
        return min((self.space.usable.get(config, math.inf) for config in self.tried), default=math.inf)

    @property
    def seconds(self) -> float:
        """What compiling, checking and timing took when the space was recorded, one configuration at a time."""
        return math.fsum(map(self.space.seconds, self.tried))

    def steps(self) -> list[tuple[int, Record, float, float]]:
        """Where something faster was found: evaluations by then, the configuration, its value, seconds by then."""
        found, best, spent = [], math.inf, 0.0
        for count, config in enumerate(self.tried, 1):
            spent += self.space.seconds(config)
            value = self.space.usable.get(config, math.inf)
            if value < best:
                best = value
                found.append((count, config, value, spent))
        return found


def budget(space: RecordedSpace) -> int:
    """Evaluations after which searches are compared: 48 or a tenth of the space, if that is more."""
    return min(space.legal, max(48, math.ceil(space.legal / 10)))


def replay(space: RecordedSpace, sampler: str, seed: int, trials: int) -> Replay:
    """Run ``python -m tuner autotune``'s search on a space, as it would run with no tables.

    Raises:
        ValueError: there is no such sampler, or a package that it needs is missing.
    """
    began = time.perf_counter()
    proposing = LegalSampler(space.domain, seed, sampler)
    tried: list[Record] = []
    trials = min(trials, space.legal)
    while len(tried) < trials:
        batch: list[Record] = []
        for place in range(len(tried), min(len(tried) + BATCH, trials)):
            batch.append(proposing.propose(place, {*tried, *batch}))
        proposing.learn([_trial(space, proposing, config) for config in batch])
        tried += batch
    return Replay(space, tuple(tried), time.perf_counter() - began)


def _trial(space: RecordedSpace, sampler: LegalSampler, config: Record) -> FrozenTrial:
    """The trial that a study would have kept of a configuration."""
    recorded = space.recorded[config]
    state, constraints = TrialState.COMPLETE, None
    if (bits := recorded.outcome.excess_bits) is not None:
        state, constraints = TrialState.PRUNED, {OVERFLOW: bits}
    elif recorded.value is None:
        state = TrialState.FAIL
    return create_trial(
        state=state, value=recorded.value, params=sampler.params(config), distributions=sampler.distributions,
        constraints=constraints,
    )  # fmt: skip
