"""Faults planted by hand, and whether the tests notice: ``python -m tests.planted_faults [NAME ...]``.

Whoever makes the tests faster, or moves them, shows with this that they still guard what they guarded. Each fault of
`tests.planted_faults_table` is planted alone in a copy of the tracked files, and the tests that should notice run
there until the first of them fails. The checkout and the caches of whoever runs this are left alone.

Exit code 0 if every fault is caught, 1 if one is not, 2 for a name or a table that is wrong. Keys of ``--json``, one
object a fault: ``name``, ``module``, ``breaks``, ``tests``, ``caught``, ``by`` (the first test that failed),
``seconds``, ``problem`` (why it is not caught), and with ``--check-clean`` also ``clean_seconds``.
"""

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from .planted_faults_table import FAULTS, Fault

ROOT = Path(__file__).parents[1]
LIMIT = 900
"""Seconds that the tests of one fault may take."""
ALL_CAUGHT, SOME_MISSED, WRONG_INPUT = 0, 1, 2
PASSED, FAILED = 0, 1
"""Pytest's exit codes; others are of runs that were interrupted or never began."""
NOT_PASSED_ON = ("TRITON_INTERPRET", "PYTEST_ADDOPTS")
"""Variables that change what the tests do, or what pytest prints."""
_FAILURE = re.compile(r"^(?:FAILED|ERROR) (\S+\.py::.+?)(?: - .*)?$", re.MULTILINE)
"""A line of pytest's summary. A file that cannot even be imported has no ``::``, and does not count."""


class Run(NamedTuple):
    """What came of a run of tests: pytest's exit code, the first test that failed, the last lines, the time."""

    code: int | None
    failed: str | None
    said: str
    seconds: float


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; its exit code."""
    options = _parser().parse_args(arguments)
    unknown = [name for name in options.names if name not in FAULTS]
    if unknown:
        print(f"no fault is called {', '.join(unknown)}; there are {', '.join(FAULTS)}", file=sys.stderr)
        return WRONG_INPUT
    faults = [FAULTS[name] for name in options.names or FAULTS]
    if options.list:
        print("\n".join(f"{fault.name}: {fault.breaks} ({fault.module}; {' '.join(fault.tests)})" for fault in faults))
        return ALL_CAUGHT
    if wrong := [complaint for fault in faults if (complaint := complaint_about(fault, ROOT))]:
        print("\n".join(wrong), file=sys.stderr)
        return WRONG_INPUT
    if not tracked_files():
        print(f"{ROOT} is no checkout: git lists no files there", file=sys.stderr)
        return WRONG_INPUT
    clean: dict[tuple[str, ...], Run] = {}
    found = []
    for fault in faults:
        found.append(_result(fault, clean, options.check_clean))
        if not options.json:
            print(_line(found[-1]), flush=True)
    missed = [one["name"] for one in found if not one["caught"]]
    print(json.dumps(found, indent=1) if options.json else f"{len(found) - len(missed)} of {len(found)} caught")
    return SOME_MISSED if missed else ALL_CAUGHT


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.planted_faults", description=__doc__.partition("\n")[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help="faults; by default all of them")
    parser.add_argument("--list", action="store_true", help="name the faults, and run nothing")
    parser.add_argument("--json", action="store_true", help="one JSON array; its keys are listed in this module")
    parser.add_argument("--check-clean", action="store_true", help="run the tests without the fault first")
    return parser


def complaint_about(fault: Fault, root: Path) -> str | None:
    """Why the fault cannot be planted in the checkout at ``root``; None if it can."""
    file = root / fault.file
    if not file.is_file():
        return f"{fault.name}: no file {fault.file}; has the module {fault.module} moved?"
    times = file.read_text(encoding="utf-8").count(fault.text)
    if times != 1:
        return f"{fault.name}: {fault.text!r} is {times} times in {fault.file}; it must be there exactly once"
    if missing := [test for test in fault.tests if not (root / test.partition("::")[0]).exists()]:
        return f"{fault.name}: no tests {', '.join(missing)}; have they moved?"
    return None


def run_tests(tests: Sequence[str], fault: Fault | None = None) -> Run:
    """Run tests in a copy of the tracked files, with the fault planted if one is given, until the first failure."""
    with tempfile.TemporaryDirectory(prefix="planted-fault-") as folder:
        copy = Path(folder) / "checkout"
        _copy_tracked(copy)
        if fault:
            file = copy / fault.file
            file.write_text(file.read_text(encoding="utf-8").replace(fault.text, fault.replacement), encoding="utf-8")
        # Compiled programs too are its own: a fault in what compiles them must not get into anybody's cache.
        environment = {name: value for name, value in os.environ.items() if name not in NOT_PASSED_ON}
        environment |= {"PYTHONPATH": str(copy), "COLD_KERNELS_CACHE": str(Path(folder) / "cache")}
        command = [sys.executable, "-m", "pytest", "-x", "-q", "-n", "0", "-p", "no:cacheprovider", *tests]
        started = time.monotonic()
        try:
            done = subprocess.run(command, cwd=copy, env=environment, capture_output=True, text=True, timeout=LIMIT)
        except subprocess.TimeoutExpired:
            return Run(None, None, f"no end within {LIMIT} s", time.monotonic() - started)
        failures = _FAILURE.findall(done.stdout)
        said = "\n".join((done.stdout + done.stderr).strip().splitlines()[-15:])
        return Run(done.returncode, failures[0] if failures else None, said, time.monotonic() - started)


def tracked_files() -> list[str]:
    """The checkout's tracked files; none where there is no checkout."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True)
    return list(filter(None, listed.stdout.split("\0")))


def _copy_tracked(copy: Path) -> None:
    for name in tracked_files():
        if (ROOT / name).is_file():  # not one that was deleted and is still tracked
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, copy / name)


def _result(fault: Fault, clean: dict[tuple[str, ...], Run], check_clean: bool) -> dict:
    """What came of a fault, as `--json` gives it; ``clean`` keeps the runs without faults by their tests."""
    about = dict(name=fault.name, module=fault.module, breaks=fault.breaks, tests=list(fault.tests))
    about |= dict(caught=False, by=None, seconds=None, problem=None)
    if check_clean:
        if fault.tests not in clean:
            clean[fault.tests] = run_tests(fault.tests)
        before = clean[fault.tests]
        about["clean_seconds"] = round(before.seconds, 1)
        if before.code != PASSED:
            return about | dict(problem=f"its tests do not pass without it:\n{before.said}")
    run = run_tests(fault.tests, fault)
    about["seconds"] = round(run.seconds, 1)
    if run.code == FAILED and run.failed:
        return about | dict(caught=True, by=run.failed)
    if run.code == PASSED:
        return about | dict(problem=run.said.splitlines()[-1])
    return about | dict(problem=f"pytest ended with {run.code}, so no test has judged it:\n{run.said}")


def _line(one: dict) -> str:
    verdict = f"caught by {one['by']}" if one["caught"] else f"NOT CAUGHT: {one['problem']}"
    times = [f"{one[key]} s{word}" for key, word in (("seconds", ""), ("clean_seconds", " without it")) if one.get(key)]
    return f"{one['name']}: {verdict}" + (f" ({', '.join(times)})" if times else "")


if __name__ == "__main__":
    sys.exit(main())
