from collections.abc import Callable, Mapping

import pytest
import torch

from bench.race import Race
from bench.wall_clock import RESULTS, Measured, merge


@pytest.fixture(autouse=True, scope="session")
def one_thread():
    """On a shared machine, a call that waits for a second thread measures who else is running."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="session")
def times():
    """What this session has timed, by device and benchmark; kept at its end for `accept` and `report`."""
    found: dict[str, dict[str, Measured]] = {}
    yield found
    for device, measured in found.items():
        merge(device, measured, RESULTS)


@pytest.fixture
def race(request, benchmark, times) -> Callable[[Callable, Mapping[str, Callable]], None]:
    """Times a function beside others and fails if it has become slower: `Race`."""
    return Race(request.node.nodeid.removeprefix("bench/"), benchmark, times)
