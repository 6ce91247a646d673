"""The unit of search: the cases that must share the tunables which shape a sum."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from cold_kernels import tables
from cold_kernels.cases import Case
from cold_kernels.record import Record
from cold_kernels.source import kernel_source
from cold_kernels.spec import KernelSpec
from cold_kernels.tables import Entry

from .domain import Domain


@dataclass(frozen=True, eq=False)
class Group:
    """Cases of a kernel with the same ``spec.group`` sizes and dtype; tuned together in one study.

    Args:
        spec: The kernel.
        key: Sizes of ``spec.group``, and ``dtype``.
        cases: What is timed, ordered by what a table calls them.
        warm_start: Configurations that tables have for it; they are tried besides what a search is asked for.
        kept: What a table has for the group where that is not judged again: for ``cases`` only what is faster takes
            its place, and only with its shared tunables, as launches read all of a group from one table.
    """

    spec: KernelSpec
    key: Record
    cases: tuple[Case, ...]
    warm_start: tuple[Record, ...] = ()
    kept: tuple[Entry, ...] = ()

    def __str__(self) -> str:
        return f"{self.spec.name} {self.key}"

    @cached_property
    def legal(self) -> tuple[Record, ...]:
        """The configurations that every case allows, in the order of the space.

        Beside entries that are kept these are the default, which gains are told by, and what shapes sums as they do.
        """
        found = self.spec.configs(*(case.shape() for case in self.cases))
        return tuple(config for config in found if config == self.default or self.fits(config))

    def fits(self, config: Record) -> bool:
        """Whether a table may have it beside the entries that are kept."""
        return not self.kept or self.shaping(config) == self.shaping(self.kept[0].config)

    def incumbent(self, case: Case) -> Record | None:
        """What launches run on ``case`` by the entries that are kept; None without any."""
        return tables.nearest(self.spec, self.kept, case.shape()).config if self.kept else None

    @cached_property
    def default(self) -> Record:
        """The spec's default, or the legal configuration fewest steps away from it."""
        return self.spec.default_for(*(case.shape() for case in self.cases))

    @cached_property
    def domain(self) -> Domain:
        """What a search chooses from."""
        values = {name: tunable.values for name, tunable in self.spec.space.items()}
        return Domain(values, self.legal, self.default, self.warm_start)

    def point(self, config: Record) -> tuple[int, ...]:
        """As `Domain.point`."""
        return self.domain.point(config)

    def shaping(self, config: Record) -> tuple:
        """The choices that all cases of the group must share."""
        return self.spec.shaping(config)

    @cached_property
    def smallest(self) -> Case:
        """The case with the fewest elements: the cheapest to compute."""
        return min(self.cases, key=work)

    @cached_property
    def hard(self) -> tuple[Case, ...]:
        """The spec's hard cases in the group's dtype, the cheapest first."""
        cases = [Case.parse(f"{text} dtype={self.key.dtype}", self.spec) for text in self.spec.hard]
        return tuple(sorted(cases, key=work))

    def declaration(self) -> str:
        """Digest of the kernel's files, its space and the cases: what a trial's time means."""
        files = {kernel_source(stage.kernel).file for stage in self.spec.stages}
        parts = [Path(file).read_bytes() for file in sorted(files)]
        parts += [said.encode() for said in (repr(dict(self.spec.space)), *map(str, self.cases))]
        return hashlib.sha256(b"\0".join(parts)).hexdigest()


def groups(spec: KernelSpec, cases: Iterable[Case]) -> list[Group]:
    """The groups that ``cases`` fall into, in order of appearance.

    Raises:
        ValueError: two cases are one to a table, a size is 0, or no configuration is legal for a group.
    """
    gathered: dict[Record, dict[Record, Case]] = {}
    for case in cases:
        if empty := spec.empty(case.sizes):
            raise ValueError(f"{spec.name}: nothing to tune for {case}: {', '.join(f'{dim}=0' for dim in empty)}")
        key = Record({dim: case.sizes[dim] for dim in spec.group}, dtype=case.dtype)
        mine = gathered.setdefault(key, {})
        tuned_by = spec.key(case.shape())
        if tuned_by in mine:
            other = mine[tuned_by]
            raise ValueError(f"{spec.name}: {case} and {other} are both {tuned_by} to a table; name one")
        mine[tuned_by] = case
    found = [Group(spec, key, in_order(spec, mine.values())) for key, mine in gathered.items()]
    for group in found:
        if not group.legal:
            raise ValueError(f"{group}: no configuration is legal for {' and '.join(map(str, group.cases))}")
    return found


def in_order(spec: KernelSpec, cases: Iterable[Case]) -> tuple[Case, ...]:
    """Cases of one group by their sizes, so that the same ones are the same search in whatever order they come."""
    return tuple(sorted(cases, key=lambda case: [case.sizes[dim] for dim in spec.bucket]))


def work(case: Case) -> int:
    """Product of the sizes, a stand-in for what computing the case costs."""
    product = 1
    for size in case.sizes.values():
        product *= max(1, size)
    return product
