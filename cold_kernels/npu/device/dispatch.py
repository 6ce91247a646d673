"""Every operator of torch on tensors of the simulated device: run on the CPU, on the same memory."""

import functools
import math
from contextlib import nullcontext
from typing import Any, NamedTuple

import torch
from torch.utils import _pytree as pytree

from . import generators
from .memory import allocated, on_cpu, on_npu

OWN = ("aten", "prims", "quantized")
"""Namespaces of torch's own operators; what others register must have a kernel for the device."""
INDEXED = ("aten::index.", "aten::index_put", "aten::_index_put", "aten::_unsafe_index")
COPIES = ("aten::copy_", "aten::_copy")
"""Beginnings of the names of operators whose indices, or all of whose tensors, may lie on the host."""
NOT_RESIZABLE = "resize storage that is not resizable"


class Traits(NamedTuple):
    """What an operator's schema says that matters here."""

    generator: int | None
    """The place of its generator, by which it is a random one; None without."""
    tensors: tuple[str, ...]
    """Names of the arguments that are tensors, in order, empty where another kind of argument stands."""
    views: tuple[bool, ...]
    """For each result, whether it is a view of an argument."""
    seeded: bool
    """Whether it is a random one that takes no generator."""
    indexed: bool
    copies: bool


@functools.cache
def traits(op: torch._ops.OpOverload) -> Traits:
    """The traits of an operator."""
    schema = op._schema
    places = [place for place, arg in enumerate(schema.arguments) if arg.name == "generator"]
    views = tuple(r.alias_info is not None and not r.alias_info.is_write for r in schema.returns)
    tensors = tuple(arg.name if str(arg.type) == "Tensor" else "" for arg in schema.arguments)
    seeded = not places and torch.Tag.nondeterministic_seeded in op.tags
    name = f"{schema.name}."
    return Traits(
        places[0] if places else None, tensors, views, seeded, name.startswith(INDEXED), name.startswith(COPIES)
    )


def is_npu(value: Any) -> bool:
    """Whether a value is a tensor of the device."""
    return isinstance(value, torch.Tensor) and value.device.type == "npu"


def run_on_cpu(op: torch._ops.OpOverload, *args: Any, **kwargs: Any) -> Any:
    """Run an operator on the memory of its arguments; results are tensors of the device.

    Raises:
        RuntimeError: tensors of the CPU are mixed with those of the device, or what the operator raises.
        NotImplementedError: the operator is nobody's on the device, or the CPU has no kernel for it.
    """
    if op.namespace not in OWN:
        raise NotImplementedError(f"Could not run '{op}' on 'npu': no kernel is registered for PrivateUse1 (npu)")
    known = traits(op)
    if known.generator is not None:
        args, kwargs = generators.given(known.generator, args, kwargs)
    if not known.copies:
        _check_devices(op, (args[0], *args[2:], kwargs) if known.indexed else (args, kwargs))
    given, spec = pytree.tree_flatten((args, kwargs))
    try:
        with generators.drawn_from() if known.seeded else nullcontext():
            return _run(op, known, given, spec, on_cpu)
    except NotImplementedError as error:
        raise NotImplementedError(f"{op} is not simulated on npu: torch's CPU has no kernel for it here") from error
    except RuntimeError as error:
        if NOT_RESIZABLE not in str(error):
            raise
    # An output of another size: computed apart, which the output then becomes.
    return _run(op, known, given, spec, lambda tensor: on_cpu(tensor).clone(), moved=True)


def _run(op, known: Traits, given: list, spec, to_cpu, moved: bool = False) -> Any:
    made: dict[int, tuple[torch.Tensor, torch.Tensor]] = {}
    """For each CPU tensor that stands for an argument, by its id: that tensor and the argument."""
    arguments = []
    for value in given:
        if is_npu(value):
            cpu = to_cpu(value)
            made[id(cpu)] = cpu, value
            value = cpu
        elif isinstance(value, torch.device) and value.type == "npu":
            check_index(value)
            value = torch.device("cpu")
        arguments.append(value)
    args, kwargs = pytree.tree_unflatten(arguments, spec)
    if kwargs.get("pin_memory"):
        kwargs = {**kwargs, "pin_memory": False}
    # Numbers that torch has wrapped into tensors come as numbers: the overload for them promotes types as it should.
    numbers = (not isinstance(value, torch.Tensor) for value in args)
    wrapped = any(name and number for name, number in zip(known.tensors, numbers, strict=False))
    results = (op.overloadpacket if wrapped else op)(*args, **kwargs)
    for cpu, tensor in made.values():
        if moved and _written(op, cpu, tensor):
            _become(tensor, cpu)

    def result(value: Any, view: bool) -> Any:
        if isinstance(value, (list, tuple)):
            return type(value)(result(part, view) for part in value)
        if not isinstance(value, torch.Tensor):
            return value
        if id(value) in made:
            return made[id(value)][1]
        return _view(value, [tensor for _, tensor in made.values()]) if view else allocated(value)

    if len(known.views) > 1:
        return tuple(result(value, view) for value, view in zip(results, known.views, strict=True))
    return result(results, any(known.views))


def check_index(device: torch.device | None) -> None:
    """Refuse a device that there is not.

    Raises:
        RuntimeError: it is another than ``npu:0``.
    """
    if device is not None and device.index not in (None, 0):
        raise RuntimeError(f"invalid device ordinal {device.index}: one NPU is simulated, npu:0")


def _check_devices(op: torch._ops.OpOverload, given: Any) -> None:
    tensors = [value for value in pytree.tree_leaves(given) if isinstance(value, torch.Tensor)]
    if any(is_npu(value) for value in tensors):
        for value in tensors:
            if value.device.type == "cpu" and value.dim():
                raise RuntimeError(
                    f"Expected all tensors to be on the same device, but found at least two devices, npu:0 and cpu! "
                    f"({op} takes a CPU tensor of shape {tuple(value.shape)} beside tensors of the simulated NPU)"
                )
    elif any(value.dim() for value in tensors):
        raise RuntimeError(
            f"Expected all tensors to be on the same device, but found at least two devices, cpu and npu:0! "
            f"({op} takes tensors on the CPU, and an index on the simulated NPU)"
        )


def _view(cpu: torch.Tensor, tensors: list[torch.Tensor]) -> torch.Tensor:
    """The view of one of the arguments that lies where ``cpu`` does."""
    for tensor in tensors:
        start = tensor.untyped_storage().data_ptr()
        offset = cpu.data_ptr() - start
        if cpu.dtype == tensor.dtype and 0 <= offset <= tensor.untyped_storage().nbytes():
            return strided(tensor, cpu.shape, cpu.stride(), offset // cpu.element_size())
    return on_npu(cpu)  # read as another type


def strided(tensor: torch.Tensor, size, stride, offset=None) -> torch.Tensor:
    """`torch.as_strided` of a tensor of the device, which shares its storage."""
    made = tensor.data  # on the same storage without an operator, which others may have replaced
    return torch.ops.aten.as_strided_.default(made, size, stride, tensor.storage_offset() if offset is None else offset)


def _written(op, cpu: torch.Tensor, tensor: torch.Tensor) -> bool:
    return op._schema.is_mutable and (cpu.shape != tensor.shape or not torch.equal(cpu, on_cpu(tensor)))


def _become(tensor: torch.Tensor, cpu: torch.Tensor) -> None:
    """Give a tensor of the device the contents of ``cpu``, and its size."""
    on_cpu(tensor if tensor.shape == cpu.shape else resized(tensor, cpu.shape)).copy_(cpu)


def _users(tensor: torch.Tensor) -> int:
    return torch._C._storage_Use_Count(tensor.untyped_storage()._cdata)


def resized(tensor: torch.Tensor, size) -> torch.Tensor:
    """A tensor of the device in another size, in its own storage as far as that reaches.

    Raises:
        NotImplementedError: its storage is too small, and is that of other tensors as well.
    """
    size, offset, storage = tuple(size), tensor.storage_offset(), tensor.untyped_storage()
    stride = torch.empty(size, device="meta").stride()
    room = offset + math.prod(size)
    if room * tensor.element_size() <= storage.nbytes():
        return torch.ops.aten.as_strided_.default(tensor, size, stride, offset)
    if _users(tensor) > _users(allocated(torch.empty(1))):
        raise NotImplementedError(
            f"a storage on npu that several tensors share does not grow: {storage.nbytes()} bytes to {size}"
        )
    made = torch.empty(room, dtype=tensor.dtype)
    if storage.nbytes():
        whole = strided(tensor, (storage.nbytes() // tensor.element_size(),), (1,), 0)
        made[: len(whole)] = on_cpu(whole)
    tensor.data = strided(allocated(made), size, stride, offset)
    return tensor
