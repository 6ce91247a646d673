"""Compiled-in parameters that change with the batch: a serving process compiles for every size that comes."""

from collections.abc import Iterable, Iterator
from typing import Any

from cold_kernels.ascend.findings.codes import CONSTEXPR_FOLLOWS_BATCH
from cold_kernels.ascend.findings.finding import Finding, head_of
from cold_kernels.source import python_function
from cold_kernels.stage import StageCall

from ..profiled import ProfiledKernel


def constexpr_follows_batch(kernel: ProfiledKernel) -> Iterator[Finding]:
    """A finding for each parameter that is compiled in, and is another one where the batch is larger by one.

    The configuration stays the same: that tables have another one for some sizes compiles a few times, not for each.
    """
    if kernel.larger is None:
        return
    now = _constants(kernel.calls())
    for (function, name), (triton_function, value) in _constants(kernel.larger()).items():
        _, before = now.get((function, name), (None, value))
        if before != value:
            yield Finding(
                CONSTEXPR_FOLLOWS_BATCH,
                function,
                head_of(triton_function, name),
                f"{name} is a tl.constexpr and follows {kernel.batch}: {before} here, and {value} where that is "
                f"{'larger' if value > before else 'smaller'} by one; serving compiles for every {kernel.batch}",
                f"take {name} as a number at run time, and name it in @triton.jit(do_not_specialize=[...]), so that 1 "
                "compiles no kernel of its own either",
            )


def unchecked(kernel: ProfiledKernel) -> list[str]:
    """The codes that nobody can look for in a kernel: this one, where nothing says which dimension is the batch."""
    return [] if kernel.batch else [CONSTEXPR_FOLLOWS_BATCH]


def _constants(calls: Iterable[StageCall]) -> dict[tuple[str, str], tuple[Any, Any]]:
    """By function and parameter: the Triton function, and what is compiled in."""
    return {
        (python_function(call.kernel).__name__, name): (call.kernel, value)
        for call in calls
        for name, value in call.constants.items()
    }
