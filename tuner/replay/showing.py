"""What a replay found, in lines and as JSON; and whether its recording is of what is here today."""

from typing import Any

from cold_kernels.specs import load
from cold_kernels.tables import source_digest

from .replayed import Replay
from .space import RecordedSpace


def stale(space: RecordedSpace) -> str:
    """What has changed since the space was recorded, in one line; "" if nothing has, or if it is none of ours."""
    about = space.about
    if "source" not in about:
        return ""
    try:
        spec = load(about["spec"])
    except (ValueError, ImportError):
        return f"recorded of {about['spec']}, which is not here; replayed as it was recorded"
    changed = []
    if source_digest(spec) != about["source"]:
        changed.append("the kernel's source")
    if model := _model(about["chip"]):
        changed += [what for what, now in model.items() if now != about[what]]
    if not changed:
        return ""
    return f"{' and '.join(changed)} changed since it was recorded; replayed as it was recorded"


def in_lines(found: Replay, sampler: str, seed: int, said: str) -> str:
    """The steps of a replay and how near it came."""
    space = found.space
    unit = space.about["unit"]
    lines = [
        f"{space.about['evidence'].upper()} on {space.about['chip']}, as recorded; values in {unit}",
        f"{space.name}: {len(found.tried)} of {space.legal} configurations by {sampler}, seed {seed}; "
        f"{len(space.usable)} can be used, the best is {space.optimum:.6g}, within 2 % of it: {space.near(0.02)}",
    ]
    if said:
        lines.append(said)
    for count, config, value, spent in found.steps():
        lines.append(
            f"{count:5} evaluations{_clock(spent)}: {value:.6g} ({value / space.optimum:.3f} of the best): {config}"
        )
    if not found.steps():
        lines.append("nothing that was tried can be used")
    lines.append(f"the search itself took {found.own_seconds:.2f} s, {_share(found)}")
    return "\n".join(lines)


def as_json(found: Replay, sampler: str, seed: int, said: str) -> dict[str, Any]:
    """The same for programs."""
    space = found.space
    return {
        "kernel": space.name,
        "about": dict(space.about),
        "stale": said,
        "sampler": sampler,
        "seed": seed,
        "legal": space.legal,
        "usable": len(space.usable),
        "optimum": space.optimum,
        "within_2_percent": space.near(0.02),
        "steps": [
            {"evaluations": count, "config": dict(config), "value": value, "seconds": round(spent, 3)}
            for count, config, value, spent in found.steps()
        ],
        "tried": [dict(config) for config in found.tried],
        "own_seconds": round(found.own_seconds, 4),
        "recorded_seconds": round(found.seconds, 3),
    }


def _model(chip: str) -> dict[str, Any]:
    """Today's simulator and compiler; nothing where they are not installed."""
    from cold_kernels.ascend.errors import AscendError
    from cold_kernels.ascend.machine import ascend_machine

    try:
        machine = ascend_machine(chip)
    except (AscendError, ValueError):
        return {}
    return {"model": machine.model, "versions": dict(machine.versions)}


def _clock(spent: float) -> str:
    return f", {spent:7.1f} s" if spent else ""


def _share(found: Replay) -> str:
    if not found.seconds:
        return "how long its evaluations took was not recorded"
    return f"{found.own_seconds / (found.own_seconds + found.seconds):.1%} of what it takes with a compiler"
