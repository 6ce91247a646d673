"""``python -m pytest -p cold_kernels.npu``: tests of Triton-Ascend kernels on the simulated device."""

from pathlib import Path

import pytest

from ..ascend.errors import AscendError
from .options import add_options, settings
from .record import merged, record
from .report import file, text
from .simulated import switch_off, switch_on

_session = pytest.StashKey()
_records = pytest.StashKey[list]()
_lost = pytest.StashKey[list]()
KEY = "cold_kernels_npu"


def pytest_addoption(parser: pytest.Parser) -> None:
    """The options, in a group of their own."""
    add_options(parser.getgroup("npu", "simulated NPU (cold_kernels.npu)").addoption)


@pytest.hookimpl(tryfirst=True)
def pytest_load_initial_conftests(early_config: pytest.Config) -> None:
    """Switch the device on before any conftest: modules ask for it when they are imported."""
    options = early_config.known_args_namespace
    try:
        early_config.stash[_session] = switch_on(options.npu_chip, settings(options))
    except (ValueError, RuntimeError, AscendError) as error:
        raise pytest.UsageError(str(error)) from error
    early_config.stash[_records], early_config.stash[_lost] = [], []


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node, error) -> None:
    """Take what a worker of pytest-xdist hands on."""
    output = getattr(node, "workeroutput", None) or {}
    if KEY in output:
        node.config.stash[_records].append(output[KEY])
    else:
        node.config.stash[_lost].append(node.gateway.id)


def pytest_unconfigure(config: pytest.Config) -> None:
    """Switch the device off."""
    if config.stash.get(_session, None) is not None:
        del config.stash[_session]
        switch_off()


def pytest_report_header(config: pytest.Config) -> str:
    """The chip, and what hazards are."""
    return f"npu: simulated {config.option.npu_chip}, hazards: {config.option.npu_hazards}"


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Keep what ran here; a worker hands it on."""
    config = session.config
    begun = config.stash.get(_session, None)
    if begun is None:
        return
    if hasattr(config, "workeroutput"):
        config.workeroutput[KEY] = record(begun)
    else:
        config.stash[_records].append(record(begun))


def pytest_terminal_summary(terminalreporter, config: pytest.Config) -> None:
    """The summary, and the report's file."""
    records = config.stash.get(_records, [])
    if not records:
        return
    whole = merged(records)
    terminalreporter.section(text.title(whole))
    for line in text.lines(whole):
        terminalreporter.write_line(line)
    if lost := config.stash[_lost]:
        terminalreporter.write_line(f"what ran in workers that crashed is not in it: {', '.join(lost)}")
    if config.option.npu_report:
        terminalreporter.write_line(file.write(Path(config.option.npu_report), whole))
