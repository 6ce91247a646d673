"""Whether LoRA runs on the cube cores: by the tables, and by the number of rows where that was asked for."""

import torch

from ..devices import Device, device_of
from ..dtypes import dtype_name
from ..launch import has_group
from ..limits import MAX_FUSED_RANK

_from_rows: int | None = None


def lora_on_cube_from(rows: int | None) -> None:
    """Let batches of so many rows and more run on the cube cores even where tables choose the vector cores.

    Without this call the rank and the element type alone decide, by the tables of the chip, so that a row has the same
    bits in any batch. With it prompts are several times faster for ranks whose decode steps are faster on the vector
    cores, and **a row's bits depend on whether its batch has so many rows**. Only on Ascend.

    Args:
        rows: The number, from 1; None to have the tables decide again.

    Raises:
        ValueError: another number.
    """
    global _from_rows
    if rows is not None and (isinstance(rows, bool) or not isinstance(rows, int) or rows < 1):
        raise ValueError(f"rows is {rows!r}; it must be an integer from 1, or None")
    _from_rows = rows


def on_cube(inputs: torch.Tensor, rank: int) -> bool:
    """Whether shrink and expand of these inputs run on the cube cores."""
    device = device_of(inputs)
    if device.backend != "ascend" or rank > MAX_FUSED_RANK or inputs.dtype not in (torch.float16, torch.bfloat16):
        return False
    return _tabled(device, rank, dtype_name(inputs.dtype)) or (_from_rows is not None and inputs.shape[0] >= _from_rows)


def _tabled(device: Device, rank: int, dtype: str) -> bool:
    from ..bgmv.cube_shrink_expand import bgmv_shrink_expand_cube

    return has_group(bgmv_shrink_expand_cube, (rank, dtype), device)
