"""Recorded spaces from files: our own, and those of Kernel Tuner (its cache, and the T4 format of several tuners)."""

import gzip
import json
import math
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from cold_kernels.record import Record

from ..search.trial import Outcome
from .space import Recorded, RecordedSpace, space_of

KINDS_OF_FAILURE = {
    "timeout": "took too long",
    "compile": "does not compile",
    "runtime": "fails when it runs",
    "correctness": "is wrong",
    "constraints": "is illegal",
}
"""T4's words for why a configuration cannot be used, as what follows "it"."""
KERNEL_TUNER_FAILURES = {
    "InvalidConfig": "constraints",
    "CompilationFailedConfig": "compile",
    "RuntimeFailedConfig": "runtime",
}
MICROSECONDS = {"s": 1e6, "ms": 1e3, "us": 1.0, "ns": 1e-3}


def load_space(path: Path) -> RecordedSpace:
    """The space in a file, compressed or not.

    Besides files of ``python -m tuner exhaust`` these are caches of Kernel Tuner 1.x, and T4 results of version 1.0.0
    (its `schema` folder describes them). Of both, what was measured is ``time``, in milliseconds unless T4 says
    otherwise; legal is what they have, so a cache of part of a space is taken for a smaller space.

    Raises:
        OSError: it cannot be read.
        ValueError: it is none of these.
    """
    data = path.read_bytes()
    try:
        content = _json(gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data)
        if "configurations" in content:
            return space_of(content)
        if "cache" in content:
            return _kernel_tuner(content)
        if "results" in content:
            return _t4(content, path)
    except (KeyError, TypeError, ValueError, IndexError, AttributeError, EOFError, OSError, zlib.error) as error:
        said = f"it has no {error}" if isinstance(error, KeyError) else error
        raise ValueError(f"{path} is no recorded space ({said})") from error
    raise ValueError(f"{path} is no recorded space; it has neither configurations, a cache nor results")


def _json(data: bytes) -> Mapping[str, Any]:
    text = data.decode()
    try:
        content = json.loads(text)
    except ValueError:
        content = json.loads(text.rstrip().rstrip(",") + "}}")  # Kernel Tuner closes its cache when it has all of it
    if not isinstance(content, Mapping):
        raise ValueError("it is no JSON object")
    return content


def _kernel_tuner(content: Mapping[str, Any]) -> RecordedSpace:
    names = content["tune_params_keys"]
    recorded = {}
    for entry in content["cache"].values():
        config = Record({name: entry[name] for name in names})
        measured, objective = entry["time"], content.get("objective", "time")
        if objective != "time":
            raise ValueError(f"its objective is {objective}, and only time is read")
        if isinstance(measured, str) or "__error__" in entry:
            kind = KERNEL_TUNER_FAILURES.get(str(entry.get("__error__", measured)), "runtime")
            outcome = Outcome("legal", failure=KINDS_OF_FAILURE[kind])
        else:
            outcome = _timed(measured * MICROSECONDS["ms"], "measured")
        spent = {
            "compile": entry.get("compile_time", 0),
            "simulate": entry.get("benchmark_time", 0),
            "check": entry.get("verification_time", 0),
        }
        recorded[config] = Recorded(outcome, {kind: _number(ms) / 1e3 for kind, ms in spent.items()})
    about = {"chip": content["device_name"], "cases": [f"problem size {content.get('problem_size', 'unknown')}"]}
    given = content.get("tune_params") or {}
    return _space(str(content["kernel_name"]), about, names, given, recorded)


def _t4(content: Mapping[str, Any], path: Path) -> RecordedSpace:
    recorded, names = {}, None
    said = str((content.get("metadata") or {}).get("times", ""))
    evidence = "simulated" if said.startswith("simulated") else "measured"  # `tuner.report.t4` says so of ours
    for result in content["results"]:
        config = Record(result["configuration"])
        names = names or list(config)
        if list(config) != names:
            raise ValueError(f"a configuration has {', '.join(config)} and others have {', '.join(names)}")
        invalidity = result["invalidity"]
        if invalidity == "correct":
            outcome = _timed(_time(result), evidence)
        else:
            outcome = Outcome("legal", failure=KINDS_OF_FAILURE[invalidity])
        times = result.get("times") or {}
        spent = {
            "compile": times.get("compilation_time", times.get("compilation", 0)),
            "simulate": times.get("benchmark", 0) or math.fsum(map(_number, times.get("runtimes") or ())),
            "check": times.get("validation", 0),
        }
        recorded[config] = Recorded(outcome, {kind: _number(ms) / 1e3 for kind, ms in spent.items()})
    if names is None:
        raise ValueError("it has no results")
    about = {"chip": "an unknown chip", "cases": ["unknown"], "evidence": evidence}
    return _space(path.name.partition(".")[0], about, names, {}, recorded)


def _time(result: Mapping[str, Any]) -> float:
    named = {each["name"]: each for each in result.get("measurements", ())}
    if "time" not in named:
        raise ValueError(f"a result's measurements are {', '.join(named) or 'none'}, and only time is read")
    return named["time"]["value"] * MICROSECONDS[named["time"].get("unit") or "ms"]


def _timed(us: Any, evidence: str) -> Outcome:
    if isinstance(us, bool) or not isinstance(us, (int, float)) or not 0 < us < math.inf:
        raise ValueError(f"a time is {us!r}, which must be a positive number")
    return Outcome(evidence, {evidence: float(us)})


def _space(
    name: str,
    about: Mapping[str, Any],
    names: Sequence[str],
    given: Mapping[str, Sequence],
    recorded: Mapping[Record, Recorded],
) -> RecordedSpace:
    """Values in the order that the file gives, else in ascending order where they are numbers."""
    values = {}
    for tunable in names:
        seen = dict.fromkeys(config[tunable] for config in recorded)
        listed = dict.fromkeys(given.get(tunable, ()))
        if any(each not in listed for each in seen):
            numbers = all(isinstance(each, (int, float)) for each in seen)
            listed = sorted(seen) if numbers else seen
        values[tunable] = tuple(each for each in listed if each in seen)
    about = {"evidence": "measured", **about, "unit": "microseconds"}
    return RecordedSpace(name, about, values, next(iter(recorded)), recorded, len(recorded))


def _number(value: Any) -> float:
    return float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else 0.0
