"""What tables know already of a group: a search judges all of it again, a quick look keeps it."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from cold_kernels import tables
from cold_kernels.cases import Case
from cold_kernels.record import Record
from cold_kernels.spec import KernelSpec

from .group import Group, in_order


def warm_started(group: Group, chip: str, output: Path) -> tuple[Group, tuple[Case, ...]]:
    """The group with the cases that tables of the same source have for it, and what came in.

    Its warm start are the configurations that tables have for it on any chip, and where no table has it those of the
    kernel's other groups: what wins there is often good here, and a search may not come by it.

    A group shares the tunables that shape its sums, and a launch reads all its shapes from one table. Judged
    alone, one shape could therefore turn out the others' configurations, or hide them behind its own. Tables
    are those in ``output`` and the shipped one; of two entries for a shape the former's case counts, and a
    case of ``group`` counts before both.
    """
    spec = group.spec
    own = {spec.key(case.shape()): case for case in group.cases}
    found: dict[Record, Case] = {}
    for table, _ in tables.read(spec, chip, (output, tables.SHIPPED)):
        for entry in table.entries:
            if spec.group_of(entry.shape) != spec.group_of(group.cases[0].shape()):
                continue
            if entry.shape not in own and entry.shape not in found and (case := _case(spec, entry)):
                found[entry.shape] = case
    joined = replace(group, cases=in_order(spec, (*own.values(), *found.values())))
    legal = set(joined.legal)
    warm = dict.fromkeys(config for config in _configs(group, chip, output) if config in legal)
    warm.pop(joined.default, None)
    return replace(joined, warm_start=tuple(warm)), in_order(spec, found.values())


def beside_tables(
    group: Group, cases: tuple[Case, ...], chip: str, output: Path, versions: Mapping[str, str]
) -> Group | None:
    """``cases`` of the group alone, beside what launches find for it in tables; None where they find nothing.

    The entries of the table that launches read it from, ``output``'s or the shipped one, are kept: with their
    evidence as far as `tables.evidence_under` leaves it, without where they are for the other 16-bit type.
    What they have for ``cases`` is the warm start.
    """
    spec, dtype = group.spec, group.key.dtype
    found = tables.group_entries(spec, cases[0].shape(), tables.read(spec, chip, (output, tables.SHIPPED)))
    if found is None:
        return None
    table, _, entries = found
    kept, comparison = [], tables.comparison_of(spec, chip, versions)
    for entry in entries:
        if entry.shape.dtype != dtype:
            entry = tables.Entry(Record(entry.shape, dtype=dtype), entry.config, tables.RUNGS[0])
        else:
            evidence, _ = tables.evidence_under(entry, table, versions, comparison)
            entry = replace(entry, evidence=evidence)
        if spec.allows(entry.config, entry.shape):
            kept.append(entry)
    beside = replace(group, cases=in_order(spec, cases), kept=tuple(kept))
    legal = set(beside.legal)
    warm = dict.fromkeys(config for case in beside.cases if (config := beside.incumbent(case)) in legal)
    warm.pop(beside.default, None)
    return replace(beside, warm_start=tuple(warm))


def _configs(group: Group, chip: str, output: Path) -> list[Record]:
    """What tables have for the group, or else for the kernel: the chip's own first."""
    spec, found = group.spec, []
    chips = dict.fromkeys([chip, *sorted(path.name for path in tables.SHIPPED.glob("*") if path.is_dir())])
    for name in chips:
        for table, _ in tables.read(spec, name, (output, tables.SHIPPED)):
            found += table.entries
    own = spec.group_of(group.cases[0].shape())
    return [entry.config for entry in found if spec.group_of(entry.shape) == own] or [entry.config for entry in found]


def case_of(spec: KernelSpec, entry: tables.Entry) -> Case:
    """The case that an entry was tuned for; a plain one of its shape where it does not say."""
    plain = " ".join(f"{name}={size}" for name, size in entry.shape.items())
    return Case.parse(str(entry.details.get("case", plain)), spec)


def _case(spec: KernelSpec, entry: tables.Entry) -> Case | None:
    """As `case_of`; a plain one also where what was kept is no case of this shape, None for a shape without work."""
    for kept in (entry, replace(entry, details={})):
        try:
            case = case_of(spec, kept)
        except ValueError:
            continue
        if spec.key(case.shape()) == entry.shape and all(case.sizes.values()):
            return case
    return None
