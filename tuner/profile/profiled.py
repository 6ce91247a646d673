"""What a command simulates: a kernel with its arguments, in one configuration or as it is called."""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any

from cold_kernels.ascend import simulate
from cold_kernels.ascend.findings.launch import ProfiledLaunch
from cold_kernels.ascend.machine import Machine
from cold_kernels.cases import Case
from cold_kernels.record import Record
from cold_kernels.source import python_function
from cold_kernels.spec import KernelSpec
from cold_kernels.specs import KERNELS, check_name, load, module_from_file
from cold_kernels.stage import StageCall
from cold_kernels.tables import select

from ..parsing import config_of


@dataclass(frozen=True)
class ProfiledKernel:
    """A kernel to simulate; `launches` does it.

    Args:
        kernel: Its name.
        machine: Compiler and chip.
        calls: Gives the launches, in order.
        shape, config: Of a spec, the case and the tunables.
        reason: Of a spec, where the configuration comes from.
        batch: Of a spec, the dimension that a batch changes: the first dimension in ``bucket`` that a tensor
            has first; empty where there is none.
        larger: Gives the launches with one more of ``batch``, or with one less where there is a limit.
    """

    kernel: str
    machine: Machine
    calls: Callable[[], Iterable[StageCall]]
    shape: str = ""
    config: Record | None = None
    reason: str = ""
    batch: str = ""
    larger: Callable[[], Iterable[StageCall]] | None = None

    @cached_property
    def launches(self) -> tuple[ProfiledLaunch, ...]:
        """The launches, compiled and simulated.

        Raises:
            AscendError: a launch does not compile, or does what the simulator refuses.
            ValueError: arguments that do not fit the kernel.
        """
        made = []
        calls = [call for call in self.calls() if 0 not in call.grid]
        for call in calls:
            program, values = self.machine.compiled(call)
            followed = call is not calls[-1]  # what it writes may decide what the next one does
            run = simulate(program, values, call.grid, chip=self.machine.chip, values=followed, hazards=True)
            made.append(ProfiledLaunch(call.kernel, tuple(call.grid), program, values, run))
        if not made:
            raise ValueError(f"{self.kernel} launches nothing for {self.shape}")
        return tuple(made)


def of_spec(spec: KernelSpec, case: Case, machine: Machine, config: Record, reason: str) -> ProfiledKernel:
    """A spec's kernel on a case, in one configuration."""

    def calls(case: Case, blank: bool = False) -> list[StageCall]:
        return spec.calls(case.tensors(spec, blank=blank), config, "ascend", machine.chip.vector_cores)

    kernel = ProfiledKernel(spec.name, machine, partial(calls, case), str(case), config, reason)
    batch = next((arg.dims[0] for arg in spec.operands.values() if arg.dims and arg.dims[0] in spec.bucket), "")
    if not batch:
        return kernel
    step = -1 if case.sizes[batch] >= spec.limits.get(batch, math.inf) else 1
    none = {dim: 0 for arg in spec.operands.values() if arg.role == "derived" for dim in arg.dims}
    larger = replace(case, sizes=Record(case.sizes, **none | {batch: case.sizes[batch] + step}))
    return replace(kernel, batch=batch, larger=partial(calls, larger, blank=True))


def chosen_config(spec: KernelSpec, case: Case, chip: str, text: str | None) -> tuple[Record, str]:
    """The configuration that ``text`` asks for, or that a launch would take, and where it comes from.

    Raises:
        ValueError: ``text`` names no configuration, or there is none for this shape.
    """
    selection = select(spec, case.shape(), chip)
    if not text:
        return selection.config, selection.reason
    config = config_of(text, spec, selection.config)
    named = {word.partition("=")[0] for word in text.replace(",", " ").split()}
    rest = "" if named == set(spec.space) else f", the rest as a launch would choose: {selection.reason}"
    return config, f"--config{rest}"


def spec_or_function(name: str) -> Any:
    """The `KernelSpec` or the Triton function that ``name`` stands for.

    Raises:
        ValueError: there is no such kernel or file, the file does not import, or what it names is neither.
    """
    check_name(name)
    if name in KERNELS:
        return load(name)
    file, _, attribute = name.rpartition(":")
    module = module_from_file(Path(file).resolve(), name)
    found = getattr(module, attribute, None)
    if isinstance(found, KernelSpec):
        return found
    if not hasattr(found, "fn"):
        have = [key for key, value in vars(module).items() if isinstance(value, KernelSpec) or _is_kernel(value)]
        raise ValueError(
            f"{name}: {attribute} is no KernelSpec and no @triton.jit function; {file} has {', '.join(have) or 'none'}"
        )
    while hasattr(found.fn, "fn"):  # @triton.autotune and @triton.heuristics: what they choose is given by hand here
        found = found.fn
    return found


def _is_kernel(value: Any) -> bool:
    try:
        return hasattr(value, "fn") and bool(python_function(value))
    except TypeError:
        return False
