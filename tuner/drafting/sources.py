"""Where launches come from: a call that was typed, or a test."""

import importlib.util
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from cold_kernels.command import CommandFailed

from .launches import Seen


def from_calls(file: Path, name: str, folder: Path, imported: str, calls: Sequence[str], chip: str) -> Seen | None:
    """Evaluate expressions in the namespace of a kernel's module, new tensors on the simulated NPU.

    Raises:
        ValueError: the module does not import, has no such kernel, or an expression fails.
    """
    import torch
    import triton

    from cold_kernels.npu import simulated
    from cold_kernels.specs import module_from_file

    module_name = "" if "module_from_file" in imported else imported.rpartition("from ")[2].partition(" import")[0]
    sys.path.insert(0, str(folder))
    with simulated(chip, hazards="off"):
        from .recording import Recorder

        try:
            module = importlib.import_module(module_name) if module_name else module_from_file(file, file.name)
        except Exception as error:
            raise ValueError(f"{file} does not import: {type(error).__name__}: {error}") from error
        if not hasattr(module, name):
            raise ValueError(f"{file} has no {name}")
        recorder = Recorder(file, name)
        names = {"torch": torch, "triton": triton, **vars(module)}
        with recorder.recording(), torch.device("npu"):
            for call in calls:
                torch.manual_seed(0)
                try:
                    eval(compile(call, "--call", "eval"), names)
                except Exception as error:
                    raise ValueError(f"--call {call!r} fails: {type(error).__name__}: {error}") from error
    return recorder.seen


def from_test(file: Path, name: str, folder: Path, test: str, chip: str) -> Seen | None:
    """Run a test on the simulated NPU.

    Raises:
        CommandFailed: it does not pass.
    """
    import pytest

    os.environ.setdefault("PYTEST_ADDOPTS", "")
    sys.path.insert(0, str(folder))
    found = []

    class Plugin:
        @pytest.hookimpl(wrapper=True)
        def pytest_runtestloop(self, session):
            from .recording import Recorder

            recorder = Recorder(file, name)
            found.append(recorder)
            with recorder.recording():
                return (yield)

    options = ["-q", "-p", "cold_kernels.npu", "--npu-chip", chip, "--npu-hazards", "off"]
    if importlib.util.find_spec("xdist"):
        options += ["-n", "0"]
    code = pytest.main([*options, test], plugins=[Plugin()])
    if code:
        raise CommandFailed(f"{test} does not pass on the simulated NPU; pytest's output above says why")
    return found[0].seen if found else None
