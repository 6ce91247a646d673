"""SGLang's description of a batch, with what the operators take of it."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from sglang.srt.lora.utils import LoRABatchInfo

from .rows import Rows, grouped, packed_columns, rank_factors, row_slots, to_device


@dataclass
class BatchInfo(LoRABatchInfo):
    """A batch whose segments are its requests.

    Args:
        rows: Each token's adapter; of a captured graph in tensors that are written anew before each replay.
        static: Of a captured graph, by slices and largest rank: the columns and factors of `products.add_static`.
    """

    rows: Rows | None = None
    static: dict[tuple[int, int], tuple[torch.Tensor, torch.Tensor]] = field(default_factory=dict)


def eager_batch(
    slots: Sequence[int],
    lengths: Sequence[int],
    ranks: Sequence[int],
    scalings: Sequence[float],
    device: torch.device,
) -> BatchInfo:
    """A batch that is not captured.

    Args:
        slots: Each request's slot.
        lengths: Each request's tokens.
        ranks: Each slot's rank; 0 is the base model.
        scalings: Each slot's scaling.
        device: Where the model is.
    """
    seg_lens = torch.tensor(lengths, dtype=torch.int32)
    seg_indptr = torch.zeros(len(lengths) + 1, dtype=torch.int32)
    torch.cumsum(seg_lens, 0, out=seg_indptr[1:])
    return BatchInfo(
        use_cuda_graph=False,
        bs=len(lengths),
        num_segments=len(lengths),
        seg_indptr=to_device(seg_indptr, device),
        weight_indices=to_device(torch.tensor(slots, dtype=torch.int32), device),
        lora_ranks=to_device(torch.tensor(ranks, dtype=torch.int32), device),
        scalings=to_device(torch.tensor(scalings, dtype=torch.float32), device),
        max_len=max(lengths, default=0),
        seg_lens=to_device(seg_lens, device),
        expected_tokens=sum(lengths),
        rows=grouped(row_slots(slots, lengths, ranks), ranks, scalings, device),
    )


def captured_batch(requests: int, tokens: int, slots: int, device: torch.device) -> BatchInfo:
    """What captured decode graphs read: of so many requests at most, each of so many tokens, all of the base model."""
    with torch.device(device):
        return BatchInfo(
            use_cuda_graph=True,
            bs=requests,
            num_segments=requests,
            seg_indptr=torch.arange(requests + 1, dtype=torch.int32) * tokens,
            weight_indices=torch.zeros(requests, dtype=torch.int32),
            lora_ranks=torch.zeros(slots, dtype=torch.int32),
            scalings=torch.zeros(slots, dtype=torch.float32),
            max_len=tokens,
            seg_lens=torch.full((requests,), tokens, dtype=torch.int32),
            rows=Rows(torch.full((requests * tokens,), -1, dtype=torch.int32), None),
        )


def refresh(
    info: BatchInfo, slots: Sequence[int], lengths: Sequence[int], ranks: Sequence[int], scalings: Sequence[float]
) -> None:
    """Write a batch into the tensors that captured graphs read; arguments as in `eager_batch`.

    Raises:
        RuntimeError: a request has another number of tokens than was captured.
    """
    if any(length != info.max_len for length in lengths):
        raise RuntimeError(f"captured graphs have {info.max_len} tokens a request, this batch has {lengths}")
    indices, device = row_slots(slots, lengths, ranks), info.rows.indices.device
    info.bs = info.num_segments = len(slots)
    info.expected_tokens = len(indices)
    info.weight_indices[: len(slots)].copy_(to_device(torch.tensor(slots, dtype=torch.int32), device))
    info.lora_ranks.copy_(to_device(torch.tensor(ranks, dtype=torch.int32), device))
    info.scalings.copy_(to_device(torch.tensor(scalings, dtype=torch.float32), device))
    info.rows.indices[: len(indices)].copy_(to_device(indices, device))
    info.rows.indices[len(indices) :].fill_(-1)
    for key, (columns, factors) in info.static.items():
        new_columns, new_factors = _laid_out(info, *key)
        columns.copy_(new_columns)
        factors.copy_(new_factors)


def layout(info: BatchInfo, slices: int, most: int) -> tuple[torch.Tensor, torch.Tensor]:
    """The columns and factors of a captured batch for layers of so many slices and this largest rank, as tensors that
    `refresh` writes from now on."""
    if (slices, most) not in info.static:
        info.static[slices, most] = _laid_out(info, slices, most)
    return info.static[slices, most]


def _laid_out(info: BatchInfo, slices: int, most: int) -> tuple[torch.Tensor, torch.Tensor]:
    indices = info.rows.indices
    columns = packed_columns(indices, info.lora_ranks, slices, most)
    return columns, rank_factors(indices, info.lora_ranks, info.scalings, most)
