"""Which adapter each row of a batch has, out of what SGLang says by request."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from ... import lora_row_order


@dataclass(frozen=True)
class Group:
    """Rows whose adapters share rank and scaling, so that one launch takes them.

    Args:
        rank: Of these adapters, 1 or more.
        scaling: Of these adapters.
        indices: ``[T]``, int32: the slot of each of these rows, -1 for all others.
        order: ``[4, T + 1]``, int32, `lora_row_order` of the indices on devices; None on the CPU, which needs none.
    """

    rank: int
    scaling: float
    indices: torch.Tensor
    order: torch.Tensor | None


@dataclass(frozen=True)
class Rows:
    """A batch's rows in the order of its tokens.

    Args:
        indices: ``[T]``, int32: each row's slot; -1 is a row of the base model.
        groups: The rows with an adapter, each in one group. None if ranks and scalings are to be read on the device:
            a captured graph must serve adapters of any rank.
    """

    indices: torch.Tensor
    groups: tuple[Group, ...] | None


def row_slots(slots: Sequence[int], lengths: Sequence[int], ranks: Sequence[int]) -> torch.Tensor:
    """Each row's slot, ``[T]`` int32 on the CPU; -1 where the slot's rank is 0, which is SGLang's base model.

    Args:
        slots: The slot of each run of rows.
        lengths: How many rows each run has.
        ranks: Each slot's rank.
    """
    adapted = torch.tensor([slot if ranks[slot] else -1 for slot in slots], dtype=torch.int32, device="cpu")
    return adapted.repeat_interleave(torch.tensor(lengths, dtype=torch.int64, device="cpu"))


def grouped(indices: torch.Tensor, ranks: Sequence[int], scalings: Sequence[float], device: torch.device) -> Rows:
    """The rows of a batch that is not captured, in as many groups as its adapters have ranks and scalings.

    Args:
        indices: From `row_slots`.
        ranks: Each slot's rank.
        scalings: Each slot's scaling.
        device: Where the model is; all groups go there in one copy.
    """
    used = [slot for slot in indices.unique().tolist() if slot >= 0]
    kinds = sorted({(ranks[slot], float(scalings[slot])) for slot in used})
    masked = [indices]
    if len(kinds) > 1:
        kind_of_slot = torch.tensor([kinds.index(kind) if kind in kinds else -1 for kind in zip(ranks, scalings)])
        kind = kind_of_slot[indices.clamp(min=0).long()]
        masked += [indices.where(kind == place, -1) for place in range(len(kinds))]
    first, *rest = to_device(torch.stack(masked), device)
    groups = []
    for (rank, scaling), of_group in zip(kinds, rest or [first]):
        order = None if of_group.is_cpu else lora_row_order(of_group)
        groups.append(Group(rank, scaling, of_group, order))
    return Rows(first, tuple(groups))


def to_device(tensor: torch.Tensor, device: torch.device) -> torch.Tensor:
    """A copy on the device; from pinned memory, so that the host does not wait for it."""
    if device.type == "cpu":
        return tensor
    return tensor.pin_memory().to(device, non_blocking=True)


def rank_factors(indices: torch.Tensor, ranks: torch.Tensor, scalings: torch.Tensor, most: int) -> torch.Tensor:
    """What a row's small product is multiplied by, ``[T, most]`` float32: its adapter's scaling in the columns that the
    adapter has, 0 in all others and in base rows.

    Args:
        indices: ``[T]``: each row's slot, or -1.
        ranks: ``[L]``: each slot's rank.
        scalings: ``[L]``: each slot's scaling.
        most: The largest rank, for which the weights have room.
    """
    slots = indices.clamp(min=0).long()
    has = (torch.arange(most, device=indices.device) < ranks[slots, None]) & (indices >= 0)[:, None]
    return torch.where(has, scalings[slots, None].float(), 0.0)


def packed_columns(indices: torch.Tensor, ranks: torch.Tensor, slices: int, most: int) -> torch.Tensor:
    """Where the parts of each slice are in a row's small product, ``[T, slices * most]`` int64.

    SGLang keeps the slices of an adapter's A one after the other without gaps: slice s of rank r starts at row
    ``s * r``, wherever the next adapter's does. Columns beyond an adapter's rank are those of some other slice.
    """
    rank = ranks[indices.clamp(min=0).long(), None, None].long()
    slice_, column = torch.arange(slices, device=indices.device)[:, None], torch.arange(most, device=indices.device)
    return (slice_ * rank + column).clamp(max=slices * most - 1).flatten(1)
