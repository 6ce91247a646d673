import pytest
import torch

from .timing.race import Race


@pytest.fixture(autouse=True, scope="session")
def one_thread():
    """On a shared machine, a call that waits for a second thread measures who else is running."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def race(request, benchmark) -> Race:
    """Times a function beside others, and fails if it has become slower."""
    return Race(f"{request.path.name}::{request.node.nodeid.partition('::')[2]}", benchmark)
