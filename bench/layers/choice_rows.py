"""Rows of logits as a model's, as many as one likes."""

from dataclasses import dataclass
from typing import Any

from cold_kernels.cases import Case
from cold_kernels.contrastive.cases import SMALL_CASE, TIMED
from cold_kernels.record import Record
from cold_kernels.spec import KernelSpec


@dataclass(frozen=True)
class UsualRows:
    """A `Case` for an `Evaluator` without the special rows, alphas and betas of a kernel's own small cases.

    It is the first rows of a case that is too large to have any.
    """

    rows: int
    vocabulary: int
    dtype: str

    def shape(self, spec: KernelSpec) -> Record:
        """As `Case.shape`."""
        return self._case(spec, self.rows).shape()

    def tensors(self, spec: KernelSpec, blank: bool = False) -> dict[str, Any]:
        """As `Case.tensors`."""
        ordinary = max(self.rows, -(-SMALL_CASE // self.vocabulary))
        made = self._case(spec, -(-ordinary // TIMED) * TIMED).tensors(spec, blank=blank)
        by_row = {name for name in made if name in spec.tensors and spec.tensors[name].dims[:1] == ("B",)}
        return {name: value[: self.rows] if name in by_row else value for name, value in made.items()}

    def _case(self, spec: KernelSpec, rows: int) -> Case:
        return Case.parse(f"B={rows} V={self.vocabulary} dtype={self.dtype}", spec)
