"""A kernel, declared once: what tests, tuner, simulator and launches all read."""

import functools
import itertools
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

import torch

from .arguments import ScalarArg, TensorArg
from .cases import Case
from .dtypes import TORCH, dtype_name
from .record import Record
from .stage import Stage, StageCall
from .tunables import BACKENDS, Tunable


@dataclass(frozen=True, kw_only=True, eq=False)
class KernelSpec:
    """A kernel as data and functions; ``docs/writing_a_spec.md`` teaches writing one.

    A *shape* below is a `Record` of the dimensions' sizes and ``dtype``, the element type of the first
    tensor; a *config* is a `Record` of the tunables' values.

    Args:
        name: What tables, reports and the command line call it; also the name of a file.
        stages: The launches, in order.
        args: Tensors and scalars by name, in the operator's order.
        space: Tunables by name.
        constraints: By name: ``violation(config, shape)`` is signed, as Optuna's are: legal when <= 0.
        group: Dimensions that, with the dtype, choose the tunables in ``invariant``; no other dimension does,
            so that a row's bits are the same in any batch.
        bucket: Dimensions that choose the other tunables: the nearest tuned size counts.
        invariant: Tunables that shape a sum.
        reference: ``reference(**args) -> {output: float64 tensor}``.
        tolerance: ``tolerance(**args) -> {output: float64 tensor}``, the largest error that a right kernel can make.
        minimal_bytes: ``minimal_bytes(**args) -> int``, global memory that must be moved whatever the kernel.
        typical: A case in the language of `cases.Case`; others say how they differ from it.
        hard: Cases that hurt.
        targets: Cases that ``python -m tuner autotune`` tunes for unless told otherwise.
        limits: The largest size of a dimension, by name, where the kernel has one whatever its configuration.
        by_hand: Defaults that a shape decides, by tunable, in place of its own: ``choice(shape)``, which for a tunable
            in ``invariant`` looks at the group alone.
        counts: Sizes of workspaces and parameters of kernels that are neither dimensions nor tunables, by name:
            ``count(config, shape)``.
        tables: The folder of tables that travel with the kernel; None for those that are shipped here.
    """

    name: str
    stages: tuple[Stage, ...]
    args: Mapping[str, TensorArg | ScalarArg]
    space: Mapping[str, Tunable]
    group: tuple[str, ...]
    bucket: tuple[str, ...]
    reference: Callable[..., dict[str, torch.Tensor]]
    tolerance: Callable[..., dict[str, torch.Tensor]]
    minimal_bytes: Callable[..., int]
    typical: str
    hard: tuple[str, ...]
    targets: tuple[str, ...]
    constraints: Mapping[str, Callable[[Record, Record], float]] = field(default_factory=dict)
    invariant: tuple[str, ...] = ()
    limits: Mapping[str, int] = field(default_factory=dict)
    by_hand: Mapping[str, Callable[[Record], Any]] = field(default_factory=dict)
    counts: Mapping[str, Callable[[Record, Record], int]] = field(default_factory=dict)
    tables: Path | None = None

    def __post_init__(self) -> None:
        if not (isinstance(self.name, str) and re.fullmatch(r"\w[\w.-]*", self.name)):
            raise ValueError(f"name {self.name!r} is no file name: use letters, digits, '_', '-' and '.'")
        for field_name in ("invariant", "by_hand"):
            for name in getattr(self, field_name):
                if name not in self.space:
                    raise ValueError(f"{self.name}: {field_name} {name!r} is no tunable of {', '.join(self.space)}")
        for name in (*self.group, *self.bucket, *self.limits):
            if name not in self.dims:
                raise ValueError(f"{self.name}: {name!r} is no dimension of {', '.join(self.dims)}")
        scalars = [name for name in self.args if name not in self.tensors]
        for stage in self.stages:
            stage.check(self.name, self.tensors, [*scalars, *self.dims, *self.space, *self.counts])
        self._check_counts()
        self._check_cases()

    def _check_counts(self) -> None:
        known = {**dict.fromkeys(self.dims), **self.space}
        if taken := [name for name in self.counts if name in known]:
            raise ValueError(f"{self.name}: count {taken[0]!r} is a dimension or a tunable; give it another name")
        for name, arg in self.tensors.items():
            for dim in arg.dims:
                if arg.role == "workspace" and dim not in known and dim not in self.counts:
                    listed = ", ".join((*known, *self.counts))
                    raise ValueError(f"{self.name}: workspace {name} has the size {dim!r}, which is none of {listed}")

    def _check_cases(self) -> None:
        for field_name, texts in (("typical", ("",)), ("hard", self.hard), ("targets", self.targets)):
            if isinstance(texts, str):
                raise ValueError(f"{self.name}: {field_name} is one text, but must be a tuple of them: {texts!r}")
            for text in texts:
                try:
                    Case.parse(text, self)
                except ValueError as error:
                    raise ValueError(f"{self.name}: {field_name}: {error}") from error

    @functools.cached_property
    def tensors(self) -> Mapping[str, TensorArg]:
        """All tensors by name, workspaces included."""
        return MappingProxyType({name: arg for name, arg in self.args.items() if isinstance(arg, TensorArg)})

    @functools.cached_property
    def scalars(self) -> Mapping[str, ScalarArg]:
        """The numbers by name."""
        return MappingProxyType({name: arg for name, arg in self.args.items() if isinstance(arg, ScalarArg)})

    @functools.cached_property
    def operands(self) -> Mapping[str, TensorArg]:
        """The tensors that a caller passes."""
        return MappingProxyType({name: arg for name, arg in self.tensors.items() if arg.role != "workspace"})

    @functools.cached_property
    def first(self) -> str:
        """The operand whose element type and device are the kernel's."""
        return next(iter(self.operands))

    @functools.cached_property
    def outputs(self) -> tuple[str, ...]:
        return tuple(name for name, arg in self.tensors.items() if arg.role in ("output", "inout"))

    @functools.cached_property
    def dims(self) -> tuple[str, ...]:
        """Names of the dimensions, in order of appearance."""
        return tuple(dict.fromkeys(dim for arg in self.operands.values() for dim in arg.dims))

    @property
    def against(self) -> str:
        """What values are compared with, in words: float64, unless the reference says otherwise."""
        return getattr(self.reference, "against", "float64")

    @functools.cached_property
    def default(self) -> Record:
        """The configuration of a user who never tunes, where no shape decides."""
        return Record({name: tunable.default for name, tunable in self.space.items()})

    def default_for(self, *shapes: Record) -> Record:
        """The default of the first of ``shapes``, or where one forbids it the legal configuration fewest steps away.

        Raises:
            ValueError: no configuration is legal for all of them.
        """
        default = Record(self.default, **{name: choice(shapes[0]) for name, choice in self.by_hand.items()})
        if self.allows(default, *shapes):
            return default

        def steps(config: Record) -> int:
            return sum(
                abs(t.values.index(config[name]) - t.values.index(default[name])) for name, t in self.space.items()
            )

        nearest = min(self.configs(*shapes), key=steps, default=None)
        if nearest is None:
            raise ValueError(f"{self.name}: no configuration is legal for {' and '.join(map(str, shapes))}")
        return nearest

    def shape_of(self, operands: Mapping[str, torch.Tensor]) -> Record:
        """Sizes and dtype of actual tensors.

        Raises:
            TypeError, ValueError: a tensor is missing, of a wrong type, or contradicts another's size.
        """
        sizes: dict[str, int] = {}
        for name, arg in self.operands.items():
            if name not in operands:
                raise TypeError(f"{self.name}: tensor {name} is missing")
            tensor = operands[name]
            arg.check(name, tensor)
            if arg.same_dtype and tensor.dtype != operands[arg.same_dtype].dtype:
                mine, other = dtype_name(tensor.dtype), dtype_name(operands[arg.same_dtype].dtype)
                raise TypeError(f"{name} is {mine}, but must be {other} like {arg.same_dtype}")
            for dim, size in zip(arg.dims, tensor.shape, strict=True):
                if sizes.setdefault(dim, size) != size:
                    raise ValueError(f"{name} has {dim} = {size}, but {dim} = {sizes[dim]} elsewhere")
        self.check_limits(sizes)
        return Record(sizes, dtype=dtype_name(operands[self.first].dtype))

    def check_limits(self, sizes: Mapping[str, int]) -> None:
        """Raise ValueError for a size above its limit."""
        for dim, limit in self.limits.items():
            if sizes[dim] > limit:
                raise ValueError(f"{self.name}: {dim} = {sizes[dim]}, but it takes {dim} up to {limit}")

    def empty(self, sizes: Mapping[str, int]) -> list[str]:
        """The dimensions of size 0 that leave nothing to do; those of derived tensors alone may have it."""
        needed = {dim for arg in self.operands.values() if arg.role != "derived" for dim in arg.dims}
        return [dim for dim in self.dims if dim in needed and not sizes[dim]]

    def key(self, shape: Record) -> Record:
        """What of a shape a tuned configuration may depend on."""
        return Record({name: shape[name] for name in (*self.bucket, *self.group)}, dtype=shape.dtype)

    def group_of(self, shape: Record) -> tuple:
        """What shapes have in common whose entries a launch reads from the same table: group and dtype."""
        return (*(shape[dim] for dim in self.group), shape.dtype)

    def shaping(self, config: Record) -> tuple:
        """What of a configuration shapes sums: the values of ``invariant``."""
        return tuple(config[name] for name in self.invariant)

    def violations(self, config: Record, shape: Record) -> dict[str, float]:
        """How far the configuration is beyond each constraint, by name; it is legal where none is above 0.

        The numbers are signed: below 0 they say how much room is left.
        """
        return {name: violation(config, shape) for name, violation in self.constraints.items()}

    def allows(self, config: Record, *shapes: Record) -> bool:
        """Whether a configuration is legal for all of ``shapes``."""
        return all(violation <= 0 for shape in shapes for violation in self.violations(config, shape).values())

    def workspace_size(self, name: str, config: Record, shape: Record) -> tuple[int, ...]:
        """Sizes of a workspace's dimensions in a configuration for a shape."""
        sizes = {**shape, **config, **self._counted(config, shape)}
        return tuple(sizes[dim] for dim in self.tensors[name].dims)

    def _counted(self, config: Record, shape: Record) -> dict[str, int]:
        return {name: count(config, shape) for name, count in self.counts.items()}

    def configs(self, *shapes: Record) -> Iterator[Record]:
        """The configurations that are legal for all of ``shapes``, in the order of the space."""
        for values in itertools.product(*(tunable.values for tunable in self.space.values())):
            config = Record(dict(zip(self.space, values, strict=True)))
            if self.allows(config, *shapes):
                yield config

    def bound(self, config: Record, shape: Record, backend: str) -> tuple[dict[str, Any], dict[str, Any]]:
        """What a configuration gives a launch: counts and constexprs by name, and launch options."""
        constants: dict[str, Any] = self._counted(config, shape)
        options: dict[str, Any] = {}
        for name, tunable in self.space.items():
            constants |= tunable.constants(name, config[name], backend)
            options |= tunable.options(config[name], backend)
        return constants, options

    def calls(
        self, args: Mapping[str, Any], config: Record, backend: str, cores: int, shape: Record | None = None
    ) -> list[StageCall]:
        """The launches that do this kernel's work on ``args`` (operands and scalars by name).

        Workspaces are made here, on the device of the operands. ``cores`` is what a grid may fill. ``shape`` is given
        where the tensors stand for others, whose it is.
        """
        if backend not in BACKENDS:
            raise ValueError(f"unknown back end {backend!r}; use one of {', '.join(BACKENDS)}")
        shape = shape or self.shape_of(args)
        device = args[self.first].device
        values = dict(args)
        chosen, options = self.bound(config, shape, backend)
        constants = {**shape, **chosen}
        calls = []
        for stage in self.stages:
            if not stage.when(config, shape):
                continue
            for name in stage.uses():
                arg = self.tensors[name]
                if name not in values:
                    size = self.workspace_size(name, config, shape)
                    values[name] = torch.empty(size, dtype=TORCH[arg.dtypes[0]], device=device)
            calls.append(stage.bind(values, constants, self.tensors, stage.grid(config, shape, cores), options))
        return calls
