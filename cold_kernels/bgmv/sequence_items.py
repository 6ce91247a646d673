"""Sequences of rows as work for the cores, in Triton: how long one is, and which of its items a core takes."""

import triton
import triton.language as tl


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
