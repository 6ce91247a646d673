"""Whether LoRA runs on the cube cores: by the tables, and by the number of rows where that was asked for."""

from typing import TYPE_CHECKING

import torch

from ..devices import device_of
from ..dtypes import dtype_name
from ..launch import has_group

if TYPE_CHECKING:
    from ..spec import KernelSpec

_from_rows: int | None = None


def lora_on_cube_from(rows: int | None) -> None:
    """Let batches of so many rows and more run on the cube cores even where tables choose the vector cores.

    Without this call the rank and the element type alone decide, by the tables of the chip, so that a row has the same
    bits in any batch. With it prompts are several times faster for ranks whose decode steps are faster on the vector
    cores, and **a row's bits depend on whether its batch has so many rows**. Only on Ascend, and only where the rows of
    an adapter are known: of ``sgmv_*``, and of `bgmv_shrink_expand` with a ``row_order``.

    Args:
        rows: The number, from 1; None to have the tables decide again.

    Raises:
        ValueError: another number.
    """
    global _from_rows
    if rows is not None and (isinstance(rows, bool) or not isinstance(rows, int) or rows < 1):
        raise ValueError(f"rows is {rows!r}; it must be an integer from 1, or None")
    _from_rows = rows


def on_cube(spec: "KernelSpec", inputs: torch.Tensor, rank: int, grouped: bool) -> bool:
    """Whether LoRA of these inputs runs by ``spec``, a kernel of the cube cores.

    Args:
        grouped: Whether rows that share an adapter are known, which is what `lora_on_cube_from` counts on.
    """
    device = device_of(inputs)
    if device.backend != "ascend" or rank > spec.limits["R"] or inputs.dtype not in (torch.float16, torch.bfloat16):
        return False
    asked = grouped and _from_rows is not None and inputs.shape[0] >= _from_rows
    return asked or has_group(spec, (rank, dtype_name(inputs.dtype)), device)
