"""The operators that make, move and resize tensors of the simulated device; all others are `dispatch`'s."""

import ctypes

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
        "_fused_sdp_choice": _fused_attention_choice,
        "convolution_overrideable": _convolution,
        "convolution_backward_overrideable": _convolution_backward,
    }.items():
        aten.impl(name, function, "PrivateUse1")
    for bit in ("Conjugate", "Negative"):  # else torch resolves the bit first, by a copy
        aten.impl("_copy_from", torch.library.fallthrough_kernel, bit)
    _libraries.extend((fallback, aten, *autocast.register()))
