"""What is measured, the most telling first: micro-benchmarks, shipped configurations, and others to be ranked."""

import itertools
import random
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from cold_kernels import tables
from cold_kernels.cases import Case
from cold_kernels.record import Record
from cold_kernels.spec import KernelSpec
from cold_kernels.specs import KERNELS, load

from ..search.group import groups
from .micro import SPECS, micros
from .studies import studied

MICRO, SHIPPED, BEST, RANDOM = KINDS = "micro", "shipped", "best", "random"
BESTS, RANDOMS = 5, 12
"""Configurations of each study, or of each kernel where there is none."""


@dataclass(frozen=True)
class Job:
    """One configuration on one case; ``checked`` is the case whose values are compared with float64 first."""

    kind: str
    spec: KernelSpec
    case: Case
    config: Record
    checked: Case

    @property
    def key(self) -> tuple[str, str, str]:
        """What it is among the results of a device, whatever it was measured for."""
        return self.spec.name, str(self.case), str(self.config)

    def __str__(self) -> str:
        return f"{self.spec.name} {self.case} {self.config}".strip()


def spec_named(name: str) -> KernelSpec:
    """The micro-benchmark or the registered kernel of that name.

    Raises:
        ValueError: there is none.
    """
    if name in SPECS:
        return SPECS[name]
    if name in KERNELS:
        return load(name)
    raise ValueError(f"unknown kernel {name!r}; the kernels are {', '.join([*KERNELS, *SPECS])}")


def all_jobs(chip: str, studies: Path | None = None, seed: int = 0, backend: str = "ascend") -> list[Job]:
    """Everything worth measuring on ``chip``, nothing twice.

    Args:
        backend: Whose declarations of the kernels count; on GPUs those of the cube cores are left out.
        studies: The folder that holds ``autotune``'s journals, if there is one.
        seed: Decides which the random configurations are.
    """
    jobs = [Job(MICRO, *micro) for micro in micros()]
    names = [name for name in KERNELS if backend == "ascend" or not name.endswith("_cube")]
    specs = [load(name).on(backend) for name in names]
    for_launches = [_middle_first([*shipped(spec, chip)]) for spec in specs]
    to_rank = [ranked(spec, chip, studies, seed) for spec in specs]
    jobs += _in_turn([*for_launches, *to_rank])
    return list({job.key: job for job in reversed(jobs)}.values())[::-1]


def shipped(spec: KernelSpec, chip: str) -> Iterator[Job]:
    """The configurations that launches take from the shipped table, each on the case that it was tuned for.

    Tables are by chip; one that has none runs the default.
    """
    for text in spec.targets:
        case = Case.parse(text, spec)
        found = [
            entry
            for table, _ in tables.read(spec, chip, (tables.SHIPPED,))
            for entry in table.entries
            if entry.shape == spec.key(case.shape())
        ]
        config = found[0].config if found else spec.default_for(case.shape())
        yield Job(SHIPPED, spec, case, config, case)


def ranked(spec: KernelSpec, chip: str, studies: Path | None, seed: int) -> Iterator[Job]:
    """Configurations of one case to put in order: the best and some random ones of each study on it.

    Without a study the best are the default and the shipped ones, and the random ones come from the legal ones.
    """
    draw = random.Random(f"{spec.name} {seed}")
    found = list(studied(spec, chip, studies, BESTS)) if studies else []
    if not found:
        case = Case.parse(spec.targets[len(spec.targets) // 2], spec)
        (group,) = groups(spec, [case])
        known = [job.config for job in shipped(spec, chip) if spec.allows(job.config, case.shape())]
        found = [(case, list(dict.fromkeys([group.default, *known])), list(group.legal))]
    for case, best, others in found:
        others = [config for config in others if config not in best]
        for kind, configs in ((BEST, best), (RANDOM, draw.sample(others, min(RANDOMS, len(others))))):
            for config in configs:
                yield Job(kind, spec, case, config, case)


def _middle_first(jobs: list[Job]) -> list[Job]:
    middle = len(jobs) // 2
    return jobs[middle:] + jobs[:middle]


def _in_turn(listed: Sequence[Iterable[Job]]) -> Iterator[Job]:
    for turn in itertools.zip_longest(*listed):
        yield from (job for job in turn if job is not None)
