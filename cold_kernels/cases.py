"""Concrete inputs for a kernel: a shape in one line of text, and tensors made from it."""

import math
import mmap
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

import torch

from .arguments import ScalarArg, TensorArg
from .dtypes import TORCH
from .record import Record

GAP = 3
_NUMBER = re.compile(r"-?\d+(\.\d+)?(e-?\d+)?")
_INDICES = re.compile(r"all|half|none|(-?\d+|last)(/(-?\d+|last))*")


class Declared(Protocol):
    """What a case must know of a kernel; `KernelSpec`, which reads its own cases, has it."""

    name: str
    typical: str
    args: Mapping[str, TensorArg | ScalarArg]
    operands: Mapping[str, TensorArg]
    scalars: Mapping[str, ScalarArg]
    dims: tuple[str, ...]
    outputs: tuple[str, ...]
    reference: Callable[..., dict[str, torch.Tensor]]
    tolerance: Callable[..., dict[str, torch.Tensor]]

    def check_limits(self, sizes: Mapping[str, int]) -> None: ...


@dataclass(frozen=True)
class Case:
    """A shape and what is special about its data, as one line: ``T=5 H=4095 R=12 idx=-1/last/0/0/-1``.

    Words are separated by spaces or commas. Besides ``DIM=size``:

    - ``dtype=bf16``: element type of the first tensor and of those that follow it;
    - ``<index>=``: ``all`` (the default) deals rows over all slots in turn, ``half`` gives the first half of
      the rows a slot and the second half none (CoLD's doubled batch), ``none`` gives none to any, and a list
      such as ``-1/last/0`` is repeated over the rows;
    - ``index=int32``: element type of the index tensors;
    - ``<scalar>=0.25``: a number other than the declared default;
    - ``strided``: rows are slices of wider ones, the gaps full of NaN.
    """

    sizes: Record
    dtype: str
    index_dtype: str
    indices: Record
    scalars: Record
    strided: bool

    @classmethod
    def parse(cls, text: str, spec: Declared) -> "Case":
        """Read ``text``; what it does not mention is as in ``spec.typical``.

        Raises:
            ValueError: a word that is none of the above, a negative size, one above its limit, an unknown type.
        """
        indices = {name: "all" for name, arg in spec.operands.items() if arg.role == "index"}
        sizes: dict[str, int] = {}
        names = {key: _element_types(spec, key)[0] for key in ("dtype", "index")}
        scalars: dict[str, float] = {}
        strided = False
        for word in f"{spec.typical} {text}".replace(",", " ").split():
            key, equals, value = word.partition("=")
            if word == "strided":
                strided = True
            elif key in names and value in _element_types(spec, key):
                names[key] = value
            elif key in indices and _INDICES.fullmatch(value):
                indices[key] = value
            elif key in spec.scalars and _NUMBER.fullmatch(value):
                scalars[key] = float(value) if spec.scalars[key].dtype.startswith("fp") else int(value)
            elif key in spec.dims and value.isdecimal():
                sizes[key] = int(value)
            else:
                known = [f"{dim}=SIZE" for dim in spec.dims] + [f"{name}=all|half|none|LIST" for name in indices]
                known += [f"{name}=NUMBER" for name in spec.scalars]
                raise ValueError(
                    f"{spec.name}: cannot read {word!r}; use {', '.join(known)}, dtype=fp16, index=int64, strided"
                )
        if missing := [dim for dim in spec.dims if dim not in sizes]:
            raise ValueError(f"{spec.name}: typical case {spec.typical!r} lacks {', '.join(missing)}")
        spec.check_limits(sizes)
        return cls(Record(sizes), names["dtype"], names["index"], Record(indices), Record(scalars), strided)

    def __str__(self) -> str:
        words = [f"{self.sizes}", f"dtype={self.dtype}", f"index={self.index_dtype}"]
        words += [f"{name}={value}" for name, value in self.indices.items() if value != "all"]
        words += [f"{name}={value}" for name, value in self.scalars.items()]
        return " ".join(words + ["strided"] * self.strided)

    def shape(self) -> Record:
        """The shape that a kernel sees: sizes and dtype."""
        return Record(self.sizes, dtype=self.dtype)

    def tensors(self, spec: Declared, seed: int = 0, blank: bool = False) -> dict[str, torch.Tensor | float]:
        """Operands and scalars: zero-mean inputs, indices as asked for, outputs `poisoned`.

        A tensor that is read and written is there twice, once as ``<name>_before`` for references.

        Args:
            blank: Zeros instead of numbers and poison: for the time of a kernel that decides nothing by them.
        """
        generator = torch.Generator().manual_seed(seed)
        args: dict[str, torch.Tensor | float] = {}
        for name, arg in spec.args.items():
            if name in spec.scalars:
                args[name] = self.scalars.get(name, arg.default)
            elif arg.role == "index":
                args[name] = self._index(name, self.sizes[arg.dims[0]], self.sizes[arg.into])
            elif arg.role == "derived":
                args[name] = arg.derived(args, [self.sizes[dim] for dim in arg.dims])
            elif arg.role != "workspace":
                size, dtype = [self.sizes[dim] for dim in arg.dims], self._dtype(arg, args)
                if blank:
                    args[name] = _zeros(size, dtype)
                    continue
                tensor = poisoned(size, dtype) if arg.contiguous else self._poisoned(size, dtype)
                if arg.role in ("input", "inout"):
                    make = arg.make or _normal
                    tensor.copy_(make(list(tensor.shape), generator))
                if arg.role == "inout":
                    args[f"{name}_before"] = tensor.clone()
                args[name] = tensor
        return args

    def _dtype(self, arg: TensorArg, made: dict) -> torch.dtype:
        """The first tensor has the case's element type, others that of whom they follow, else their first one."""
        if other := arg.same_dtype or arg.like:
            return made[other].dtype
        return TORCH[arg.dtypes[0] if made and arg.dtypes else self.dtype]

    def _poisoned(self, size: list[int], dtype: torch.dtype) -> torch.Tensor:
        if not self.strided or not size:
            return poisoned(size, dtype)
        return poisoned([*size[:-1], size[-1] + GAP], dtype)[..., : size[-1]]

    def _index(self, name: str, rows: int, slots: int) -> torch.Tensor:
        words = {"all": [], "half": [], "none": ["-1"]}.get(self.indices[name], self.indices[name].split("/"))
        if words:
            values = [slots - 1 if word == "last" else int(word) for word in words]
            listed = [values[row % len(values)] for row in range(rows)]
        else:
            listed = [row % slots if slots else -1 for row in range(rows)]
            if self.indices[name] == "half":
                listed[(rows + 1) // 2 :] = [-1] * (rows // 2)
        return torch.tensor(listed, dtype=TORCH[self.index_dtype])


def _zeros(size: list[int], dtype: torch.dtype) -> torch.Tensor:
    """Zeros that take no room until they are touched."""
    count = math.prod(size)
    memory = mmap.mmap(-1, max(1, count) * dtype.itemsize)
    return torch.frombuffer(memory, dtype=dtype)[:count].view(size)


def _normal(size: list[int], generator: torch.Generator) -> torch.Tensor:
    return torch.randn(size, generator=generator)


def _element_types(spec: Declared, key: str) -> list[str]:
    """What ``dtype=`` (the first tensor's) or ``index=`` (every index tensor's) may say, best first."""
    operands = list(spec.operands.values())
    listed = [arg for arg in operands if arg.role == "index"] if key == "index" else operands[:1]
    fits = [name for name in TORCH if all(name in (arg.dtypes or TORCH) for arg in listed)]
    return sorted(fits, key=lambda name: name != "int64") if key == "index" else fits


def poisoned(size: list[int], dtype: torch.dtype) -> torch.Tensor:
    """A tensor full of NaN, or of the largest integer: what a kernel does not write is wrong, and what it adds to."""
    return torch.full(size, torch.nan if dtype.is_floating_point else torch.iinfo(dtype).max, dtype=dtype)


def errors(spec: Declared, args: dict[str, torch.Tensor | float]) -> dict[str, float]:
    """How far each output in ``args`` is from the reference, in units of the tolerance: right when <= 1.

    NaN and infinities count as infinitely wrong unless the reference has the same there.
    """
    expected, tolerance = spec.reference(**args), spec.tolerance(**args)
    worst = {}
    for name in spec.outputs:
        off = (args[name].double() - expected[name].double()).abs()
        same = (args[name].double() == expected[name].double()) | (args[name].isnan() & expected[name].isnan())
        ratio = torch.where(same, 0.0, off / tolerance[name]).nan_to_num(nan=torch.inf)
        worst[name] = float(ratio.max()) if ratio.numel() else 0.0
    return worst
