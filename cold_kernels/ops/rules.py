"""What an operator asks of its tensors, as its kernel's arguments are declared."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch

from ..arguments import ScalarArg, TensorArg
from ..dtypes import TORCH
from .checks import check_same, check_tensor


@dataclass(frozen=True)
class Rules:
    """The declaration of a kernel's arguments in an operator's words.

    Args:
        declared: The kernel's arguments, as its spec has them.
        names: The operator's tensors, each with its name in ``declared``. Devices are compared with the first one's,
            and a size with that of the tensor that has it first.
        sizes: What an error calls each dimension.
    """

    declared: Mapping[str, TensorArg | ScalarArg]
    names: Mapping[str, str]
    sizes: Mapping[str, str]

    def check(self, **tensors: torch.Tensor) -> None:
        """Raise unless all of ``names`` are tensors that go together; ``tensors`` has them by the operator's name.

        Raises:
            TypeError: no tensor, a wrong element type, or another one than that of the tensor that it must share.
            ValueError: a wrong layout, number of dimensions, device or size.
        """
        for name in self.names:
            check_tensor(name, tensors[name], len(self._arg(name).dims), self._dtypes(name))
        first = next(iter(self.names))
        for name in self.names:
            check_same("device", name, tensors[name].device, first, tensors[first].device)
        theirs = {mine: name for name, mine in self.names.items()}
        for name in self.names:
            if other := theirs.get(self._arg(name).same_dtype):
                check_same("dtype", name, tensors[name].dtype, other, tensors[other].dtype)
        self._check_sizes(tensors)

    def _check_sizes(self, tensors: Mapping[str, torch.Tensor]) -> None:
        having: dict[str, tuple[str, int]] = {}
        shaped: dict[tuple[str, ...], str] = {}
        for name in self.names:
            dims, shape = self._arg(name).dims, tensors[name].shape
            if len(dims) > 1 and (other := shaped.setdefault(dims, name)) != name:
                check_same("shape", name, list(shape), other, list(tensors[other].shape))
            for dim, size in zip(dims, shape, strict=True):
                other, wanted = having.setdefault(dim, (name, size))
                check_same(self.sizes[dim], name, size, other, wanted)

    def _arg(self, name: str) -> TensorArg:
        return self.declared[self.names[name]]

    def _dtypes(self, name: str) -> tuple[torch.dtype, ...]:
        arg = self._arg(name)
        names = arg.dtypes or self.declared[arg.same_dtype].dtypes
        return tuple(dtype for name, dtype in TORCH.items() if name in names)
