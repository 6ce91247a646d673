"""``python -m tuner autotune --chip sm_90``: tables for a GPU that is not there; ``--chip gpu`` for the one that is.

An entry for a target has compiled for it, and the interpreter has found its values right; its times are modelled, and
say so. One for the GPU that is here was measured.
"""

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from cold_kernels.cases import Case
from cold_kernels.command import DONE, FAILED, CommandFailed
from cold_kernels.gpu.compiled import upstream_problem
from cold_kernels.gpu.occupancy import occupancy
from cold_kernels.gpu.targets import HERE, TARGETS, Target
from cold_kernels.record import Record
from cold_kernels.spec import KernelSpec
from cold_kernels.specs import KERNELS, load
from cold_kernels.tables import Entry, Table, source_digest, user_directory, write

from ..calibration.gpu import Gpu
from ..calibration.npu import MeasuredDevice, Unavailable
from ..search.group import Group, groups
from .ahead import Ahead
from .interpreted import Interpreter
from .measured import MEASURED, Measured
from .search import Search

RUNG = "correct (interpreter)"
"""What an entry has reached: it compiles for the target, and its text computes what float64 does."""
MODELLED = "modelled from bytes, occupancy and waves; nothing was measured"


def tune(
    names: Sequence[str], chip: str, shapes: Sequence[str] | None, trials: int, quick: bool, output: Path | None
) -> int:
    """Search every group of each kernel's targets and write tables; the exit code.

    Args:
        names: Kernels, as `specs.load` takes them; by default those that operators launch on GPUs.
        chip: One of `TARGETS`, or `HERE`: the GPU of this machine, by measured times.
        shapes: Cases in place of the kernels' targets.
        trials: Configurations that are judged for a group at most.
        quick: Only the first group of each kernel, by its first case.
        output: Where tables go; None for the spec's own folder, else where launches look first.

    Raises:
        CommandFailed: upstream Triton or the GPU is missing, or values are wrong.
        ValueError: a case cannot be read.
    """
    if problem := upstream_problem():
        raise CommandFailed(f"{chip} needs upstream Triton: {problem}")
    if chip == HERE:
        try:
            return _tune(names, OnDevice(Gpu()), shapes, trials, quick, output)
        except Unavailable as lacking:
            raise CommandFailed(f"there is no GPU to measure on: {lacking}") from lacking
    with _interpreter() as interpreter:
        return _tune(names, OnTarget(TARGETS[chip], interpreter), shapes, trials, quick, output)


def _tune(
    names: Sequence[str],
    place: "OnTarget | OnDevice",
    shapes: Sequence[str] | None,
    trials: int,
    quick: bool,
    output: Path | None,
) -> int:
    code = DONE
    for name in names or [name for name in KERNELS if not name.endswith("_cube")]:
        spec = load(name).on("cuda")
        found = groups(spec, [Case.parse(text, spec) for text in shapes or spec.targets[: 1 if quick else None]])
        for group in found:
            entries = list(_tuned(name, group, place, trials))
            if not entries:
                print(f"{group}: no configuration works on {place.chip}", flush=True)
                code = FAILED
                continue
            table = Table(spec.name, place.chip, source_digest(spec), _versions(), tuple(entries))
            print(f"  wrote {write(output or spec.tables or user_directory(), spec, table)}", flush=True)
    print(f"Times are {place.times}.")
    return code


class OnTarget:
    """A GPU that is not there: modelled times, values by the interpreter."""

    times, rung, word = MODELLED, RUNG, "modelled"

    def __init__(self, target: Target, interpreter: Interpreter) -> None:
        self.target, self.interpreter = target, interpreter
        self.chip, self.about = target.name, f"{target.name} ({target.device})"

    def judge(self, name: str, spec: KernelSpec) -> Ahead:
        return Ahead(name, spec, self.target, self.interpreter)

    def wrong(self, judge: Ahead, config: Record, case: Case) -> str | None:
        return self.interpreter.wrong(judge.name, config, case, self.target.cores)

    def details(self, judge: Ahead, config: Record, case: Case) -> dict[str, Any]:
        """What else an entry says."""
        resources = judge.resources(config, case)
        return {
            "registers": [each.registers for each in resources],
            "shared_bytes": [each.shared for each in resources],
            "occupancy": [round(occupancy(each, self.target), 4) for each in resources],
        }


class OnDevice:
    """The GPU that is here."""

    times, rung, word = MEASURED, "measured", "measured"

    def __init__(self, device: MeasuredDevice) -> None:
        self.device = device
        self.chip = self.about = device.name

    def judge(self, name: str, spec: KernelSpec) -> Measured:
        return Measured(spec, self.device)

    def wrong(self, judge: Measured, config: Record, case: Case) -> str | None:
        return judge.wrong(config, case)

    def details(self, judge: Measured, config: Record, case: Case) -> dict[str, Any]:
        return {}


def _tuned(name: str, group: Group, place: OnTarget | OnDevice, trials: int) -> Iterator[Entry]:
    """Entries for the cases of a group, their values checked on the hard cases that they allow.

    Raises:
        CommandFailed: values are wrong.
    """
    spec, judge = group.spec, place.judge(name, group.spec)
    search = Search(group, judge, trials)
    best = search.best()
    print(f"{group} on {place.about}:", flush=True)
    checked: set[Record] = set()
    for case, config in best.items():
        took = search.tried.get((config, case), math.inf)
        if math.isinf(took):
            continue
        if config not in checked:
            for hard in (*group.hard, group.smallest):
                if spec.allows(config, hard.shape()) and (problem := place.wrong(judge, config, hard)):
                    raise CommandFailed(f"{spec.name}, {config}: {problem}")
            checked.add(config)
        default = search.tried.get((group.default, case), math.inf)
        details = {
            "case": str(case),
            "times": place.times,
            f"{place.word}_us": round(took * 1e6, 3),
            f"{place.word}_us_of_default": round(default * 1e6, 3) if math.isfinite(default) else None,
            **place.details(judge, config, case),
        }
        print(f"  {spec.key(case.shape())}: {config}, {place.word} {took * 1e6:.2f} us", flush=True)
        yield Entry(spec.key(case.shape()), config, place.rung, details)


@contextmanager
def _interpreter() -> Iterator[Interpreter]:
    interpreter = Interpreter()
    try:
        yield interpreter
    finally:
        interpreter.close()


def _versions() -> dict[str, str]:
    import triton

    return {"triton": triton.__version__}
