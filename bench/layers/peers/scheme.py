"""What a scheme launches for the LoRA of one projection."""

from collections.abc import Callable
from dataclasses import dataclass

from cold_kernels.ascend.host_clock import TRITON
from cold_kernels.cases import Case
from cold_kernels.record import Record
from cold_kernels.spec import KernelSpec

from ..projections import Batch, Projection


@dataclass(frozen=True)
class SchemeLaunch:
    """Launches of a kernel on a case, in one of these configurations, whichever is the fastest; ``times`` of them.

    ``launcher`` is what launches it in eager mode, a key of `host_clock.ENQUEUE_US`.
    """

    spec: KernelSpec
    case: Case
    configs: tuple[Record, ...]
    times: int = 1
    launcher: str = TRITON

    @classmethod
    def of(cls, spec: KernelSpec, words: str, *configs: dict, times: int = 1, launcher: str = TRITON) -> "SchemeLaunch":
        """From a case in words, and what configurations have other than the spec's default."""
        made = tuple(Record(spec.default, **config) for config in configs)
        return cls(spec, Case.parse(words, spec), made, times, launcher)


@dataclass(frozen=True)
class Scheme:
    """A way to compute LoRA.

    Args:
        name: As tables call it.
        source: Whose it is, and where it was read.
        launches: ``launches(projection, batch, rank, dtype, chip) -> [SchemeLaunch]``, of one projection.
        longest: Tokens of the longest prompt that it is simulated on: 0 where a prompt takes too long to simulate, None
            where any may be.
    """

    name: str
    source: str
    launches: Callable[[Projection, Batch, int, str, str], list[SchemeLaunch]]
    longest: int | None = None

    def takes(self, batch: Batch) -> bool:
        """Whether it is simulated on such a batch."""
        return not batch.prompt or self.longest is None or batch.rows <= self.longest
