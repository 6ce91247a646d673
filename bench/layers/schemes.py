"""The schemes that are compared, ours last, and what they take for a projection on a chip and on plausible ones."""

import functools
from dataclasses import dataclass

from cold_kernels import tables
from cold_kernels.ascend.chips import Chip
from cold_kernels.ascend.machine import Machine, ascend_machine
from cold_kernels.ascend.simulator.timing.cores import Simulation
from cold_kernels.bgmv.shrink_expand import bgmv_shrink_expand
from cold_kernels.cases import Case
from cold_kernels.spec import KernelSpec
from tuner.search.evaluate import Evaluator

from ..exact.cases import shipped_tables
from ..exact.counting import facts
from .peers import gather_bmm, one_core_per_token, split_k
from .peers.scheme import Scheme, SchemeLaunch
from .projections import Batch, Projection

CHIPS = 32
"""Plausible chips, besides the nominal one."""


def _ours(projection: Projection, batch: Batch, rank: int, dtype: str, chip: str) -> list[SchemeLaunch]:
    """One launch for all slices of the rows with an adapter, in the configuration of the shipped tables."""
    words = f"{batch.words} R={rank} dtype={dtype} H={projection.hidden} S={len(projection.widths)}"
    words += f" D={projection.outputs} starts={'/'.join(map(str, projection.starts))} M={batch.rows + 1}"
    spec = bgmv_shrink_expand
    case = Case.parse(words, spec)
    return [SchemeLaunch(spec, case, (tables.select(spec, spec.key(case.shape()), chip).config,))]


OURS = Scheme("cold-kernels", "cold_kernels/bgmv/shrink_expand.py", _ours)
PEERS = (gather_bmm.SCHEME, one_core_per_token.SCHEME, split_k.SCHEME)
SCHEMES = (*PEERS, OURS)


@dataclass(frozen=True)
class Taken:
    """What a scheme takes for the LoRA of a projection; simulated, and counted in the compiled programs.

    Args:
        launches: How many.
        us: Microseconds without what a launch costs whatever it does, with the start of its cores: on the nominal chip,
            then on each of the plausible ones.
        kernel_us: The same without the start of cores.
        facts: `counting.facts` of all launches.
        fetched: Bytes that come from global memory, not from the second-level cache, and those that are written.
    """

    launches: int
    us: tuple[float, ...]
    kernel_us: tuple[float, ...]
    facts: dict
    fetched: int


def taken(scheme: Scheme, projection: Projection, batch: Batch, rank: int, dtype: str, chip: str) -> Taken:
    """Compile, execute and time a scheme's launches; of several configurations the fastest on the nominal chip counts.

    Raises:
        AscendError: none of the configurations of a launch compiles.
    """
    with shipped_tables():
        launches = scheme.launches(projection, batch, rank, dtype, chip)
    runs: list[Simulation] = []
    for launch in launches:
        runs += _fastest(launch, chip) * launch.times
    on = (machine(chip).chip, *plausible(chip))
    each = [[run.on(one) for run in runs] for one in on]
    kernel = [sum(run.cycles for run in timed) / one.frequency * 1e6 for one, timed in zip(on, each, strict=True)]
    starts = [sum(map(functools.partial(_start_us, one), timed)) for one, timed in zip(on, each, strict=True)]
    minimal = sum(launch.times * launch.spec.minimal_bytes(**_blank(launch)) for launch in launches)
    fetched = sum(run.execution.unique_bytes + run.bytes_written for run in runs)
    us = tuple(a + b for a, b in zip(kernel, starts, strict=True))
    return Taken(len(runs), us, tuple(kernel), facts(runs, minimal), fetched)


@functools.cache
def plausible(chip: str) -> tuple[Chip, ...]:
    """The plausible chips of that name."""
    return tuple(machine(chip).chip.plausible(CHIPS))


def _start_us(chip: Chip, run: Simulation) -> float:
    return chip.start_us(len(run.execution.programs)) - chip.constants["launch_us"]


def _fastest(launch: SchemeLaunch, chip: str) -> list[Simulation]:
    from cold_kernels.ascend.errors import AscendError

    evaluator, found, problem = _evaluator(launch.spec, chip), [], None
    for config in launch.configs:
        try:
            found.append(evaluator.timed(config, launch.case))
        except AscendError as error:
            problem = error
    if not found:
        raise problem
    return list(min(found, key=lambda timed: timed.microseconds).parts)


def _blank(launch: SchemeLaunch) -> dict:
    return launch.case.tensors(launch.spec, blank=True)


@functools.cache
def machine(chip: str) -> Machine:
    """Compiler and simulator for a chip."""
    return ascend_machine(chip)


@functools.lru_cache(maxsize=16)
def _evaluator(spec: KernelSpec, chip: str) -> Evaluator:
    return Evaluator(spec, machine(chip), blank=True)
