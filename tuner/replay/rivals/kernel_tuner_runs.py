"""Kernel Tuner's strategies on a recorded space, by its own package in its simulation mode."""

import importlib.util
import json
import math
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from cold_kernels.command import CommandFailed

from ..space import RecordedSpace

STRATEGIES = ("simulated_annealing", "genetic_algorithm")
"""The two that did best on the spaces recorded here, of these, `greedy_ils`, `mls`, `pso` and `diff_evo`."""
PYTHON = "COLD_KERNELS_KERNEL_TUNER"
"""This environment variable names a Python that has the package."""
INSTALL = "python -m pip install kernel_tuner"
_DRIVER = Path(__file__).with_name("kernel_tuner_driver.py")


def python_with_it() -> str | None:
    """The Python that has Kernel Tuner: what `PYTHON` names, else this one; None if it has not."""
    if chosen := os.environ.get(PYTHON):
        return chosen
    return sys.executable if importlib.util.find_spec("kernel_tuner") else None


def kernel_tuner(
    python: str, space: RecordedSpace, strategies: Sequence[str], seeds: Sequence[int], evaluations: int
) -> dict[str, list[float]]:
    """For each strategy the least value of each seed; infinite where nothing was found that can be used.

    Its restrictions are the legal configurations; what fails when it is tried costs an evaluation, as everywhere. The
    strategies that can be told where to begin begin with the default.

    Raises:
        CommandFailed: it does not run, or does not answer for all seeds.
    """
    with TemporaryDirectory(prefix="kernel-tuner-") as folder:
        path = Path(folder) / "cache.json"
        path.write_text(json.dumps(cache_of(space)), encoding="utf-8")
        request = {
            "cache": str(path),
            "strategies": list(strategies),
            "seeds": list(seeds),
            "evaluations": evaluations,
            "first": [_plain(space, name, space.default[name]) for name in space.values],
        }
        try:
            done = subprocess.run(
                [python, str(_DRIVER)], input=json.dumps(request), capture_output=True, text=True, cwd=folder
            )
        except OSError as error:
            raise CommandFailed(f"Kernel Tuner cannot be run by {python}: {error.strerror}") from error
    if done.returncode:
        said = done.stderr.strip().rpartition("\n")[2] or f"exit code {done.returncode}"
        raise CommandFailed(f"Kernel Tuner, run by {python}, fails: {said}")
    found: dict[str, list[float]] = {strategy: [] for strategy in strategies}
    for line in done.stdout.splitlines():
        strategy, _, least = json.loads(line)
        found[strategy].append(math.inf if least is None else least)
    if any(len(each) != len(seeds) for each in found.values()):
        raise CommandFailed(f"Kernel Tuner, run by {python}, answers for {found} and not for {len(seeds)} seeds each")
    return found


def cache_of(space: RecordedSpace) -> dict[str, Any]:
    """The space as a cache of Kernel Tuner. Words and truth values become their positions, as it has numbers alone.

    Times stand there in our microseconds, whatever it calls them: a search looks at their order.
    """
    values = {name: [_plain(space, name, value) for value in listed] for name, listed in space.values.items()}
    entries = {}
    for config, recorded in space.recorded.items():
        entry = {name: _plain(space, name, config[name]) for name in space.values}
        time = "CompilationFailedConfig" if recorded.value is None else recorded.value
        spent = {"compile_time": 0, "verification_time": 0, "benchmark_time": 0}
        entries[",".join(map(str, entry.values()))] = {**entry, "time": time, **spent}
    return {
        "device_name": str(space.about.get("chip", "unknown")),
        "kernel_name": space.name,
        "problem_size": [1],
        "tune_params_keys": list(values),
        "tune_params": values,
        "objective": "time",
        "cache": entries,
    }


def _plain(space: RecordedSpace, name: str, value: Any) -> Any:
    ordered = dict(zip(space.values, space.domain.ordered, strict=True))[name]
    return value if ordered else space.values[name].index(value)
