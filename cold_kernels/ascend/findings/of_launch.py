"""All findings of one launch, dearest first."""

from typing import Any

from .exposed_latency import exposed_latency
from .finding import Finding
from .grid_beyond_cores import grid_beyond_cores
from .launch import ProfiledLaunch
from .masked_branches import masked_branches
from .place import place, source
from .scalar_fallback import scalar_fallback
from .short_copies import short_copies
from .turned_operand import turned_operand
from .waiting_cube import waiting_cube

OF_A_LAUNCH = (
    scalar_fallback, short_copies, grid_beyond_cores, masked_branches, exposed_latency, turned_operand, waiting_cube
)  # fmt: skip


def of_launch(launch: ProfiledLaunch) -> list[Finding]:
    """The findings of a launch."""
    found = [finding for find in OF_A_LAUNCH for finding in find(launch)]
    return sorted(found, key=lambda finding: -finding.cycles)


def described(finding: Finding, total: float, frequency: float) -> dict[str, Any]:
    """A finding for JSON; ``docs/simulator.md`` documents the keys.

    Args:
        total: Cycles that its share is taken of.
        frequency: Of the chip, Hz.
    """
    file, _, line = place(finding.place).rpartition(":")
    cycles = finding.cycles
    return {
        "code": finding.code,
        "function": finding.function,
        "file": file,
        "line": int(line),
        "text": source(finding.place),
        "cycles": cycles,
        "us": None if cycles is None else cycles / frequency * 1e6,
        "share": None if cycles is None else cycles / total if total else 0.0,
        "reason": finding.reason,
        "help": finding.help,
    }
