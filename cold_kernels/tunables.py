"""What a kernel leaves to be tuned, and how each choice reaches a launch."""

from dataclasses import dataclass
from typing import Any

BACKENDS = ("ascend", "cuda", "interpreter")

OPTIONS = {"cuda": {"enable_fp_fusion": False}}
"""Launch options of every launch, by back end. Multiplications and additions that the kernel does not fuse stay apart:
Triton's default differs between releases, and with it the bits of a sum."""

SWITCHES = (
    "sync_solver", "unit_flag", "limit_auto_multi_buffer_only_for_local_buffer",
    "limit_auto_multi_buffer_of_local_buffer", "set_workspace_multibuffer", "enable_hivm_auto_cv_balance",
    "tile_mix_vector_loop", "tile_mix_cube_loop",
)  # fmt: skip
"""What an `AscendSwitch` may be: options of a triton-ascend launch."""


@dataclass(frozen=True)
class Tunable:
    """A named choice, passed to the kernel as the ``tl.constexpr`` parameter of its name.

    Args:
        values: What may be chosen, in ascending order where there is one.
        default: The choice of somebody who tunes by hand; trial 0 of every study.
    """

    values: tuple
    default: Any

    def __post_init__(self) -> None:
        if self.default not in self.values:
            raise ValueError(f"default {self.default!r} is none of the values {self.values}")

    def constants(self, name: str, value: Any, backend: str) -> dict[str, Any]:
        """The constexpr parameters that this choice sets on ``backend``."""
        return {name: value}

    def options(self, value: Any, backend: str) -> dict[str, Any]:
        """The launch options, in the words of the backend's own Triton, that this choice sets."""
        return {}


def Choice(*values: Any, default: Any = None) -> Tunable:
    """One of ``values``; the first is the default unless another is named."""
    return Tunable(values, values[0] if default is None else default)


def PowerOf2(low: int, high: int, *, default: int) -> Tunable:
    """A power of two from ``low`` to ``high``, both included, as ``tl.arange`` wants it everywhere."""
    if low < 1 or low & (low - 1) or high & (high - 1) or high < low:
        raise ValueError(f"PowerOf2 needs powers of two, the lower one first, not {low} and {high}")
    return Tunable(tuple(1 << e for e in range(low.bit_length() - 1, high.bit_length())), default)


@dataclass(frozen=True, init=False)
class PipelineDepth(Tunable):
    """Pipelining depth: how many buffers a loaded tile has, from 1 (no overlap asked for) to ``upto``.

    On Ascend the kernel asks for them by ``tl.compile_hint(tile, "hivm.multi_buffer", DEPTH)``; on a GPU it
    is ``num_stages``; interpreted it is nothing. Where the kernel must not hint, its parameter is 1.
    """

    def __init__(self, *, upto: int, default: int) -> None:
        super().__init__(tuple(range(1, upto + 1)), default)

    def constants(self, name: str, value: int, backend: str) -> dict[str, int]:
        return {name: value if backend == "ascend" else 1}

    def options(self, value: int, backend: str) -> dict[str, int]:
        return {"num_stages": value} if backend == "cuda" else {}


@dataclass(frozen=True, init=False)
class Warps(Tunable):
    """Warps of a program (`num_warps`), powers of two from 1 to ``upto``; nothing but on a GPU.

    How a tile lies in a program's threads follows from them, and with it the order of a sum: they belong to
    `KernelSpec.invariant` where the kernel sums.
    """

    def __init__(self, *, upto: int, default: int) -> None:
        super().__init__(PowerOf2(1, upto, default=default).values, default)

    def constants(self, name: str, value: int, backend: str) -> dict[str, Any]:
        return {}

    def options(self, value: int, backend: str) -> dict[str, int]:
        return {"num_warps": value} if backend == "cuda" else {}


@dataclass(frozen=True)
class AutoMultiBuffer(Tunable):
    """Whether the Ascend compiler may double-buffer the loads that carry no hint; nothing elsewhere."""

    values: tuple = (True, False)
    default: bool = True

    def constants(self, name: str, value: bool, backend: str) -> dict[str, Any]:
        return {}

    def options(self, value: bool, backend: str) -> dict[str, bool]:
        return {"multibuffer": value} if backend == "ascend" else {}


@dataclass(frozen=True)
class AscendSwitch(Tunable):
    """An option of a triton-ascend launch that is no parameter of the kernel; nothing elsewhere.

    Args:
        values: What may be chosen; None leaves it to the compiler.
        default: The choice of somebody who tunes by hand.
        option: One of `SWITCHES`.
    """

    option: str = ""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.option not in SWITCHES:
            raise ValueError(f"{self.option!r} is no switch of a launch; there are {', '.join(SWITCHES)}")

    def constants(self, name: str, value: Any, backend: str) -> dict[str, Any]:
        return {}

    def options(self, value: Any, backend: str) -> dict[str, Any]:
        return {self.option: value} if backend == "ascend" and value is not None else {}


def Switch(option: str, *values: Any) -> AscendSwitch:
    """An `AscendSwitch` between the compiler's own choice, which is the default, and ``values``."""
    return AscendSwitch((None, *values), None, option)
