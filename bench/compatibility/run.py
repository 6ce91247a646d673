"""One repository's tests on the simulated NPU, in a process of their own."""

import json
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .repositories import Repository

ROOT = Path(__file__).parents[2]
DIFFERENT = "Different tests were collected between"
PLUGINS = ("cold_kernels.npu", "bench.compatibility.built", "bench.compatibility.recorder")


@dataclass(frozen=True)
class Options:
    """How tests run.

    Args:
        most: Cases of a test function that run, evenly spread; 0 for all.
        jobs: Processes that run tests beside each other.
        limit: Seconds for one test, of the process and of each launch.
        seconds: For the whole repository; None for no limit.
        chip: That is simulated.
    """

    most: int = 3
    jobs: int = 1
    limit: float = 60.0
    seconds: float | None = None
    chip: str = "Ascend910B3"


def rows(repository: Repository, checkout: Path, options: Options) -> tuple[list[dict[str, Any]], str]:
    """Run the tests of a checkout.

    Returns:
        What `recorder` wrote of each test, and how the process ended if it did not run all of them.

    Raises:
        ValueError: the checkout holds no tests.
    """
    with tempfile.TemporaryDirectory(prefix="compatibility-") as folder:
        scratch = Path(folder)
        recorded, log = scratch / "tests.jsonl", scratch / "log.txt"
        command = _command(repository, checkout, options, recorded, scratch)
        with log.open("w") as out:
            try:
                code = subprocess.run(
                    command, cwd=checkout, env=_environment(repository, checkout, scratch), stdin=subprocess.DEVNULL,
                    stdout=out, stderr=subprocess.STDOUT, timeout=options.seconds,
                ).returncode  # fmt: skip
                ended = "" if code in (0, 1) else f"pytest ended with {code}: {_last(log)}"
            except subprocess.TimeoutExpired:
                ended = f"ended after {options.seconds:g} s"
        if DIFFERENT in log.read_text(errors="replace"):
            ended = "pytest-xdist's workers collected different tests, so that none ran: --jobs 1 is wanted"
        lines = recorded.read_text().splitlines() if recorded.exists() else []
        return [json.loads(line) for line in lines], ended


def commit_of(checkout: Path) -> str:
    """The commit of a checkout, shortened; empty where there is no git."""
    if not (checkout / ".git").exists():
        return ""
    said = subprocess.run(["git", "-C", checkout, "rev-parse", "--short=9", "HEAD"], capture_output=True, text=True)
    return said.stdout.strip()


def _command(repository: Repository, checkout: Path, options: Options, recorded: Path, scratch: Path) -> list[str]:
    command = [sys.executable, "-m", "pytest", "-q", "--tb=no", "-p", "no:cacheprovider"]
    command += [f"--npu-chip={options.chip}", f"--npu-limit={options.limit:g}", "-n", str(options.jobs)]
    command += ["--continue-on-collection-errors", f"--record-to={recorded}", f"--most={options.most}"]
    command += [f"--test-limit={options.limit:g}", *(part for plugin in PLUGINS for part in ("-p", plugin))]
    command += [f"--built-module={name}={json.dumps(dict(made))}" for name, made in repository.built_modules.items()]
    command += [f"--unbuilt-package={name}={checkout / at}" for name, at in repository.unbuilt_packages.items()]
    command += [argument.format(scratch=scratch) for argument in repository.arguments]
    return command + repository.files(checkout)


def _environment(repository: Repository, checkout: Path, scratch: Path) -> dict[str, str]:
    """The variables of the process; this checkout stands last, because others call packages ``tests`` too."""
    if repository.entry_points:
        _announce(repository, scratch)
    paths = [*(checkout / path for path in repository.paths), scratch, ROOT]
    once = {"PYTHONPATH": os.pathsep.join(map(str, paths)), "PYTHONDONTWRITEBYTECODE": "1"}
    return {**os.environ, "OMP_NUM_THREADS": "1", **repository.environment, **once}


def _announce(repository: Repository, scratch: Path) -> None:
    """Make the entry points that an installation of the repository has."""
    name = repository.name.replace("-", "_")
    folder = scratch / f"{name}-0.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 0\n")
    groups = (f"[{group}]\n" + "\n".join(points) for group, points in repository.entry_points.items())
    (folder / "entry_points.txt").write_text("\n".join(groups) + "\n")


def _last(log: Path) -> str:
    """The last line of a log that says something."""
    lines = [line.strip() for line in log.read_text(errors="replace").splitlines() if line.strip()]
    return next((line for line in reversed(lines) if "rror" in line), lines[-1] if lines else "it said nothing")
