"""Random numbers of the simulated device: generators of its own, as devices have them."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch

_Host = torch.Generator


class _Kind(type(_Host)):
    def __instancecheck__(cls, value: object) -> bool:
        return isinstance(value, _Host)


class Generator(_Host, metaclass=_Kind):
    """`torch.Generator`; one for the device draws the numbers that the CPU's would from the same seed."""

    def __new__(cls, device="cpu"):
        if torch.device(device).type != "npu":
            return _Host.__new__(_Host, device)
        return _Host.__new__(cls, "cpu")

    @property
    def device(self) -> torch.device:
        """The device; a generator for the CPU is none of this class."""
        return torch.device("npu", 0)


default = _Host.__new__(Generator, "cpu")
"""What random operators on the device draw from where no generator is given; `torch.manual_seed` seeds it too."""


def given(place: int, args: tuple, kwargs: dict) -> tuple[tuple, dict]:
    """The arguments of a random operator, with the device's generator where none is.

    Args:
        place: Of the generator among the operator's arguments.

    Raises:
        RuntimeError: the generator is the CPU's.
    """
    chosen = args[place] if place < len(args) else kwargs.get("generator")
    if chosen is None:
        chosen = default
    elif type(chosen) is not Generator:
        raise RuntimeError(f"Expected a 'npu' device type for generator but found '{chosen.device.type}'")
    if place < len(args):
        return (*args[:place], chosen, *args[place + 1 :]), kwargs
    return args, {**kwargs, "generator": chosen}


@contextmanager
def drawn_from() -> Iterator[None]:
    """Around a random operator that takes no generator: it draws from the device's, and the host's stays as it was."""
    host = torch.default_generator
    before = host.get_state()
    host.set_state(default.get_state())
    try:
        yield
    finally:
        default.set_state(host.get_state())
        host.set_state(before)
