from pathlib import Path

import pytest

from .timing.race import Race


@pytest.hookimpl(tryfirst=True)
def pytest_xdist_auto_num_workers(config):
    """One process for what is timed, which needs a quiet machine; the exact gate counts, and takes all cores."""
    files = [argument.partition("::")[0].rstrip("/") for argument in config.args]
    counts = config.option.keyword == "exact" or all("exact" in Path(file).parts for file in files)
    return None if counts else 0


@pytest.fixture
def race(request, benchmark) -> Race:
    """Times a function beside others, and fails if it has become slower."""
    return Race(f"{request.path.name}::{request.node.nodeid.partition('::')[2]}", benchmark)
