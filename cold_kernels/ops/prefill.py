"""The prefill forms of vLLM's LoRA operators: an adapter for each sequence rather than for each row."""

from collections.abc import Callable
from typing import Any

import torch

from .checks import FLOATS, INDICES, check_same, check_tensor
from .library import operator
from .lora import check_expand, check_expand_slice, check_shrink
from .run import expand, shrink


def _of_sequences(check: Callable) -> Callable:
    """The check of a prefill form, from that of the decode form."""

    def checked(
        inputs: torch.Tensor,
        weights: torch.Tensor,
        output: torch.Tensor,
        starts: torch.Tensor,
        lengths: torch.Tensor,
        indices: torch.Tensor,
        batches: int,
        longest: int,
        rows: int,
        *others: Any,
    ) -> None:
        check_tensor("inputs", inputs, 2, FLOATS)
        check_tensor("seq_len_tensor", lengths, 1, INDICES)
        check_tensor("lora_indices_tensor", indices, 1, INDICES)
        check_same("device", "seq_len_tensor", lengths.device, "inputs", inputs.device)
        check_same("number of sequences", "seq_len_tensor", lengths.shape[0], "batches", batches)
        check_same("number of sequences", "lora_indices_tensor", indices.shape[0], "batches", batches)
        check_same("number of rows", "inputs", inputs.shape[0], "token_nums", rows)
        check(inputs, weights, output, indices.new_empty(rows), *others)

    return checked


_check_shrink, _check_expand, _check_slice = map(_of_sequences, (check_shrink, check_expand, check_expand_slice))


@operator(_check_shrink, mutates=("output_tensor",))
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
    if token_nums:
        _check_lengths(seq_len_tensor, token_nums)
        shrink(inputs, lora_a_weights, output_tensor, lora_indices_tensor, scaling, seq_len_tensor)


@operator(_check_expand, mutates=("output_tensor",))
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
    if token_nums:
        _check_lengths(seq_len_tensor, token_nums)
        expand(inputs, lora_b_weights, output_tensor, lora_indices_tensor, add_inputs, seq_len_tensor)


@operator(_check_slice, mutates=("output_tensor",))
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
    if token_nums:
        _check_lengths(seq_len_tensor, token_nums)
        part = output_tensor.narrow(1, slice_offset, slice_size)
        expand(inputs, lora_b_weights, part, lora_indices_tensor, add_inputs, seq_len_tensor)


def _check_lengths(lengths: torch.Tensor, rows: int) -> None:
    """Raise unless they are of so many rows in all. They are looked at on the CPU alone."""
    if lengths.device.type == "cpu":
        if int(lengths.min()) < 0:
            raise ValueError(f"seq_len_tensor holds {int(lengths.min())}; lengths are 0 or more")
        check_same("number of rows", "seq_len_tensor in all", int(lengths.sum()), "token_nums", rows)
