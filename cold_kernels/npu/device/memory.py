"""Tensors of the simulated device and CPU tensors that share one memory.

A DLPack capsule names the device of the memory that it hands over; torch reads `EXTENSION` as its device for
back ends of others ("PrivateUse1", here renamed to ``npu``). Writing another device into the capsule gives a
tensor of that device on the same memory, with its strides, in about a microsecond.
"""

import ctypes

import torch
from torch.multiprocessing.reductions import StorageWeakRef

CPU, EXTENSION = 1, 12
"""``DLDeviceType`` of DLPack's header: kDLCPU, kDLExtDev."""


class _Device(ctypes.Structure):
    _fields_ = [("device_type", ctypes.c_int32), ("device_id", ctypes.c_int32)]


class _Tensor(ctypes.Structure):
    """The beginning of DLPack's ``DLTensor``."""

    _fields_ = [("data", ctypes.c_void_p), ("device", _Device)]


_pointer = ctypes.pythonapi.PyCapsule_GetPointer
_pointer.restype, _pointer.argtypes = ctypes.c_void_p, [ctypes.py_object, ctypes.c_char_p]


def _relabelled(tensor: torch.Tensor, kind: int) -> torch.Tensor:
    capsule = torch._C._to_dlpack(tensor)
    _Tensor.from_address(_pointer(capsule, b"dltensor")).device = _Device(kind, 0)
    made = torch._C._from_dlpack(capsule)
    if made.stride() != tensor.stride():  # DLPack gives dimensions of one element the stride 1
        made.as_strided_(tensor.shape, tensor.stride(), 0)
    made = made.conj() if tensor.is_conj() else made
    return torch._neg_view(made) if tensor.is_neg() else made


def on_cpu(tensor: torch.Tensor) -> torch.Tensor:
    """A CPU tensor, without a gradient, on the memory of a tensor of the device; lazily conjugated or negated as that
    is."""
    with torch.no_grad():
        return _relabelled(tensor.data, CPU)


def on_npu(tensor: torch.Tensor) -> torch.Tensor:
    """A tensor of the device on the memory of a CPU tensor."""
    return _relabelled(tensor, EXTENSION)


class Allocations:
    """What the device has handed out and is still in use: where an address belongs to, and how much it is."""

    def __init__(self) -> None:
        self._known: dict[int, tuple[int, StorageWeakRef]] = {}
        self._looked = 0

    def add(self, tensor: torch.Tensor) -> None:
        """Note the memory of a new CPU tensor that becomes the device's."""
        storage = tensor.untyped_storage()
        if storage.nbytes():
            self._known[storage.data_ptr()] = storage.nbytes(), StorageWeakRef(storage)
        if len(self._known) > 2 * self._looked + 1024:
            self._drop_freed()
            self._looked = len(self._known)

    def at(self, address: int) -> tuple[int, int] | None:
        """First address and bytes of the allocation that holds ``address``; None if none does."""
        self._drop_freed()
        return next(((start, size) for start, (size, _) in self._known.items() if 0 <= address - start < size), None)

    def bytes(self) -> int:
        """Bytes in use."""
        self._drop_freed()
        return sum(size for size, _ in self._known.values())

    def _drop_freed(self) -> None:
        self._known = {start: kept for start, kept in self._known.items() if not kept[1].expired()}


allocations = Allocations()


def allocated(cpu: torch.Tensor) -> torch.Tensor:
    """A new tensor of the device from a CPU tensor that nobody else holds."""
    allocations.add(cpu)
    return on_npu(cpu)


def whole_on_cpu(tensor: torch.Tensor) -> torch.Tensor:
    """A CPU tensor like one of the device, on all of its storage: a kernel may reach beyond its view."""
    storage = tensor.untyped_storage()
    if not storage.nbytes():
        return on_cpu(tensor)
    with torch.no_grad():
        everything = tensor.data.as_strided_((0,), (1,), 0).view(torch.uint8)
        everything.as_strided_((storage.nbytes(),), (1,), 0)
        memory = _relabelled(everything, CPU).untyped_storage()
        empty = torch.empty(0, dtype=tensor.dtype)
        return empty.set_(memory, tensor.storage_offset(), tensor.shape, tensor.stride())


def pointed_at(name: str, address: int, dtype: torch.dtype) -> torch.Tensor:
    """A CPU tensor on the rest of the device's allocation that holds an address, beginning there.

    Raises:
        ValueError: no tensor of the device is there.
    """
    found = allocations.at(address)
    if found is None:
        raise ValueError(f"argument {name} points to {address:#x}, where no tensor on npu is")
    start, size = found
    memory = torch.frombuffer((ctypes.c_uint8 * size).from_address(start), dtype=torch.uint8).untyped_storage()
    offset, beyond = divmod(address - start, dtype.itemsize)
    if beyond:
        raise ValueError(f"argument {name} points to {address:#x}, between two elements of {dtype}")
    return torch.empty(0, dtype=dtype).set_(memory, offset, (size // dtype.itemsize - offset,), (1,))
