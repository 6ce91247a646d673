"""Numbers to draw with: in turn, so that the rows of a case combine them in many ways."""

import torch


def temperature(size: list[int], generator: torch.Generator) -> torch.Tensor:
    return _in_turn(size, [1.0, 0.7, 0.0, 1.5, 0.05, 20.0, 0.8, 3.0])


def top_k(size: list[int], generator: torch.Generator) -> torch.Tensor:
    return _in_turn(size, [50, 0, 3, 1, 1 << 30]).int()


def top_p(size: list[int], generator: torch.Generator) -> torch.Tensor:
    return _in_turn(size, [0.9, 1.0, 0.5, 0.999])


def uniform(size: list[int], generator: torch.Generator) -> torch.Tensor:
    """Draws, each third one next to an end."""
    drawn = torch.rand(size, generator=generator)
    drawn[2::6] = 0.0
    drawn[5::6] = 1 - 2.0**-24
    return drawn


def _in_turn(size: list[int], values: list[float]) -> torch.Tensor:
    (rows,) = size
    return torch.tensor([values[row % len(values)] for row in range(rows)])
