"""What launches take under the compiler that is installed here, with which evidence, and why."""

import functools
from collections import Counter
from collections.abc import Callable

from cold_kernels import tables
from cold_kernels.ascend.errors import CompilationFailed
from cold_kernels.ascend.installation import toolchain_problem, toolchain_versions
from cold_kernels.ascend.machine import Machine
from cold_kernels.spec import KernelSpec
from cold_kernels.specs import KERNELS, load

from .search.recompiled import program_of


def launch_lines() -> list[str]:
    """A line for each chip that tables are shipped for, or for several of which the same is to be said; and one with
    what to do where programs were not compared."""
    versions, chips_of, open_ = toolchain_versions(), {}, []
    for chip in tables.shipped_chips():
        counted = _counted(chip, versions)
        said = ", ".join(
            f"{_number(count, 'tuned configuration')} as {_weight(*kind)}" for kind, count in counted.items()
        )
        chips_of.setdefault(said, []).append(chip)
        open_ += [chip] if any("not compared" in why for _, why in counted) else []
    lines = [f"Launches on {', '.join(chips)} take {said}" for said, chips in chips_of.items()]
    return [*lines, _remedy(open_)] if open_ else lines


def compare(machine: Machine, progress: Callable[[str], None]) -> None:
    """Compile again what the tables of the machine's chip hold of other compiler versions, and keep what came out.

    Args:
        machine: Its compiler is the installed one.
        progress: Told of each kernel once it is done.
    """
    for name in KERNELS:
        spec = load(name)
        again = functools.partial(today, spec, machine)
        found = tables.compare_programs(spec, machine.chip.name, dict(machine.versions), again)
        if found is None:
            progress(f"{name}: its tables were made with {tables.versions_text(dict(machine.versions))}")
        else:
            same, other, broken = map(len, (found.same, found.different, found.broken))
            progress(f"{name}: {_number(same, 'program')} the same, {other} different, {broken} that do not compile")


def today(spec: KernelSpec, machine: Machine, entry: tables.Entry) -> str:
    """The digest of an entry's program today; "" where it does not compile."""
    try:
        return program_of(spec, machine, entry)
    except CompilationFailed:
        return ""


def _counted(chip: str, versions: dict[str, str]) -> Counter[tuple[str, str]]:
    """How many entries of the tables that launches on a chip read have each evidence, for each reason."""
    counted = Counter()
    for name in KERNELS:
        spec = load(name)
        comparison = tables.comparison_of(spec, chip, versions)
        for table, _ in tables.read(spec, chip):
            counted.update(tables.evidence_under(entry, table, versions, comparison) for entry in table.entries)
    return counted


def _number(count: int, what: str) -> str:
    return f"{count} {what}{'s' * (count != 1)}"


def _weight(evidence: str, why: str) -> str:
    return f"{evidence} ({why or 'tuned with what is installed'})"


def _remedy(chips: list[str]) -> str:
    """What to do for programs that were not compared."""
    if (problem := toolchain_problem()) is not None:
        return f"To compare the programs takes the open compiler, which is not whole here: {problem.splitlines()[0]}"
    return f"python -m tuner doctor --programs {chips[0]} compares the programs, which takes minutes"
