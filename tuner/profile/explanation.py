"""Whether a configuration is usable for a shape, and what stands against it."""

import linecache
from dataclasses import replace
from typing import Any

from cold_kernels.ascend import simulate
from cold_kernels.ascend.chips import UB_BYTES, chip_named
from cold_kernels.ascend.errors import STAGES, AscendError, CompilationFailed, UnifiedBufferOverflow
from cold_kernels.ascend.machine import ascend_machine
from cold_kernels.cases import Case
from cold_kernels.record import Record
from cold_kernels.spec import KernelSpec
from cold_kernels.specs import load
from cold_kernels.stage import StageCall

from ..dry_run import dry_run
from ..search.display import Report
from .profiled import ProfiledKernel, chosen_config, of_spec

NEIGHBOURS = 4
"""Changes of one tunable that are proposed where a constraint does not hold."""


def explained(name: str, shape: str | None, config: str | None, chip: str) -> dict[str, Any]:
    """The report of ``--json``; docs/simulator.md has its keys.

    Args:
        name: Of the kernel, as `cold_kernels.specs.load` takes it.
        shape, config: As on the command line; None for the typical case and what a launch would choose.
        chip: Its name, or a chip file.
    """
    spec, on = load(name), chip_named(chip)
    # A size above its limit is an answer here, not an error.
    case = Case.parse(shape or "", replace(spec, limits={}))
    within = all(case.sizes[dim] <= limit for dim, limit in spec.limits.items())
    if within:
        dry_run(spec, case, on.vector_cores)
    chosen, reason = chosen_config(spec, case, on.name, config)
    limits = [
        {"dimension": dim, "size": case.sizes[dim], "limit": limit, "holds": case.sizes[dim] <= limit}
        for dim, limit in spec.limits.items()
    ]
    constraints = [
        {
            "name": name,
            "violation": float(violation),
            "holds": bool(violation <= 0),
            "source": _source(spec.constraints[name]),
        }
        for name, violation in spec.violations(chosen, case.shape()).items()
    ]
    legal = all(item["holds"] for item in (*limits, *constraints))
    compiled = _compiled(spec, case, chosen, chip) if legal else []
    return {
        "kernel": spec.name,
        "chip": chip,
        "shape": str(case),
        "config": dict(chosen),
        "config_from": reason,
        "usable": legal and all(launch["outcome"] == "compiles" for launch in compiled),
        "limits": limits,
        "constraints": constraints,
        "nearest_legal": _neighbours(spec, case, chosen) if within and not legal else [],
        "compiler": compiled,
    }


def _compiled(spec: KernelSpec, case: Case, config: Record, chip: str) -> list[dict[str, Any]]:
    """What the compiler says of each launch, up to the first that it refuses."""
    profiled = of_spec(spec, case, ascend_machine(chip), config, "")
    said: list[dict[str, Any]] = []
    calls = [call for call in profiled.calls() if 0 not in call.grid]
    for call in calls:
        about = {"function": call.kernel.__name__, "grid": list(call.grid)}
        said.append(about | _diagnosis(profiled, call, call is not calls[-1]))
        if said[-1]["outcome"] != "compiles":
            break
    return said


def _diagnosis(profiled: ProfiledKernel, call: StageCall, followed: bool) -> dict[str, Any]:
    """The compiler's words, or what the compiled program needs; with values where another launch follows."""
    try:
        program, arguments = profiled.machine.compiled(call)
    except UnifiedBufferOverflow as error:
        bits = {"required_bits": error.required_bits, "available_bits": error.available_bits}
        return {"outcome": "overflow", **bits, "message": str(error)}
    except CompilationFailed as error:
        return {"outcome": "failed", "stage": STAGES[error.stage], "diagnostics": error.diagnostics}
    try:
        run = simulate(program, arguments, call.grid, chip=profiled.machine.chip, values=followed)
    except AscendError as error:
        return {"outcome": "compiles", "simulator_refuses": str(error)}
    return {
        "outcome": "compiles",
        "planned_bytes": run.ub_peak_bytes,
        "capacity_bytes": UB_BYTES,
        "simulated_microseconds": run.microseconds,
    }


def _neighbours(spec: KernelSpec, case: Case, config: Record) -> list[str]:
    """Changes of one tunable that satisfy every constraint, those of fewest steps first."""
    found = []
    for name, tunable in spec.space.items():
        at = tunable.values.index(config[name])
        for place, value in enumerate(tunable.values):
            if spec.allows(Record({**config, name: value}), case.shape()):
                found.append((abs(place - at), f"{name}={value}"))
    return [words for _, words in sorted(found, key=lambda item: item[0])[:NEIGHBOURS]]


def _source(function: Any) -> str:
    """The first line of a constraint's source; empty if it is out of reach."""
    code = getattr(function, "__code__", None)
    return linecache.getline(code.co_filename, code.co_firstlineno).strip().rstrip(",") if code else ""


def show(found: dict[str, Any]) -> None:
    """Print it for people."""
    report = Report()
    report.say(f"{found['kernel']} for {found['shape']} on {found['chip']}")
    words = " ".join(f"{name}={value}" for name, value in found["config"].items())
    report.say(f"config {words} ({found['config_from']})")
    for limit in found["limits"]:
        report.say(f"{_mark(limit)} limit {limit['dimension']}: {limit['size']}, at most {limit['limit']}")
    for one in found["constraints"]:
        report.say(
            f"{_mark(one)} {one['name']}: {one['violation']:g}, at most 0"
            + (f"   {one['source']}" if one["source"] else "")
        )
    for launch in found["compiler"]:
        report.say(_line(launch))
    if found["nearest_legal"]:
        report.say(f"legal with {' or '.join(found['nearest_legal'])}")
    elif not all(item["holds"] for item in found["constraints"]):
        report.say("no change of one tunable makes it legal")
    if not found["compiler"]:
        report.say("not compiled: a limit or constraint does not hold")
    report.say("usable" if found["usable"] else "NOT usable")


def _line(launch: dict[str, Any]) -> str:
    name = f"{launch['function']} on grid {'x'.join(map(str, launch['grid']))}"
    if launch["outcome"] == "overflow":
        return f"FAILS {name}: {launch['message']} ({launch['required_bits']} of {launch['available_bits']} bits)"
    if launch["outcome"] == "failed":
        return "\n".join([f"FAILS {name}: {launch['stage']} says:", *launch["diagnostics"]])
    if "simulator_refuses" in launch:
        return f"holds {name} compiles; the simulator refuses it: {launch['simulator_refuses']}"
    planned, capacity = launch["planned_bytes"] / 1024, launch["capacity_bytes"] / 1024
    buffer = f"{planned:.1f} of {capacity:.0f} KiB of unified buffer"
    return f"holds {name} compiles: {buffer}, {launch['simulated_microseconds']:.2f} us simulated"


def _mark(item: dict[str, Any]) -> str:
    return "holds" if item["holds"] else "FAILS"
