"""Every operator of torch on tensors of the simulated device: run on the CPU, on the same memory."""

import functools
from typing import Any, NamedTuple

import torch
from torch.utils import _pytree as pytree

from . import generators
from .memory import allocated, on_cpu, on_npu

HOST_TENSORS = (
    "aten::index.",
    "aten::index_put",
    "aten::_index_put",
    "aten::_unsafe_index",
    "aten::copy_",
    "aten::_copy",
)
"""Beginnings of the names of operators that take a CPU tensor beside one of the device, as they do on any device."""
NOT_RESIZABLE = "resize storage that is not resizable"


class Traits(NamedTuple):
    """What an operator's schema says that matters here."""

    generator: int | None
    """The place of its generator, by which it is a random one; None without."""
    tensors: tuple[str, ...]
    """Names of the arguments that are tensors, in order, empty where another kind of argument stands."""
    views: tuple[bool, ...]
    """For each result, whether it is a view of an argument."""
    host_tensors: bool


@functools.cache
def traits(op: torch._ops.OpOverload) -> Traits:
    """The traits of an operator."""
    schema = op._schema
    places = [place for place, arg in enumerate(schema.arguments) if arg.name == "generator"]
    views = tuple(r.alias_info is not None and not r.alias_info.is_write for r in schema.returns)
    tensors = tuple(arg.name if str(arg.type) == "Tensor" else "" for arg in schema.arguments)
    return Traits(places[0] if places else None, tensors, views, f"{schema.name}.".startswith(HOST_TENSORS))


def is_npu(value: Any) -> bool:
    """Whether a value is a tensor of the device."""
    return isinstance(value, torch.Tensor) and value.device.type == "npu"


def run_on_cpu(op: torch._ops.OpOverload, *args: Any, **kwargs: Any) -> Any:
    """Run an operator on the memory of its arguments; results are tensors of the device.

    Raises:
        RuntimeError: tensors of the CPU are mixed with those of the device, or what the operator raises.
    """
    known = traits(op)
    if known.generator is not None:
        args, kwargs = generators.given(op, known.generator, args, kwargs)
    given, spec = pytree.tree_flatten((args, kwargs))
    tensors = [value for value in given if is_npu(value)]
    if tensors and not known.host_tensors:
        _check_devices(op, given)
    try:
        return _run(op, known, given, spec, on_cpu)
    except RuntimeError as error:
        if NOT_RESIZABLE not in str(error):
            raise
    # An output of another size: computed apart, which then becomes the output's memory.
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


def _check_devices(op: torch._ops.OpOverload, given: list) -> None:
    for value in given:
        if isinstance(value, torch.Tensor) and value.device.type == "cpu" and value.dim():
            raise RuntimeError(
                f"Expected all tensors to be on the same device, but found at least two devices, npu:0 and cpu! "
                f"({op} takes a CPU tensor of shape {tuple(value.shape)} beside tensors of the simulated NPU)"
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
    if tensor.shape == cpu.shape:
        on_cpu(tensor).copy_(cpu)
    else:
        tensor.data = allocated(cpu)
