"""Random numbers of the simulated device: a generator of its own, as devices have one."""

import torch

default = torch.Generator()
"""What random operators on the device draw from where no generator is given; `torch.manual_seed` seeds it too."""


def given(op, place: int, args: tuple, kwargs: dict) -> tuple[tuple, dict]:
    """The arguments of a random operator, with the device's generator where none is."""
    if place < len(args):
        if args[place] is None:
            args = (*args[:place], default, *args[place + 1 :])
    elif kwargs.get("generator") is None:
        kwargs = {**kwargs, "generator": default}
    return args, kwargs


class NpuGenerator(torch.Generator):
    """`torch.Generator`, which for the device is one of the CPU's numbers."""

    def __new__(cls, device="cpu"):
        return super().__new__(cls, "cpu" if torch.device(device).type == "npu" else device)
