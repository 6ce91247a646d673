"""The operators that make, move and resize tensors of the simulated device; all others are `dispatch`'s."""

import ctypes
import math

import torch

from . import autocast
from .dispatch import check_index, resized, run_on_cpu, strided
from .memory import allocated, on_cpu, on_npu

_libraries: list[torch.library.Library] = []
"""Registrations end when a library is collected."""


def _empty(size, *, dtype=None, layout=None, device=None, pin_memory=None, memory_format=None):
    check_strided(layout)
    check_index(device)
    return allocated(torch.empty(size, dtype=dtype, memory_format=memory_format or torch.contiguous_format))


def _empty_strided(size, stride, *, dtype=None, layout=None, device=None, pin_memory=None):
    check_index(device)
    return allocated(torch.empty_strided(size, stride, dtype=dtype))


def _cpu(tensor: torch.Tensor) -> torch.Tensor:
    return on_cpu(tensor) if tensor.device.type == "npu" else tensor


def _copy_from(source, target, non_blocking=False):
    _cpu(target).copy_(_cpu(source))
    return target


def _copy_from_and_resize(source, target):
    if source.shape != target.shape:
        _resize(target, source.shape)
    return _copy_from(source, target)


def _resize(tensor, size, *, memory_format=None):
    return resized(tensor, size)


def check_strided(layout: torch.layout | None) -> None:
    """Refuse tensors of another layout."""
    if layout not in (None, torch.strided):
        raise NotImplementedError(f"{layout} tensors are not simulated on npu")


def _set_storage(tensor, storage):
    return _set_part(tensor, storage, 0, (storage.nbytes() // tensor.element_size(),), (1,))


def _set_part(tensor, storage, offset, size, stride=()):
    stride = stride or torch.empty(tuple(size), device="meta").stride()
    if storage.nbytes():
        data = (ctypes.c_uint8 * storage.nbytes()).from_address(storage.data_ptr())
        data.storage = storage  # lives as long as whatever reads its bytes
        whole = on_npu(torch.frombuffer(data, dtype=torch.uint8))
    else:
        whole = allocated(torch.empty(0, dtype=torch.uint8))
    tensor.data = strided(whole.view(tensor.dtype), size, stride, offset)
    return tensor


def _as_strided(tensor, size, stride, storage_offset=None):
    return strided(tensor, size, stride, storage_offset)


def _set_tensor(tensor, source):
    tensor.data = source.data
    return tensor


def _fused_attention_choice(query, key, value, *args, **kwargs):
    return 0  # torch.nn.attention.SDPBackend.MATH: the formula, operator by operator


def _convolution(*args):
    return run_on_cpu(torch.ops.aten.convolution.default, *args)


def _convolution_backward(grad, source, weight, stride, padding, dilation, transposed, output_padding, groups, mask):
    sizes = [weight.shape[1] * groups if transposed else weight.shape[0]]
    given = (grad, source, weight, sizes, stride, padding, dilation, transposed, output_padding, groups, mask)
    return run_on_cpu(torch.ops.aten.convolution_backward.default, *given)


def _fill(tensor, value):
    """CANN converts the number to the tensor's type (aclnnInplaceFillScalar) and does not ask whether it fits, where
    torch's CPU raises. How is not documented: here the low bits of integers, and of floats the nearest number of the
    type, 0 for NaN."""
    if not (tensor.is_floating_point() or tensor.is_complex() or tensor.dtype == torch.bool):
        value = _low_bits(value, tensor.dtype)
    return run_on_cpu(torch.ops.aten.fill_.Scalar, tensor, value)


def _low_bits(value: bool | int | float, dtype: torch.dtype) -> int:
    limits = torch.iinfo(dtype)
    if isinstance(value, float):
        value = 0 if math.isnan(value) else min(max(value, limits.min), limits.max)
    return (int(value) - limits.min) % (1 << limits.bits) + limits.min


def _uniform(tensor, low=0.0, high=1.0, *, generator=None):
    """CANN's are discrete (aclnnInplaceUniform), so that integers are drawn too, which torch's CPU refuses."""
    if tensor.is_floating_point():
        return run_on_cpu(torch.ops.aten.uniform_.default, tensor, low, high, generator=generator)
    if tensor.dtype == torch.bool or tensor.is_complex():
        raise NotImplementedError(f"uniform_ of {tensor.dtype} is not simulated on npu: CANN draws floats and integers")
    drawn = allocated(torch.empty(tensor.shape, dtype=torch.float64))
    run_on_cpu(torch.ops.aten.uniform_.default, drawn, low, high, generator=generator)
    return tensor.copy_(drawn.floor())


def _layer_norm(tensor, shape, weight, bias, eps):
    """CANN's is the precise one of its modes (aclnnLayerNorm), here fp32 rounded once; of bf16 torch's CPU is off by
    several steps."""
    wide = (None if given is None else given.float() for given in (weight, bias))
    outputs = run_on_cpu(torch.ops.aten.native_layer_norm.default, tensor.float(), shape, *wide, eps)
    kept = tensor if weight is None else weight  # what the backward pass takes mean and deviation in
    return tuple(output.to(like.dtype) for output, like in zip(outputs, (tensor, kept, kept), strict=True))


def registered() -> bool:
    """Whether the operators are known to torch."""
    return bool(_libraries)


def register() -> None:
    """Make the operators known to torch, once a process."""
    if _libraries:
        return
    fallback = torch.library.Library("_", "IMPL")
    fallback.fallback(run_on_cpu, "PrivateUse1")
    aten = torch.library.Library("aten", "IMPL")
    for name, function in {
        "empty.memory_format": _empty,
        "empty_strided": _empty_strided,
        "_copy_from": _copy_from,
        "_copy_from_and_resize": _copy_from_and_resize,
        "resize_": _resize,
        "as_strided": _as_strided,
        "set_.source_Tensor": _set_tensor,
        "set_.source_Storage": _set_storage,
        "set_.source_Storage_storage_offset": _set_part,
        "fill_.Scalar": _fill,
        "uniform_": _uniform,
        "native_layer_norm": _layer_norm,
        "_fused_sdp_choice": _fused_attention_choice,
        "convolution_overrideable": _convolution,
        "convolution_backward_overrideable": _convolution_backward,
    }.items():
        aten.impl(name, function, "PrivateUse1")
    for bit in ("Conjugate", "Negative"):  # else torch resolves the bit first, by a copy
        aten.impl("_copy_from", torch.library.fallthrough_kernel, bit)
    _libraries.extend((fallback, aten, *autocast.register()))
