"""The prefill forms of vLLM's LoRA operators: an adapter for each sequence rather than for each row."""

import torch

from .checks import INDICES, check_float, check_same, check_tensor
from .lora import bgmv_expand, bgmv_expand_slice, bgmv_shrink


def sgmv_shrink(
    inputs: torch.Tensor,
    lora_a_weights: torch.Tensor,
    output_tensor: torch.Tensor,
    b_seq_start_loc: torch.Tensor,
    seq_len_tensor: torch.Tensor,
    lora_indices_tensor: torch.Tensor,
    batches: int,
    max_seq_length: int,
    token_nums: int,
    scaling: float,
) -> None:
    """`bgmv_shrink` with the index of ``lora_indices_tensor[i]`` for the rows of sequence i.

    Args:
        seq_len_tensor: ``[batches]``, int32 or int64: rows of each sequence, which follow one another.
        lora_indices_tensor: ``[batches]``.
        b_seq_start_loc, max_seq_length: Accepted for vLLM's sake; they follow from ``seq_len_tensor``.
        batches: Number of sequences.
        token_nums: Number of rows.

    The other arguments and errors are `bgmv_shrink`'s.
    """
    rows = _indices_by_row(inputs, seq_len_tensor, lora_indices_tensor, batches, token_nums)
    bgmv_shrink(inputs, lora_a_weights, output_tensor, rows, scaling)


def sgmv_expand(
    inputs: torch.Tensor,
    lora_b_weights: torch.Tensor,
    output_tensor: torch.Tensor,
    b_seq_start_loc: torch.Tensor,
    seq_len_tensor: torch.Tensor,
    lora_indices_tensor: torch.Tensor,
    batches: int,
    max_seq_length: int,
    token_nums: int,
    add_inputs: bool = False,
) -> None:
    """`bgmv_expand` with an index for each sequence; arguments as in `sgmv_shrink`."""
    rows = _indices_by_row(inputs, seq_len_tensor, lora_indices_tensor, batches, token_nums)
    bgmv_expand(inputs, lora_b_weights, output_tensor, rows, add_inputs)


def sgmv_expand_slice(
    inputs: torch.Tensor,
    lora_b_weights: torch.Tensor,
    output_tensor: torch.Tensor,
    b_seq_start_loc: torch.Tensor,
    seq_len_tensor: torch.Tensor,
    lora_indices_tensor: torch.Tensor,
    batches: int,
    max_seq_length: int,
    token_nums: int,
    slice_offset: int,
    slice_size: int,
    add_inputs: bool = False,
) -> None:
    """`bgmv_expand_slice` with an index for each sequence; arguments as in `sgmv_shrink`."""
    rows = _indices_by_row(inputs, seq_len_tensor, lora_indices_tensor, batches, token_nums)
    bgmv_expand_slice(inputs, lora_b_weights, output_tensor, rows, slice_offset, slice_size, add_inputs)


def _indices_by_row(
    inputs: torch.Tensor, lengths: torch.Tensor, indices: torch.Tensor, batches: int, rows: int
) -> torch.Tensor:
    check_float("inputs", inputs, 2)
    check_tensor("seq_len_tensor", lengths, 1, INDICES)
    check_tensor("lora_indices_tensor", indices, 1, INDICES)
    check_same("number of sequences", "seq_len_tensor", lengths.shape[0], "batches", batches)
    check_same("number of sequences", "lora_indices_tensor", indices.shape[0], "batches", batches)
    check_same("number of rows", "inputs", inputs.shape[0], "token_nums", rows)
    if lengths.device.type == "cpu":
        if batches and int(lengths.min()) < 0:
            raise ValueError(f"seq_len_tensor holds {int(lengths.min())}; lengths are 0 or more")
        check_same("number of rows", "seq_len_tensor in all", int(lengths.sum()), "token_nums", rows)
    return torch.repeat_interleave(indices, lengths, output_size=rows)
