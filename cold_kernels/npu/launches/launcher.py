"""One launch: what Triton hands to a device goes to the simulator."""

import operator
import time
from functools import partial

import torch

from ...ascend import simulate
from ...ascend.options import CompileOptions
from ...ascend.program import Program
from ...dtypes import TORCH
from ..device.clock import clock
from ..device.memory import allocations, pointed_at, whole_on_cpu
from ..session import Launch, current
from .hazards import judge
from .limit import limited


class SimulatedLauncher:
    """What triton-ascend's ``NPULauncher`` is to a device, for one compiled kernel.

    Args:
        src: Signature and constants of the kernel.
        metadata: What compiling it noted.
    """

    def __init__(self, src, metadata) -> None:
        names = src.fn.arg_names
        self.fn, self.metadata = src.fn, metadata
        self.names = [name for place, name in enumerate(names) if place not in src.fn.constexprs]
        self.constants = {names[key] if isinstance(key, int) else key: value for key, value in src.constants.items()}
        self.signature = {n: kind for n, kind in src.signature.items() if n not in self.constants}
        self.program: Program | None = None

    def __call__(self, x, y, z, stream, hivm, packed, launch_metadata, enter_hook, exit_hook, *args) -> None:
        """Run the kernel on a grid.

        Raises:
            AscendError: the program does what a device would not survive, or what is not simulated.
            HazardFound: it has hazards, and they are errors.
            LaunchTookTooLong: the limit is reached.
            ValueError, TypeError: an argument that a kernel cannot take.
        """
        if enter_hook is not None:
            enter_hook(launch_metadata)
        grid = tuple(map(operator.index, (x, y, z)))
        if 0 not in grid:
            with torch.device("cpu"):  # else the default device is what the simulator's own tensors are made on
                self._run(hivm, grid, args)
        if exit_hook is not None:
            exit_hook(launch_metadata)

    def _run(self, hivm: str, grid: tuple[int, ...], args: tuple) -> None:
        session = current()
        if self.program is None:
            options = CompileOptions(**dict(self.metadata.compile_options))
            name = self.metadata.kernel_name
            self.program = Program(name, session.chip.name, hivm, self.signature, self.constants, options)
        session.begun[self.program.core_type] += 1
        given = dict(zip(self.names, args, strict=True))
        values = [_argument(name, given[name]) for name in self.signature]
        look = session.settings.hazards != "off"
        started = time.perf_counter()
        simulated = partial(simulate, hazards=look, values=True, chip=session.chip, memory=allocations.at)
        done = limited(
            session.settings.limit,
            f"{self.program.name} on the grid {grid}",
            lambda: simulated(self.program, values, grid),
        )
        clock.launched(done.microseconds)
        launch = Launch(self.program, self.fn.fn, grid, done, time.perf_counter() - started)
        session.add(launch)
        judge(launch, session.settings.hazards)


def _reinterpreted(name: str, wrapper) -> torch.Tensor:
    """The tensor in a `triton.reinterpret`, as elements of the wrapper's type."""
    dtype = wrapper.dtype if isinstance(wrapper.dtype, torch.dtype) else TORCH.get(str(wrapper.dtype))
    if dtype is None or dtype.itemsize != wrapper.base.dtype.itemsize:
        raise TypeError(f"argument {name}: {wrapper.base.dtype} reinterpreted as {wrapper.dtype} is not simulated")
    return wrapper.base.data.view(dtype)


def _argument(name: str, value):
    """A launch's argument as the simulator takes it."""
    if hasattr(value, "base") and isinstance(value.base, torch.Tensor):  # triton.reinterpret
        value = _reinterpreted(name, value)
    if isinstance(value, torch.Tensor):
        if value.device.type != "npu":
            raise ValueError(
                f"Pointer argument {name} cannot be accessed from Triton (cpu tensor?): it is on {value.device}, "
                "and a kernel takes tensors on npu"
            )
        return whole_on_cpu(value)
    if hasattr(value, "data_ptr"):  # Triton takes any object with an address and a type
        return pointed_at(name, value.data_ptr(), value.dtype)
    if isinstance(value, bool):
        return int(value)
    return value
