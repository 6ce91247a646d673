"""Rows of sequences, which follow one another and share an adapter: vLLM's prefill metadata, as the kernels read it."""

import torch
import triton
import triton.language as tl


def lengths_of(indices: torch.Tensor) -> torch.Tensor:
    """Lengths of the runs of equal indices: [sequences] int32."""
    return torch.unique_consecutive(indices, return_counts=True)[1].to(torch.int32)


def slots_of(indices: torch.Tensor) -> torch.Tensor:
    """The index of each run of equal ones: [sequences]."""
    return torch.unique_consecutive(indices)


@triton.jit
def sequence_of(n, lengths_ptr, slots_ptr, first, T):
    """Number of rows of a sequence that starts at row ``first``, none past ``T``, and its slot."""
    length = tl.minimum(tl.maximum(tl.load(lengths_ptr + n), 0).to(tl.int32), T - first)
    return length, tl.load(slots_ptr + n).to(tl.int64)


@triton.jit
def first_item(before):
    """This core's first item where ``before`` items have been dealt to the cores in turn."""
    programs = tl.num_programs(0)
    return (tl.program_id(0) + programs - before % programs) % programs
