"""A pytest plugin: what building a repository would have made, where it cannot be built without CANN."""

import json
import sys
import types
from pathlib import Path

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    """Modules that a build writes, and packages whose own code loads a library that a build makes."""
    group = parser.getgroup("compatibility")
    group.addoption("--built-module", action="append", default=[], metavar="NAME=JSON", help="a module and its values")
    group.addoption(
        "--unbuilt-package",
        action="append",
        default=[],
        metavar="NAME=FOLDER",
        help="a package whose modules can be imported, without its __init__",
    )


@pytest.hookimpl(tryfirst=True)
def pytest_load_initial_conftests(early_config: pytest.Config) -> None:
    """Make the modules before any conftest asks for them."""
    options = early_config.known_args_namespace
    for name, values in (given.split("=", 1) for given in options.built_module):
        _made(name).__dict__.update(json.loads(values))
    for name, folder in (given.split("=", 1) for given in options.unbuilt_package):
        _made(name).__path__ = [str(Path(folder).resolve())]


def _made(name: str) -> types.ModuleType:
    return sys.modules.setdefault(name, types.ModuleType(name))
