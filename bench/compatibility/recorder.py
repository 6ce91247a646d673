"""A pytest plugin: a sample of a repository's tests, a time limit for each, and one line of JSON for each."""

import contextlib
import json
import signal
import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from cold_kernels.npu.session import current

KEPT = 1500
"""Characters of a message."""


class TestTookTooLong(BaseException):
    """A test was ended at its limit."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """Where to, how many, how long."""
    group = parser.getgroup("compatibility")
    group.addoption("--record-to", metavar="FILE")  # no Path: workers of pytest-xdist take plain values
    group.addoption("--most", type=int, default=0, help="cases of a test that run; 0 for all")
    group.addoption("--test-limit", type=float, default=60.0, help="seconds of the process for one test")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Keep so many cases of each test, evenly spread: the first, the last, and some between."""
    most = config.option.most
    if not most:
        return
    groups: dict[tuple, list[pytest.Item]] = defaultdict(list)
    for item in items:
        groups[str(item.path), getattr(item, "originalname", item.name)].append(item)
    kept = {id(item) for group in groups.values() for item in spread(group, most)}
    config.hook.pytest_deselected(items=[item for item in items if id(item) not in kept])
    items[:] = [item for item in items if id(item) in kept]


def spread(group: list, most: int) -> list:
    """At most so many of a list, evenly spread over it."""
    if len(group) <= most:
        return group
    if most == 1:
        return group[:1]
    return [group[round(place * (len(group) - 1) / (most - 1))] for place in range(most)]


@contextlib.contextmanager
def _limited(seconds: float) -> Iterator[None]:
    def end(number, frame):
        raise TestTookTooLong(f"the test took more than {seconds:g} s of this process")

    before = signal.signal(signal.SIGPROF, end)
    signal.setitimer(signal.ITIMER_PROF, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item):
    """A test gets its time, and no more; what it launches on cube cores is counted."""
    before = _on_cubes()
    try:
        with _limited(item.config.option.test_limit):
            return (yield)
    finally:
        item.on_cubes = _on_cubes() - before


def _on_cubes() -> int:
    """Launches so far of programs that a cube core has a part in."""
    return sum(count for cores, count in current().begun.items() if cores != "AIV")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item, nextitem: pytest.Item | None):
    """Take the time of a test; a default device that a file's tests have set ends with the file."""
    item.started = time.perf_counter()
    done = yield
    if nextitem is not None and nextitem.path != item.path:
        torch.set_default_device(None)
    return done


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo):
    """Write how a test ended: of its phases the call, or the first that did not pass."""
    report = yield
    if isinstance(call.excinfo and call.excinfo.value, TestTookTooLong):
        report.outcome = "failed"
    if item.config.option.record_to and (call.when == "call" or report.outcome != "passed"):
        row = {
            "test": item.nodeid,
            "function": f"{item.location[0]}::{getattr(item, 'originalname', item.name)}",
            "when": call.when,
            "outcome": report.outcome,
            "expected_to_fail": hasattr(report, "wasxfail"),
            "seconds": round(time.perf_counter() - item.started, 2),
            "cube": getattr(item, "on_cubes", 0) > 0,
            "errors": errors(call.excinfo.value if call.excinfo else None),
        }
        append(Path(item.config.option.record_to), row)
    return report


def pytest_collectreport(report: pytest.CollectReport) -> None:
    """Write which files could not be imported."""
    if report.failed and _to:
        words = str(report.longrepr).strip().splitlines()
        row = {"test": report.nodeid, "function": report.nodeid, "when": "collect", "outcome": "failed"}
        append(_to[0], {**row, "expected_to_fail": False, "seconds": 0.0, "errors": ["\n".join(words[-3:])[-KEPT:]]})


_to: list[Path] = []


def pytest_configure(config: pytest.Config) -> None:
    """Note where to; pytest-xdist tells its controller what its workers could not collect."""
    if config.option.record_to and not hasattr(config, "workerinput"):
        _to[:] = [Path(config.option.record_to)]


@pytest.hookimpl(optionalhook=True)
def pytest_handlecrashitem(crashitem: str, report: pytest.TestReport, sched) -> None:
    """Write which test took a process of pytest-xdist with it."""
    function = crashitem.partition("[")[0]
    row = {"test": crashitem, "function": function, "when": "call", "outcome": "failed", "expected_to_fail": False}
    append(_to[0], {**row, "seconds": 0.0, "errors": ["Crash: the process that ran the test died"]})


def errors(error: BaseException | None) -> list[str]:
    """An error and what caused it, each as ``type: message``."""
    found = []
    while error is not None and len(found) < 5:
        found.append(f"{type(error).__name__}: {str(error)[:KEPT]}")
        error = error.__cause__ or error.__context__
    return found


def append(path: Path, row: dict) -> None:
    """Add a line to a file that several processes write."""
    with path.open("a") as file:
        file.write(json.dumps(row) + "\n")
