"""One run of ``python -m tuner exhaust``: a kernel's space, recorded, with progress."""

import math
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from cold_kernels.ascend.machine import Machine
from cold_kernels.specs import load

from ..search.display import Report
from ..search.group import Group
from ..search.pace import expected
from ..search.pool import InProcess, Pool, Processes
from ..search.session import groups_of
from ..search.tasks import Plan, Workplace
from .recording import begun, record
from .space import RecordedSpace

LINE_EVERY = 50
"""Configurations between two lines of progress where there is no terminal."""


def exhaust(
    kernel: str,
    shapes: Sequence[str] | None,
    chip: str,
    machine_for: Callable[[str], Machine],
    path: Path,
    jobs: int,
    fresh: bool,
) -> None:
    """Record a kernel's space in ``path``, or what is missing there; prints as it goes.

    Args:
        shapes: In the language of `cold_kernels.cases.Case`, all of one group; None: the spec's typical one.
        machine_for: Makes the machine, called with ``chip``; a function at the top level of a module.
        fresh: Whether to compile anew what the disk has.

    Raises:
        ValueError: there is no such kernel, chip or shape, or the file is of something else.
        ToolchainMissing: the compiler is not installed, or went away.
        OSError: the file cannot be written.
    """
    spec = load(kernel)
    machine = machine_for(chip)
    groups = groups_of(spec, shapes or [spec.typical], machine.chip.vector_cores)
    if len(groups) > 1:
        listed = ", ".join(map(str, groups))
        raise ValueError(f"{spec.name}: these shapes are of {len(groups)} groups ({listed}), and a file has one")
    (group,) = groups
    space = begun(group, kernel, machine, path)
    report = Report()
    report.say(f"SIMULATED (HIVM level), device time, {machine.chip.name}; {_size(space)}")
    seen = [math.fsum(each.seconds.values()) for each in space.recorded.values()]
    left = space.legal - len(space.recorded)
    if left:
        earlier = f"{len(space.recorded)} are recorded, the other " if space.recorded else ""
        report.say(f"{group}: {earlier}{left} take {expected(left, len(group.cases), jobs, seen)}")
    with ExitStack() as held:
        if fresh:
            held.enter_context(_empty_cache())
        pool = held.enter_context(_pool(kernel, group, machine, machine_for, chip, jobs))
        space = record(space, group, 0, pool, path, held.enter_context(_shown(report, space)))
    usable = space.usable
    report.say(f"{len(usable)} of {space.legal} configurations can be used; wrote {path}")
    if usable:
        best = min(usable, key=usable.get)
        report.say(f"best {usable[best]:.2f} us: {best}; within 2 %: {space.near(0.02)}")


def _size(space: RecordedSpace) -> str:
    rejected = space.about["rejected"]
    names = f", by {' and '.join(rejected)}" if rejected else ""
    return f"{space.legal} of {space.size} configurations are legal{names}"


def _pool(
    kernel: str, group: Group, machine: Machine, machine_for: Callable[[str], Machine], chip: str, jobs: int
) -> Pool:
    if jobs == 1:
        return InProcess(Workplace(machine, [group]))
    return Processes(Plan.of(machine_for, chip, [(kernel, group)]), jobs)


@contextmanager
def _empty_cache() -> Iterator[None]:
    """The compiler's outcomes in a folder of their own, which goes away."""
    before = os.environ.get("COLD_KERNELS_CACHE")
    with TemporaryDirectory(prefix="exhaust-") as folder:
        os.environ["COLD_KERNELS_CACHE"] = folder
        try:
            yield
        finally:
            if before is None:
                del os.environ["COLD_KERNELS_CACHE"]
            else:
                os.environ["COLD_KERNELS_CACHE"] = before


@contextmanager
def _shown(report: Report, space: RecordedSpace) -> Iterator[Callable[[int], None]]:
    """Progress: a bar with the time left, or a line now and then."""
    bar = Progress(
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(),
        console=report.console, disable=report.plain,
    )  # fmt: skip
    with bar:
        task = bar.add_task(space.name, total=space.legal, completed=len(space.recorded))

        def show(done: int) -> None:
            bar.update(task, completed=done)
            if report.plain and (done % LINE_EVERY == 0 or done == space.legal):
                report.say(f"{space.name}: {done}/{space.legal}")

        yield show
