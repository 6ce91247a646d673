"""What has been tuned: the entries of tables as launches read them, and their figures simulated anew."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from cold_kernels import tables
from cold_kernels.ascend import machine as machines
from cold_kernels.spec import KernelSpec
from cold_kernels.tables import Entry

from .display import Report, cells, heading
from .evaluate import Evaluator
from .tasks import CHIPS
from .timed import scored, timed_on
from .warm_start import case_of


def show(specs: Iterable[KernelSpec], chip: str, folder: Path | None, as_markdown: bool) -> None:
    """Print what launches on ``chip`` read, from ``folder`` or from where they look."""
    rows, configs, places = [], [], []
    for spec in specs:
        seen: set[tuple] = set()
        for table, path in tables.read(spec, chip, (folder,) if folder else None):
            # A launch reads a whole group from the first table that has it.
            entries = [entry for entry in table.entries if spec.group_of(entry.shape) not in seen]
            hidden = len(table.entries) - len(entries)
            places.append(f"{path}" + (f"; {hidden} of its entries not, as their groups are above" * bool(hidden)))
            seen |= {spec.group_of(entry.shape) for entry in entries}
            if as_markdown:
                rows += [ranged(spec.name, entry) for entry in with_ranges(spec, chip, entries)]
                continue
            rows += [cells(spec.name, entry) for entry in entries]
            configs += [f"{spec.name} {entry.shape}: {entry.config} ({entry.evidence})" for entry in entries]
    if as_markdown:
        print(markdown(heading(chip), RANGED, rows))
        return
    report = Report()
    if not rows:
        report.say(f"nothing is tuned for {chip} yet: python -m tuner autotune --chip {chip}")
        return
    report.say(heading(chip))
    report.table(rows)
    for line in (*configs, *(f"read {place}" for place in places)):
        report.say(line)


def refresh(specs: Iterable[KernelSpec], chip: str, folder: Path) -> None:
    """Write into the tables of ``folder`` the figures that the simulator gives their entries today.

    Raises:
        ValueError: a table was made with other compiler versions.
    """
    for spec in specs:
        for table, _ in tables.read(spec, chip, (folder,)):
            if table.versions != dict(machines.ascend_machine(chip).versions):
                raise ValueError(f"{spec.name} was tuned with {table.versions}; under other versions tune again")
            entries = tuple(retimed(spec, chip, table.entries))
            print(f"wrote {tables.write(folder, spec, replace(table, entries=entries))}")


def with_ranges(spec: KernelSpec, chip: str, entries: Sequence[Entry]) -> list[Entry]:
    """The entries as they are if their tables keep ranges over the plausible chips, else `retimed`."""
    if all("ranges" in entry.details for entry in entries):
        return list(entries)
    return retimed(spec, chip, entries)


def retimed(spec: KernelSpec, chip: str, entries: Sequence[Entry]) -> list[Entry]:
    """The entries with the figures that the simulator gives them today, on the chip and on the plausible ones.

    Raises:
        ToolchainMissing: the compiler is not installed.
        AscendError: a configuration does not compile, or does what the simulator refuses.
    """
    machine = machines.ascend_machine(chip)
    evaluator, chips = Evaluator(spec, machine), machine.chip.plausible(CHIPS)
    found = []
    for entry in entries:
        group = [spec.group_of(other.shape) == spec.group_of(entry.shape) for other in entries]
        shapes = [case_of(spec, other).shape() for other, same in zip(entries, group, strict=True) if same]
        default, case = spec.default_for(*shapes), case_of(spec, entry)
        mine = timed_on(evaluator, entry.config, case, chips)
        others = mine if entry.config == default else timed_on(evaluator, default, case, chips)
        row = scored(case, entry.config, mine, others, same=entry.config == default)
        found.append(replace(entry, details={**entry.details, **row.details()}))
    return found


RANGED = ("kernel", "shape", "default us", "best us", "gain", "wins", "worst regret", "x floor net", "bound")


def ranged(kernel: str, entry: Entry) -> list[str]:
    """One row under `RANGED`: each figure from its least to its most on the plausible chips."""
    row, ranges = cells(kernel, entry), entry.details["ranges"]
    columns = {"default us": "default_us", "best us": "best_us", "gain": "gain", "x floor net": "over_floor"}
    for column, name in columns.items():
        least, most = ranges.get(name, (None, None))
        form = "{:.2f} to {:.2f}" if name == "gain" else "{:.1f} to {:.1f}"
        row[RANGED.index(column)] = "-" if least is None else form.format(least, most)
    if row[RANGED.index("wins")] == "default":
        row[RANGED.index("gain")] = "-"
    return row


def markdown(title: str, header: tuple[str, ...], rows: list[list[str]]) -> str:
    """A table with its title above it, columns padded so that the source can be read too."""
    widths = [max(len(row[column]) for row in (header, *rows)) for column in range(len(header))]
    lines = [[name.ljust(width) for name, width in zip(row, widths, strict=True)] for row in (header, *rows)]
    lines.insert(1, ["-" * width for width in widths])
    return "\n".join([f"**{title}**", "", *(f"| {' | '.join(line)} |" for line in lines)])
