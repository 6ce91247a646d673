"""Pointers that a kernel loads, casts or asks after: tables of addresses, as paged caches have them."""

import torch
import triton
import triton.language as tl

from .example import FP16, FP32, Example, ExampleLaunch, Maker, blank


@triton.jit
def rows_by_address(address_ptr, y_ptr, N: tl.constexpr):
    row, o_n = tl.program_id(0), tl.arange(0, N)
    x_ptr = tl.load(address_ptr + row).to(tl.pointer_type(y_ptr.dtype.element_ty))
    tl.store(y_ptr + row * N + o_n, tl.load(x_ptr + o_n))


@triton.jit
def rows_to_addresses(address_ptr, x_ptr, N: tl.constexpr):
    row, o_n = tl.program_id(0), tl.arange(0, N)
    y_ptr = tl.load(address_ptr + row).to(tl.pointer_type(x_ptr.dtype.element_ty))
    tl.store(y_ptr + o_n, tl.load(x_ptr + row * N + o_n))


@triton.jit
def numbers_to_addresses(address_ptr, x_ptr, n):
    for place in range(n):
        y_ptr = tl.load(address_ptr + place).to(tl.pointer_type(x_ptr.dtype.element_ty))
        tl.store(y_ptr, tl.load(x_ptr + place) + 1)


@triton.jit
def if_given(x_ptr, y_ptr):
    row = tl.program_id(0)
    if x_ptr:
        tl.store(y_ptr + row, tl.load(x_ptr + row))


def of_the_output(dtype: torch.dtype) -> Example:
    """Each row comes from the second half of the memory that the output is the first half of."""
    both = torch.arange(6 * 64).reshape(6, 64).to(dtype)
    y, addresses = both[:3], torch.tensor([both[row].data_ptr() for row in (5, 3, 4)])
    launch = ExampleLaunch(rows_by_address, [addresses, y], dict(N=64), (3,))
    return Example([launch], [(y, both[[5, 3, 4]].clone(), 0.0)])


def asked() -> Example:
    x, y = torch.randn(5), blank(5)
    return Example([ExampleLaunch(if_given, [x, y], {}, (5,))], [(y, x, 0.0)])


EXAMPLES: dict[str, Maker] = {
    "rows_by_address-fp16-3x64": lambda: of_the_output(FP16),
    "rows_by_address-fp32-3x64": lambda: of_the_output(FP32),
    "if_given-fp32-5": asked,
}
