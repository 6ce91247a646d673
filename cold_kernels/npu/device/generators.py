"""Random numbers of the simulated device: generators of its own, as devices have them."""

import functools
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from ...bounded import Bounded

_Host = torch.Generator


DRAWN = 4
"""What the offset grows by where numbers were drawn: Philox makes four at a time."""
STATES = 256
"""Of a generator, how many of its own states it can be put back to."""


class _Kind(type(_Host)):
    def __instancecheck__(cls, value: object) -> bool:
        return isinstance(value, _Host)


class Generator(_Host, metaclass=_Kind):
    """`torch.Generator`; one for the device draws the numbers that the CPU's would from the same seed.

    Its state is a device's: a seed and an offset, which kernels take to draw numbers of their own.
    """

    _seed: int | None = None
    _offset = 0

    def __new__(cls, device="cpu"):
        if torch.device(device).type != "npu":
            return _Host.__new__(_Host, device)
        return _Host.__new__(cls, "cpu")

    def manual_seed(self, seed: int) -> "Generator":
        """Start anew from a seed."""
        _Host.manual_seed(self, seed)
        self._seed, self._offset = None, 0
        return self

    def seed(self) -> int:
        """Start anew from a seed that nobody has chosen, and give it back."""
        self._seed, self._offset = None, 0
        return _Host.seed(self)

    def initial_seed(self) -> int:
        """The seed that it was started from."""
        return _Host.initial_seed(self) if self._seed is None else self._seed

    def get_state(self) -> torch.Tensor:
        """The seed and an offset that grows as numbers are drawn: 16 bytes, two int64."""
        state, seed = _Host.get_state(self), self.initial_seed()
        found = self._known.get((seed, self._offset))
        if found is not None and not torch.equal(found, state):
            self._offset += DRAWN
        self._known.keep((seed, self._offset), state)
        return torch.tensor([seed - (seed >> 63 << 64), self._offset]).view(torch.uint8)

    def set_state(self, state: torch.Tensor) -> "Generator":
        """To what `get_state` gave, or to a seed and an offset of somebody's own, from which other numbers come.

        Raises:
            RuntimeError: it is no state of this device.
        """
        if state.dtype != torch.uint8 or state.numel() != 16:
            raise RuntimeError(f"a generator of npu has a state of 16 bytes, not {list(state.shape)} of {state.dtype}")
        seed, offset = state.cpu().contiguous().view(torch.int64).tolist()
        seed %= 1 << 64
        found = self._known.get((seed, offset))
        if found is not None:
            _Host.set_state(self, found)
        else:
            _Host.manual_seed(self, (seed + offset * 0x9E3779B97F4A7C15) % (1 << 63) if offset else seed)
        self._seed, self._offset = seed, offset
        return self

    @functools.cached_property
    def _known(self) -> Bounded:
        """The host's states by seed and offset."""
        return Bounded(STATES)

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
    """
    chosen = args[place] if place < len(args) else kwargs.get("generator")
    chosen = default if chosen is None else chosen
    if place < len(args):
        return (*args[:place], chosen, *args[place + 1 :]), kwargs
    return args, {**kwargs, "generator": chosen}


@contextmanager
def drawn_from() -> Iterator[None]:
    """Around a random operator that takes no generator: it draws from the device's, and the host's stays as it was."""
    host = torch.default_generator
    before = host.get_state()
    host.set_state(_Host.get_state(default))
    try:
        yield
    finally:
        _Host.set_state(default, host.get_state())
        host.set_state(before)
