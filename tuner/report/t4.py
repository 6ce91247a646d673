"""Searches in T4, the format for results of auto-tuners that Kernel Tuner and others write.

Schema: https://github.com/odgaard/TuningSchema, T4 1.0.0. What it asks for and is not known is left out.
"""

from collections.abc import Iterable
from typing import Any

from .studies import Search, Tried

VERSION = "1.0.0"
INVALID = {"does not compile": "compile", "does not fit": "compile", "is wrong": "correctness"}
"""T4's word for what a failure begins with; all others are ``runtime``."""


def t4(searches: Iterable[Search]) -> dict[str, Any]:
    """The trials of searches as one T4 object; times are simulated, in microseconds."""
    return {
        "schema_version": VERSION,
        "metadata": {"tuner": "cold-kernels", "times": "simulated, device time"},
        "results": [_result(search, trial) for search in searches for trial in search.trials],
    }


def _result(search: Search, trial: Tried) -> dict[str, Any]:
    result: dict[str, Any] = {
        "configuration": dict(trial.config),
        "invalidity": _invalidity(trial),
        "correctness": int(trial.usable and trial.rung == "simulated"),
        "objectives": ["time"],
        "measurements": [{"name": f"time {case}", "value": us, "unit": "us"} for case, us in trial.us.items()],
        "study": search.name,
    }
    if trial.us:
        result["measurements"].insert(0, {"name": "time", "value": trial.value, "unit": "us"})
    if trial.begun:
        result["timestamp"] = trial.begun.isoformat()
    if trial.seconds is not None:
        result["times"] = {"total": trial.seconds, "unit": "s"}
    return result


def _invalidity(trial: Tried) -> str:
    if not trial.failure:
        return "correct"
    return INVALID.get(trial.failure.partition(":")[0], "runtime")
