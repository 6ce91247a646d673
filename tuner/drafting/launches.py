"""What was seen of a kernel's launches, in plain values."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

IN, OUT, INOUT, UNTOUCHED = "In", "Out", "InOut", "In (nothing was seen to depend on it)"


@dataclass(frozen=True)
class SeenTensor:
    """A tensor of a launch: its layout, element type under Triton's name, and the least and largest number in it."""

    shape: tuple[int, ...]
    strides: tuple[int, ...]
    dtype: str
    low: float
    high: float
    contiguous: bool


@dataclass(frozen=True)
class SeenLaunch:
    """One launch.

    Args:
        values: By parameter: a `SeenTensor`, a number, a truth value, text, or None.
        grid: Programs along each axis.
        grids: What the grid would be with other constexprs, where it is a function of them: ``(changed, grid)``.
    """

    values: Mapping[str, Any]
    grid: tuple[int, ...]
    grids: tuple[tuple[Mapping[str, int], tuple[int, ...]], ...] = ()

    def tensors(self) -> dict[str, SeenTensor]:
        return {name: value for name, value in self.values.items() if isinstance(value, SeenTensor)}

    def integers(self) -> dict[str, int]:
        return {name: value for name, value in self.values.items() if type(value) is int}


@dataclass
class Seen:
    """All that was recorded of one kernel.

    Args:
        kernel: The ``@triton.jit`` function.
        constexprs: Its ``tl.constexpr`` parameters.
        launches: Distinct ones with the same arguments present; the first is the one that was probed.
        roles: By tensor, `IN`, `OUT`, `INOUT` or `UNTOUCHED`, found by running the first launch again.
        free: By constexpr integer: whether another value computed the same.
        choices: By name, the values that ``@triton.autotune`` has for it, its first configuration's first.
        keys: Autotune's.
        heuristics: Names that ``@triton.heuristics`` computes.
        skipped: What was left out, in sentences.
        again: Runs the first launch on copies with other constexprs, and says whether it computed the same; used while
            recording.
    """

    kernel: Any
    constexprs: frozenset[str]
    launches: list[SeenLaunch] = field(default_factory=list)
    roles: dict[str, str] = field(default_factory=dict)
    free: dict[str, bool] = field(default_factory=dict)
    choices: dict[str, tuple] = field(default_factory=dict)
    keys: tuple[str, ...] = ()
    heuristics: tuple[str, ...] = ()
    skipped: list[str] = field(default_factory=list)
    again: Callable[..., bool | None] | None = None
