"""Tuned configurations on disk: the only reader and writer of ``<chip>/<kernel>.json``."""

import functools
import json
import math
import os
import warnings
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from . import compared
from .compared import Comparison
from .files import write_whole
from .record import Record
from .source import kernel_source
from .spec import KernelSpec

FORMAT = 1
SHIPPED = Path(__file__).with_name("tables")
RUNGS = (
    "legal",
    "compiles",
    "correct (interpreter)",
    "correct (compiled)",
    "simulated",
    "measured",
)
"""Rungs of evidence, each including those before it."""


@dataclass(frozen=True)
class Entry:
    """The configuration chosen for one shape.

    Args:
        shape: Dimension sizes and ``dtype``.
        config: The tunables' values.
        evidence: One of `RUNGS`.
        details: Figures that led to the choice, for people.
        programs: Digest of the compiled programs that were judged (`ascend.machine.programs_digest`); "" if not kept.
    """

    shape: Record
    config: Record
    evidence: str
    details: dict[str, Any] = field(default_factory=dict)
    programs: str = ""


@dataclass(frozen=True)
class Table:
    """What was tuned for one kernel on one chip; it belongs to the kernel's ``source`` and to no other."""

    kernel: str
    chip: str
    source: str
    versions: dict[str, str]
    entries: tuple[Entry, ...]


@dataclass(frozen=True)
class Selection:
    """A configuration to launch with, and where it comes from."""

    config: Record
    evidence: str
    reason: str


def source_digest(spec: KernelSpec) -> str:
    """Hash of the kernel's Triton source; a table made for another one does not apply."""
    kernels = {id(stage.kernel): stage.kernel for stage in spec.stages}.values()
    return "-".join(dict.fromkeys(kernel_source(kernel).digest[:16] for kernel in kernels))


def user_directory() -> Path:
    """Where ``autotune`` writes and launches look first: ``COLD_KERNELS_TABLES``, else XDG's data home."""
    if chosen := os.environ.get("COLD_KERNELS_TABLES"):
        return Path(chosen)
    home = os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share"
    return Path(home) / "cold-kernels" / "tables"


def shipped_chips() -> tuple[str, ...]:
    """The chips that tables are shipped for."""
    return tuple(sorted(path.name for path in SHIPPED.iterdir() if path.is_dir()))


def places(spec: KernelSpec) -> tuple[Path, ...]:
    """Where tables of a kernel are looked for, in this order: the user's, those that travel with it, the shipped."""
    return (user_directory(), *filter(None, [spec.tables]), SHIPPED)


def path_of(directory: Path, chip: str, kernel: str) -> Path:
    return directory / chip / f"{kernel}.json"


def write(directory: Path, spec: KernelSpec, table: Table) -> Path:
    """Write ``table`` atomically.

    Entries of an older table of the same source are kept where the new one has no such shape, unless they
    sum in another order than the new ones of their group: a row's bits must not depend on the batch. Under
    other compiler versions than the new table's they have the evidence that `evidence_under` says.
    """
    path = path_of(directory, table.chip, table.kernel)
    kept: tuple[Entry, ...] = ()
    if path.exists() and (old := _read(path, spec, table.chip)):
        mine = {entry.shape for entry in table.entries}
        shaping = {spec.group_of(entry.shape): spec.shaping(entry.config) for entry in table.entries}
        comparison = comparison_of(spec, table.chip, table.versions)
        kept = tuple(
            replace(entry, evidence=evidence_under(entry, old, table.versions, comparison)[0])
            for entry in old.entries
            if entry.shape not in mine
            and shaping.get(spec.group_of(entry.shape), spec.shaping(entry.config)) == spec.shaping(entry.config)
        )
    return save(path, spec, replace(table, entries=(*kept, *table.entries)))


def save(path: Path, spec: KernelSpec, table: Table) -> Path:
    """Write ``table`` as it is, whole or not at all; entries in the order of their shapes."""
    record = asdict(replace(table, entries=()))
    record["entries"] = [
        dict(shape=dict(e.shape), config=dict(e.config), evidence=e.evidence, details=e.details, programs=e.programs)
        for e in sorted(table.entries, key=lambda e: (spec.group_of(e.shape), *e.shape.values()))
    ]
    write_whole(path, json.dumps({"format": FORMAT, **record}, indent=1) + "\n")
    read.cache_clear()
    return path


@functools.cache
def read(spec: KernelSpec, chip: str, directories: tuple[Path, ...] | None = None) -> tuple[tuple[Table, Path], ...]:
    """The tables for this kernel, source and chip, by default the user's, then its own, then the shipped one.

    A broken or foreign table is skipped with one warning.
    """
    paths = [path_of(directory, chip, spec.name) for directory in directories or places(spec)]
    found = ((_read(path, spec, chip), path) for path in dict.fromkeys(paths) if path.exists())
    return tuple((table, path) for table, path in found if table)


def select(spec: KernelSpec, shape: Record, chip: str, versions: dict[str, str] | None = None) -> Selection:
    """The configuration for a launch: exact shape, nearest bucket, what the other 16-bit type has, default.

    Tunables in ``spec.invariant`` follow from the group's sizes and dtype alone, whatever the other
    dimensions. A table made with other compiler ``versions`` keeps its configurations; their evidence is what
    `evidence_under` says, and those that were seen not to compile are not taken.
    """
    tables, comparison = read(spec, chip), comparison_of(spec, chip, versions)
    if found := group_entries(spec, shape, tables):
        table, path, entries = found
        if comparison and versions != table.versions:
            entries = [entry for entry in entries if entry.programs not in comparison.broken]
        if not entries:
            reason = f"{versions_text(versions)} compiles nothing that {path} has for {shape}"
            return Selection(spec.default_for(shape), RUNGS[0], f"default: {reason}")
        entry = nearest(spec, entries, shape)
        exact = entry.shape == spec.key(shape)
        reason = f"{'exact shape' if exact else f'nearest bucket, {entry.shape},'} in {path}"
        evidence, why = evidence_under(entry, table, versions, comparison)
        if entry.shape.dtype != shape.dtype:
            evidence = RUNGS[0]
        return Selection(entry.config, evidence, f"{reason}; {why}" if why else reason)
    # A configuration of another group, however near, may not fit the unified buffer in this one.
    reason = f"{tables[0][1]} has nothing for {shape}" if tables else f"no table of this kernel for {chip}"
    return Selection(spec.default_for(shape), RUNGS[0], f"default: {reason}")


def evidence_under(
    entry: Entry, table: Table, versions: dict[str, str] | None, comparison: Comparison | None
) -> tuple[str, str]:
    """An entry's evidence where these compiler versions are installed, and what they have to do with it.

    Versions that made the table, or None of them, leave it as it is, and there is nothing to say. Under others the
    program decides: the entry is `RUNGS[0]` unless it was compared, and came out byte for byte the same.

    Args:
        entry: Of the table.
        table: Its versions are those that the entry was judged with.
        versions: Those that are installed.
        comparison: From `comparison_of`, of the same versions.
    """
    if versions is None or versions == table.versions:
        return entry.evidence, ""
    about = f"tuned with {versions_text(table.versions)}; {versions_text(versions)}"
    if comparison:
        if entry.programs in comparison.same:
            return entry.evidence, f"{about} makes the same program"
        if entry.programs in comparison.different:
            return RUNGS[0], f"{about} makes another program"
        if entry.programs in comparison.broken:
            return RUNGS[0], f"{about} does not compile it, and launches take another"
    return RUNGS[0], f"{about} is installed, and the programs were not compared"


def comparison_of(spec: KernelSpec, chip: str, versions: Mapping[str, str] | None) -> Comparison | None:
    """What `compare_programs` kept in the user's directory, if it is of these versions and of the kernel's text."""
    kept = compared.kept(compared.place(user_directory(), chip, spec.name))
    if kept is None or (kept.versions, kept.source) != (versions, source_digest(spec)):
        return None
    return kept


def compare_programs(
    spec: KernelSpec, chip: str, versions: dict[str, str], program_of: Callable[[Entry], str]
) -> Comparison | None:
    """Compare what tables of other compiler versions hold with what the installed one makes, and keep what was found.

    Args:
        spec: The kernel.
        chip: Whose tables are looked at, the user's and the shipped one.
        versions: The compiler's parts that ``program_of`` compiles with.
        program_of: The digest of an entry's program, as in `Entry.programs`; "" where it does not compile.

    Returns:
        None if all tables were made with these versions, or there are none.
    """
    others = [table for table, _ in read(spec, chip) if table.versions != versions]
    found = {(entry.programs, program_of(entry)) for table in others for entry in table.entries if entry.programs}
    if not found:
        return None
    broken = frozenset(before for before, now in found if not now)
    different = frozenset(before for before, now in found if now != before) - broken
    same = frozenset(before for before, _ in found) - different - broken
    comparison = Comparison(versions, source_digest(spec), same, different, broken)
    compared.keep(compared.place(user_directory(), chip, spec.name), comparison)
    return comparison


def versions_text(versions: dict[str, str]) -> str:
    """Compiler versions for people: ``triton-ascend 3.2.0, ascendnpu-ir 1.2.0``."""
    return ", ".join(f"{name} {version}" for name, version in versions.items()) or "no compiler"


def group_entries(
    spec: KernelSpec, shape: Record, tables: Iterable[tuple[Table, Path]]
) -> tuple[Table, Path, list[Entry]] | None:
    """The first table with entries for the shape's group, else for that of the other 16-bit type, and the entries."""
    for like in filter(None, (shape, _sibling(shape))):
        for table, path in tables:
            entries = [entry for entry in table.entries if spec.group_of(entry.shape) == spec.group_of(like)]
            if entries:
                return table, path, entries
    return None


def nearest(spec: KernelSpec, entries: Iterable[Entry], shape: Record) -> Entry:
    """Of a group's entries the one that a launch of ``shape`` takes."""
    return min(entries, key=lambda entry: _distance(entry.shape, shape, spec.bucket))


def _sibling(shape: Record) -> Record | None:
    """The shape in the other type of 16 bits: tiles take as much of the buffer, and instructions as long."""
    other = {"fp16": "bf16", "bf16": "fp16"}.get(shape.dtype)
    return Record(shape, dtype=other) if other else None


def _distance(one: Record, other: Record, dims: Iterable[str]) -> float:
    return sum(abs(math.log2((one[dim] + 1) / (other[dim] + 1))) for dim in dims)


def _read(path: Path, spec: KernelSpec, chip: str) -> Table | None:
    try:
        table = load(path, spec)
        if (table.kernel, table.chip) != (spec.name, chip):
            raise ValueError(f"it is for {table.kernel} on {table.chip}")
        if table.source != source_digest(spec):
            raise ValueError("it was tuned for another source of this kernel; tune again")
        return table
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as problem:
        warnings.warn(f"skipping {path}: {problem!s}", stacklevel=2)
        return None


def load(path: Path, spec: KernelSpec) -> Table:
    """The table in a file, whatever source and chip it is for; its entries are legal and agree within their groups.

    Raises:
        OSError, ValueError, KeyError, TypeError, AttributeError: it cannot be read, or is no table of this kernel.
    """
    data = json.loads(path.read_text())
    if data.get("format") != FORMAT:
        raise ValueError(f"format {data.get('format')!r}, not {FORMAT}")
    entries = []
    shaping: dict[tuple, tuple] = {}
    for item in data["entries"]:
        entry = Entry(
            Record(item["shape"]), Record(item["config"]), item["evidence"], item.get("details", {}),
            item.get("programs", ""),
        )  # fmt: skip
        if set(entry.shape) != {*spec.group, *spec.bucket, "dtype"}:
            raise ValueError(f"entry for {entry.shape} names other dimensions than {spec.name} is tuned by")
        for dim in (*spec.group, *spec.bucket):
            if type(entry.shape[dim]) is not int or entry.shape[dim] < 0:
                raise ValueError(f"{dim}={entry.shape[dim]!r} is no size")
        if entry.evidence not in RUNGS:
            raise ValueError(f"unknown evidence {entry.evidence!r}")
        for name, tunable in spec.space.items():
            if (type(entry.config.get(name)), entry.config.get(name)) not in [(type(v), v) for v in tunable.values]:
                raise ValueError(f"{name}={entry.config.get(name)!r} is none of {tunable.values}")
        if illegal := [name for name, violation in spec.violations(entry.config, entry.shape).items() if violation > 0]:
            raise ValueError(f"{entry.config} breaks {', '.join(illegal)} for {entry.shape}")
        chosen = spec.shaping(entry.config)
        if shaping.setdefault(spec.group_of(entry.shape), chosen) != chosen:
            raise ValueError(f"{', '.join(spec.invariant)} differ among shapes like {entry.shape}")
        entries.append(entry)
    return Table(data["kernel"], data["chip"], data["source"], data["versions"], tuple(entries))
