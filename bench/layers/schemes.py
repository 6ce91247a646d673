"""The schemes that are compared, ours last, and what they take for a projection on a chip and on plausible ones."""

import functools
from dataclasses import dataclass

from cold_kernels import tables
from cold_kernels.ascend.chips import chip_named
from cold_kernels.ascend.simulator.timing.cores import Simulation
from cold_kernels.bgmv.cube_shrink_expand import bgmv_shrink_expand_cube
from cold_kernels.bgmv.shrink_expand import bgmv_shrink_expand
from cold_kernels.cases import Case
from cold_kernels.devices import Device
from cold_kernels.launch import has_group
from cold_kernels.spec import KernelSpec
from tuner.gate.cells import shipped_tables
from tuner.gate.counting import facts
from tuner.search.evaluate import Evaluator

from . import names
from .on_chips import device_us, least_us, machine
from .peers import gather_bmm, one_core_per_token, segmented, split_k
from .peers.scheme import Scheme, SchemeLaunch
from .projections import Batch, Projection


def _by_tables(rank: int, dtype: str, chip: str) -> bool:
    """Whether the chip's shipped tables choose the cube cores."""
    return has_group(bgmv_shrink_expand_cube, (rank, dtype), Device("ascend", chip, chip_named(chip).vector_cores))


def _ours(projection: Projection, batch: Batch, rank: int, dtype: str, chip: str) -> list[SchemeLaunch]:
    """All slices of the rows with an adapter, on the cores and in the configuration of the shipped tables."""
    return _launched(projection, batch, rank, dtype, chip, _by_tables(rank, dtype, chip))


def _asked(projection: Projection, batch: Batch, rank: int, dtype: str, chip: str) -> list[SchemeLaunch]:
    """As ours after `lora_on_cube_from`: on the cube cores whatever the tables say."""
    return _launched(projection, batch, rank, dtype, chip, True)


def _launched(projection: Projection, batch: Batch, rank: int, dtype: str, chip: str, cube: bool) -> list[SchemeLaunch]:
    words = f"{batch.words} R={rank} dtype={dtype} H={projection.hidden} S={len(projection.widths)}"
    words += f" D={projection.outputs} starts={'/'.join(map(str, projection.starts))}"
    if cube:
        spec, words = bgmv_shrink_expand_cube, f"{words} N={batch.rows + 1}"
    else:
        spec, words = bgmv_shrink_expand, f"{words} M={batch.rows + 1}"
    case = Case.parse(words, spec)
    return [SchemeLaunch(spec, case, (tables.select(spec, spec.key(case.shape()), chip).config,))]


OURS = Scheme(names.OURS, "cold_kernels/bgmv/shrink_expand.py and cube_shrink_expand.py", _ours)
ASKED = Scheme(names.ASKED, "cold_kernels/bgmv/cube_shrink_expand.py", _asked)
PEERS = (gather_bmm.SCHEME, one_core_per_token.SCHEME, split_k.SCHEME, segmented.SCHEME)


def schemes_for(batch: Batch, rank: int, dtype: str, chip: str) -> list[Scheme]:
    """The schemes that are simulated on a batch; for a prompt also ours on the cube where tables choose otherwise."""
    with shipped_tables():
        other = batch.prompt and not _by_tables(rank, dtype, chip)
    return [scheme for scheme in (*PEERS, OURS, *([ASKED] if other else ())) if scheme.takes(batch)]


@dataclass(frozen=True)
class Taken:
    """What a scheme takes for the LoRA of a projection; simulated, and counted in the compiled programs.

    Args:
        device_us: Device time of all launches, one after the other: on the nominal chip, then on each of the plausible
            ones.
        least_us: What the launches' floors and the minimal bytes take, on the same chips (`on_chips.least_us`).
        launches: For each, what launches it in eager mode and its device time on the nominal chip, in order.
        facts: `counting.facts` of all launches.
        fetched: Bytes that come from global memory, not from the second-level cache, and those that are written.
    """

    device_us: tuple[float, ...]
    least_us: tuple[float, ...]
    launches: tuple[tuple[str, float], ...]
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
    each: list[tuple[str, float]] = []
    for launch in launches:
        timed = _fastest(launch, chip) * launch.times
        runs += timed
        each += [(launch.launcher, round(run.microseconds, 3)) for run in timed]
    minimal = sum(launch.times * launch.spec.minimal_bytes(**_blank(launch)) for launch in launches)
    fetched = sum(run.execution.unique_bytes + run.bytes_written for run in runs)
    times = device_us(runs, chip), least_us(runs, minimal, chip)
    return Taken(*times, tuple(each), facts(runs, minimal), fetched)


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


@functools.lru_cache(maxsize=16)
def _evaluator(spec: KernelSpec, chip: str) -> Evaluator:
    return Evaluator(spec, machine(chip), blank=True)
