"""What is counted of a kernel now, with its findings, beside what was accepted."""

from collections.abc import Mapping
from typing import Any

from cold_kernels.ascend.machine import Machine
from cold_kernels.spec import KernelSpec

from ..profile.findings.named import named
from ..profile.profiled import of_spec
from .cells import cells_of, counted
from .difference import difference


def facts_of(spec: KernelSpec, machine: Machine) -> dict[str, dict[str, Any]]:
    """By case the facts that `counting.facts` counts, and how often each finding is named.

    Raises:
        WrongResult: values are off.
        AscendError: a program does not compile, or does what the simulator refuses.
    """
    found = {}
    for cell in cells_of(spec, machine.chip.name):
        codes = [one["code"] for one in named(of_spec(spec, cell.case, machine, cell.config, ""))]
        findings = {code: codes.count(code) for code in sorted(set(codes))}
        found[str(cell.case)] = {**counted(cell), "findings": findings}
    return found


def differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> dict[str, str]:
    """By case what differs, as lines; the cases where nothing does are left out."""
    found = {case: difference(before.get(case), now.get(case)) for case in {**before, **now}}
    return {case: lines for case, lines in found.items() if lines}
