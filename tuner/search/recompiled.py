"""The programs of a table's entries, compiled again."""

from cold_kernels.ascend.machine import Machine, programs_digest
from cold_kernels.spec import KernelSpec
from cold_kernels.tables import Entry

from .warm_start import case_of


def program_of(spec: KernelSpec, machine: Machine, entry: Entry) -> str:
    """The digest of what the machine's compiler makes of an entry today, as in `Entry.programs`.

    Raises:
        CompilationFailed: it does not compile.
    """
    args = case_of(spec, entry).tensors(spec, blank=True)
    calls = spec.calls(args, entry.config, "ascend", machine.chip.vector_cores)
    return programs_digest(machine, calls)
