"""What ran on the simulated device, in plain values: from test processes to the one that reports."""

import os
from collections.abc import Iterable
from typing import Any

from ..ascend.errors import AscendError
from ..ascend.findings.launch import ProfiledLaunch
from ..ascend.findings.of_launch import described, of_launch
from .session import Kernel, Session

ADDED = ("launches", "device_us", "simulate_seconds", "compilations", "compile_seconds")
"""Fields of a kernel that add up over processes."""


def record(session: Session) -> dict[str, Any]:
    """A session for JSON: ``chip``, and ``kernels``, the one of the most device time first.

    A kernel has its ``name`` and ``file``; ``launches``; ``device_us``, simulated device time of all of them in
    microseconds; ``simulate_seconds``, ``compilations`` and ``compile_seconds`` of this machine's clock; ``hazards``,
    in words; and of its ``longest`` launch ``us``, ``grid``, ``bound`` (the busiest pipe) and ``findings``, with the
    keys that ``docs/simulator.md`` documents.
    """
    kernels = [_kernel(kernel) for kernel in session.kernels.values()]
    return {"chip": session.chip.name, "clock": "simulated device time", "kernels": _dearest_first(kernels)}


def merged(records: Iterable[dict[str, Any]]) -> dict[str, Any]:
    """One record of what several processes ran."""
    records = list(records)
    kernels: dict[tuple[str, str], dict[str, Any]] = {}
    for found in (kernel for one in records for kernel in one["kernels"]):
        key = found["name"], found["file"]
        if key not in kernels:
            kernels[key] = dict(found)
            continue
        kept = kernels[key]
        kept.update({name: kept[name] + found[name] for name in ADDED})
        kept["hazards"] = sorted({*kept["hazards"], *found["hazards"]})
        kept["longest"] = max(kept["longest"], found["longest"], key=lambda launch: launch["us"])
    return {**records[0], "kernels": _dearest_first(kernels.values())}


def _dearest_first(kernels: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    return sorted(kernels, key=lambda kernel: -kernel["device_us"])


def _kernel(kernel: Kernel) -> dict[str, Any]:
    launch = kernel.longest
    done = launch.simulation
    try:
        look = ProfiledLaunch(launch.function, launch.grid, launch.program, [], done)
        findings = [described(one, done.cycles, done.chip.frequency) for one in of_launch(look)]
        unknown = ""
    except (AscendError, NotImplementedError) as error:
        findings, unknown = [], str(error)
    longest = {"us": done.microseconds, "grid": list(launch.grid), "bound": done.bound, "findings": findings}
    return {
        "name": kernel.name,
        "file": os.path.relpath(kernel.file),
        **{name: getattr(kernel, name) for name in ADDED},
        "hazards": sorted(kernel.hazards),
        "longest": longest | ({"no_findings_because": unknown} if unknown else {}),
    }
