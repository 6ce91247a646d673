"""``python -m tuner autotune --chip sm_90``: tables for a GPU that is not there.

An entry has compiled for the target, and the interpreter has found its values right. Its times are modelled, and say
so.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from cold_kernels.cases import Case
from cold_kernels.command import DONE, FAILED, CommandFailed
from cold_kernels.gpu.compiled import upstream_problem
from cold_kernels.gpu.occupancy import occupancy
from cold_kernels.gpu.targets import Target
from cold_kernels.record import Record
from cold_kernels.spec import KernelSpec
from cold_kernels.specs import KERNELS, load
from cold_kernels.tables import Entry, Table, source_digest, user_directory, write

from ..search.group import Group, groups
from .ahead import Ahead
from .interpreted import Interpreter
from .search import Search

RUNG = "correct (interpreter)"
"""What an entry has reached: it compiles for the target, and its text computes what float64 does."""
MODELLED = "modelled from bytes, occupancy and waves; nothing was measured"


def tune(
    names: Sequence[str], target: Target, shapes: Sequence[str] | None, trials: int, quick: bool, output: Path | None
) -> int:
    """Search every group of each kernel's targets and write tables; the exit code.

    Args:
        names: Kernels, as `specs.load` takes them; by default those that operators launch on GPUs.
        shapes: Cases in place of the kernels' targets.
        trials: Configurations that are judged for a group at most.
        quick: Only the first group of each kernel, by its first case.
        output: Where tables go; None for the spec's own folder, else where launches look first.

    Raises:
        CommandFailed: upstream Triton is missing.
        ValueError: a case cannot be read.
    """
    if problem := upstream_problem():
        raise CommandFailed(f"{target.name} needs upstream Triton: {problem}")
    code = DONE
    with _interpreter() as interpreter:
        for name in names or [name for name in KERNELS if not name.endswith("_cube")]:
            spec = load(name).on("cuda")
            found = groups(spec, [Case.parse(text, spec) for text in shapes or spec.targets[: 1 if quick else None]])
            for group in found:
                entries = list(_tuned(name, group, target, trials, interpreter))
                if not entries:
                    print(f"{group}: no configuration compiles without spills and fits {target.name}", flush=True)
                    code = FAILED
                    continue
                table = Table(spec.name, target.name, source_digest(spec), _versions(), tuple(entries))
                print(f"  wrote {write(output or spec.tables or user_directory(), spec, table)}", flush=True)
    print(f"Times are {MODELLED}.")
    return code


def _tuned(name: str, group: Group, target: Target, trials: int, interpreter: Interpreter) -> Iterator[Entry]:
    spec, judge = group.spec, Ahead(name, group.spec, target, interpreter)
    search = Search(group, judge, trials)
    best = search.best()
    print(f"{group} on {target.name} ({target.device}):", flush=True)
    checked: set[Record] = set()
    for case, config in best.items():
        took = search.tried.get((config, case), float("inf"))
        if took == float("inf"):
            continue
        if config not in checked:
            _check(name, spec, config, group, target, interpreter)
            checked.add(config)
        default = search.tried.get((group.default, case), float("inf"))
        resources = judge.resources(config, case)
        details = {
            "case": str(case),
            "times": MODELLED,
            "modelled_us": round(took * 1e6, 3),
            "modelled_us_of_default": round(default * 1e6, 3) if default != float("inf") else None,
            "registers": [each.registers for each in resources],
            "shared_bytes": [each.shared for each in resources],
            "occupancy": [round(occupancy(each, target), 4) for each in resources],
        }
        print(f"  {spec.key(case.shape())}: {config}, modelled {took * 1e6:.2f} us", flush=True)
        yield Entry(spec.key(case.shape()), config, RUNG, details)


def _check(name: str, spec: KernelSpec, config: Record, group: Group, target: Target, interpreter: Interpreter) -> None:
    """Interpret the hard cases that the configuration allows, and the group's smallest.

    Raises:
        CommandFailed: values are wrong.
    """
    for case in (*group.hard, group.smallest):
        if spec.allows(config, case.shape()) and (problem := interpreter.wrong(name, config, case, target.cores)):
            raise CommandFailed(f"{spec.name}, {config}: {problem}")


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
