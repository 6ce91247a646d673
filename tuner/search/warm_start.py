"""What tables know already: of a group it is judged again, together with what is asked for; the rest is tried."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from cold_kernels import tables
from cold_kernels.cases import Case
from cold_kernels.record import Record
from cold_kernels.spec import KernelSpec

from .group import Group, in_order


def with_known(group: Group, chip: str, output: Path) -> tuple[Group, tuple[Case, ...]]:
    """The group with the cases that tables of the same source have for it, and what came in.

    Its known configurations are those that tables have for the kernel, for other groups and chips too: what wins
    there is often good here, and a search may not come by it.

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
    known = dict.fromkeys(config for config in _configs(spec, chip, output) if config in legal)
    known.pop(joined.default, None)
    return replace(joined, known=tuple(known)), in_order(spec, found.values())


def _configs(spec: KernelSpec, chip: str, output: Path) -> Iterator[Record]:
    """What tables have for a kernel: the chip's own first."""
    chips = dict.fromkeys([chip, *sorted(path.name for path in tables.SHIPPED.glob("*") if path.is_dir())])
    for name in chips:
        for table, _ in tables.read(spec, name, (output, tables.SHIPPED)):
            for entry in table.entries:
                yield entry.config


def _case(spec: KernelSpec, entry: tables.Entry) -> Case | None:
    """The case that the entry was tuned for, or a plain one of its shape; None for a shape that has no work."""
    plain = " ".join(f"{name}={size}" for name, size in entry.shape.items())
    for text in (entry.details.get("case", plain), plain):
        try:
            case = Case.parse(str(text), spec)
        except ValueError:
            continue
        if spec.key(case.shape()) == entry.shape and all(case.sizes.values()):
            return case
    return None
