"""A launch of a gallery kernel, what it should write, and how far it may be off.

Bounds hold for any order of summation: n terms in a type of unit roundoff u add up within (n - 1) u of the sum of
their absolute values. Exponential, logarithm, roots and division are taken as correctly rounded, since that is what
the simulator computes.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch

from cold_kernels.ascend import Simulation, simulate
from tests.ascend.simulator.kernels import build

FP16, BF16, FP32 = torch.float16, torch.bfloat16, torch.float32
FLOATS = {"fp16": FP16, "bf16": BF16, "fp32": FP32}
U = 2.0**-24
"""Unit roundoff of fp32, in which all of these kernels compute."""


@dataclass(frozen=True)
class ExampleLaunch:
    """One launch: a kernel, its run-time arguments in order, its constants, its grid."""

    kernel: Any
    args: list
    constants: dict[str, Any]
    grid: tuple[int, ...]

    def run(self) -> Simulation:
        return simulate(build(self.kernel, self.args, **self.constants), self.args, self.grid, hazards=True)


@dataclass(frozen=True)
class Example:
    """Launches in order, then for each output ``(tensor, reference, bound)``; no bound stands for equality."""

    launches: list[ExampleLaunch]
    expected: list[tuple[torch.Tensor, torch.Tensor, torch.Tensor | float]]

    def run(self) -> list[Simulation]:
        return [launch.run() for launch in self.launches]

    def check(self) -> None:
        for written, reference, bound in self.expected:
            assert written.shape == reference.shape
            error = (written.double() - reference.double()).abs()
            close = (error <= bound) | (written == reference)
            assert close.all(), f"{(~close).sum()} of {close.numel()} elements differ, the worst by {error.max():.3g}"


Maker = Callable[[], Example]


def blank(*shape: int, dtype: torch.dtype = FP32) -> torch.Tensor:
    """An output that nothing has written: NaN, or -77 where there is none."""
    return torch.full(shape, torch.nan if dtype.is_floating_point else -77, dtype=dtype)


def stored(reference: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """How far rounding once to ``dtype`` may move values close to ``reference``."""
    kind = torch.finfo(dtype)
    return reference.abs() * kind.eps * 0.501 + kind.smallest_normal * kind.eps


def tile_for(columns: int) -> int:
    return 1 << max(4, (columns - 1).bit_length())
