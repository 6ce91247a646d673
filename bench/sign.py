"""``python -m bench sign``: tables and counted layers go on being valid where the code changed and its results did not.

A table belongs to the text of a kernel, and a counted layer to all the code that counts it. Where a name, a docstring
or a file changed, the programs that the compiler makes are byte for byte the same, and so are the figures. This looks,
and writes the new digests.
"""

import argparse
from dataclasses import dataclass, replace
from pathlib import Path

from cold_kernels import tables
from cold_kernels.ascend.machine import Machine
from cold_kernels.command import DONE, FAILED
from cold_kernels.spec import KernelSpec
from tuner.search.recompiled import program_of

RECOUNTED = 4
"""Cells of each chip's layers that are counted again."""


def add_parser(subparsers: "argparse._SubParsersAction") -> None:
    """Registers the command."""
    parser = subparsers.add_parser(
        "sign",
        help="keep tables and counted layers whose results did not change with the code",
        description="Compiles every entry of the shipped tables and compares the programs with those that were judged; "
        "counts some of each chip's layers again and compares all figures. What is equal gets the digest of today's "
        "code. Exit code 1 if anything differs; nothing of that kernel or chip is written then.",
    )
    parser.add_argument("kernels", nargs="*", metavar="KERNEL", help="tables of these alone; default: all")
    parser.add_argument(
        "--recount",
        type=int,
        default=RECOUNTED,
        metavar="N",
        help=f"cells of each chip to count again, 0 to leave layers out; default: {RECOUNTED}",
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Runs the command; 0, or 1 if anything differs."""
    from cold_kernels.ascend.machine import ascend_machine
    from cold_kernels.specs import KERNELS, check_name, load

    from .layers.cases import LAYERS
    from .layers.choice_cases import CHOICES

    if arguments.recount < 0:
        raise ValueError(f"--recount {arguments.recount}: must be 0 or more")
    for name in arguments.kernels:
        check_name(name)
    same = True
    for chip in tables.shipped_chips():
        machine = ascend_machine(chip)
        for name in arguments.kernels or KERNELS:
            if not tables.path_of(tables.SHIPPED, chip, name).is_file():
                print(f"{name} on {chip}: no table", flush=True)
                continue
            found = signed(load(name), machine)
            print(f"{name} on {chip}: {found}", flush=True)
            same &= not found.different
    if arguments.recount:
        for kind, cells in (("layers", LAYERS), ("choices", CHOICES)):
            for chip, said in cells.sign(arguments.recount):
                print(f"{kind} on {chip}: {said}", flush=True)
                same &= not said.different
    return DONE if same else FAILED


@dataclass(frozen=True)
class SignedTable:
    """What came of a table.

    Args:
        entries: How many it has.
        new: Of how many the programs were not kept yet; they are now.
        different: Each entry whose programs are others than those that were judged.
        source: Whether the table was for another text of the kernel.
    """

    entries: int
    new: int
    different: tuple[str, ...]
    source: bool

    def __str__(self) -> str:
        if self.different:
            listed = "".join(f"\n  {entry}" for entry in self.different)
            return f"{len(self.different)} of {self.entries} entries compile to another program; tune again:{listed}"
        news = f", programs of {self.new} kept from now on" if self.new else ""
        return f"{self.entries} entries {'signed' if self.source else 'valid'}{news}"


def signed(spec: KernelSpec, machine: Machine, directory: Path = tables.SHIPPED) -> SignedTable:
    """Sign the table of a kernel for the machine's chip, if each entry compiles to the programs that were judged.

    Entries of a valid table that has no digests of programs get them.

    Raises:
        ValueError: a table for another text of the kernel has entries whose programs were never kept.
        CompilationFailed: an entry does not compile.
    """
    path = tables.path_of(directory, machine.chip.name, spec.name)
    table, source = tables.load(path, spec), tables.source_digest(spec)
    entries = tuple(replace(entry, programs=program_of(spec, machine, entry)) for entry in table.entries)
    new = sum(not entry.programs for entry in table.entries)
    if new and table.source != source:
        raise ValueError(f"{path} is for another text of {spec.name}, and {new} entries do not say what was judged")
    changed = [
        f"{before.shape}: {before.config}"
        for before, now in zip(table.entries, entries, strict=True)
        if before.programs not in ("", now.programs)
    ]
    if not changed and (new or table.source != source):
        tables.save(path, spec, replace(table, source=source, entries=entries))
    return SignedTable(len(entries), new, tuple(changed), table.source != source)
