"""The global memory of a launch by its addresses: what an integer that a program takes for a pointer points into."""

import ctypes
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch

from .memory import Allocation, OutOfBounds

FindMemory = Callable[[int], tuple[int, int] | None]
"""From an address to the base and the size in bytes of the allocation of this process that holds it; None if none
does. It must stay allocated while a launch runs."""


class GlobalMemory:
    """The storages of a launch's tensors, and what else its pointers may reach.

    Args:
        find: Knows further allocations; None if there are none.
        originals: The launch's arguments where it runs on copies of them: their addresses stand for the copies, and
            what ``find`` knows is copied as well.
    """

    def __init__(self, find: FindMemory | None = None, originals: Sequence | None = None) -> None:
        self._find, self._originals = find, originals
        self._spaces: list[tuple[int, np.ndarray, str]] = []
        self._pointed: dict[int, Allocation] = {}

    def take(self, args: Sequence, names: Sequence[str]) -> None:
        """Make the tensors among the arguments known."""
        for name, value, original in zip(names, args, self._originals or args, strict=True):
            if isinstance(value, torch.Tensor) and value.device.type == "cpu" and value.layout == torch.strided:
                self.storage(name, value, original)

    def storage(self, name: str, tensor: torch.Tensor, original: Any = None) -> np.ndarray:
        """All bytes of the storage that a tensor is a view of; the same array for all views."""
        storage = tensor.untyped_storage()
        place, size = storage.data_ptr(), storage.nbytes()
        for _, data, _ in self._spaces:
            if data.ctypes.data == place and len(data) == size:
                return data
        data = torch.empty(0, dtype=torch.uint8).set_(storage).numpy()
        base = place if original is None else original.untyped_storage().data_ptr()
        self._spaces.append((base, data, name))
        return data

    def at(self, address: int) -> Allocation:
        """What lies at an address and behind it; it may be accessed back to the beginning of its allocation.

        Raises:
            OutOfBounds: no allocation holds the address.
        """
        if address not in self._pointed:
            base, data, name = self._space(address)
            start = address - base
            self._pointed[address] = Allocation(
                f"{name} from byte {start} on", data, start, len(data), False, (0, len(data))
            )
        return self._pointed[address]

    def address(self, allocation: Allocation) -> int:
        """The address of an allocation's first byte."""
        bases = (base for base, data, _ in self._spaces if data is allocation.data)
        return next(bases, allocation.data.ctypes.data) + allocation.start

    def _space(self, address: int) -> tuple[int, np.ndarray, str]:
        for base, data, name in self._spaces:
            if base <= address < base + len(data):
                return base, data, name
        found = self._find(address) if self._find else None
        if found is None or not found[0] <= address < found[0] + found[1]:
            raise OutOfBounds(
                f"the address {address:#x} lies in no tensor of this launch, and in no other known memory"
            )
        base, size = found
        data = np.ctypeslib.as_array((ctypes.c_uint8 * size).from_address(base))
        self._spaces.append((base, data if self._originals is None else data.copy(), f"the memory at {base:#x}"))
        return self._spaces[-1]
