"""Logits to test with: rows like a model's, and in small cases rows of every special kind."""

import math

import torch

SMALL_CASE = 1 << 17
"""Cases of fewer elements have special rows; larger ones are there to be timed."""
TIMED = 8
"""Cases of a multiple of so many rows, or of 1, 2 or 4, have the usual alpha and beta in all rows; others have extreme
ones too."""
KINDS = 12
EXTREME = 3.0e38


def expert(size: list[int], generator: torch.Generator) -> torch.Tensor:
    """Most logits around 0 and a dozen well above them; in a small case row k is special in the way ``k % 12``."""
    rows, vocabulary = size
    logits = 2 * torch.randn(size, generator=generator)
    peaks = torch.randint(vocabulary, (rows, 12), generator=generator)
    logits.scatter_(1, peaks, 10 + 6 * torch.rand(rows, 12, generator=generator))
    for row in range(rows if _small(size) else 0):
        some = torch.rand(vocabulary, generator=generator) < 0.3
        special = {
            1: logits[row].clamp(max=3.0),  # ties
            2: logits[row].masked_fill(some, -math.inf),  # a grammar's mask
            3: torch.full([vocabulary], -math.inf),
            4: logits[row].masked_fill(some, math.inf),
            5: logits[row].masked_fill(some, math.nan),
            6: torch.full([vocabulary], -0.0),
            7: EXTREME * logits[row].sign(),  # infinities in fp16
            8: -logits[row].abs() - 1e-3,
            9: _one_nan(logits[row], generator),
        }
        logits[row] = special.get(row % KINDS, logits[row])
    return logits


def amateur(size: list[int], generator: torch.Generator) -> torch.Tensor:
    """Logits of a model of its own; in a small case with infinities, NaN, and a row of -0.0 as the expert's."""
    rows, vocabulary = size
    logits = 2 * torch.randn(size, generator=generator)
    for row in range(rows if _small(size) else 0):
        some = torch.rand(vocabulary, generator=generator) < 0.3
        special = {
            1: logits[row].clamp(0.0, 0.0),
            2: logits[row].masked_fill(some, -math.inf),
            4: logits[row].masked_fill(some, math.inf),
            6: torch.full([vocabulary], -0.0),
            7: -EXTREME * logits[row].sign(),
            10: logits[row].masked_fill(some, math.nan),
            11: torch.full([vocabulary], math.nan),
        }
        logits[row] = special.get(row % KINDS, logits[row])
    return logits


def log_alpha(size: list[int], generator: torch.Generator) -> torch.Tensor:
    return _in_turn(size, math.log(0.1), 0.0, math.log(1e-9), math.log(0.1))


def beta(size: list[int], generator: torch.Generator) -> torch.Tensor:
    return _in_turn(size, 0.5, 0.0, 2.0, 1 / 3, 0.0)


def _in_turn(size: list[int], usual: float, *others: float) -> torch.Tensor:
    (rows,) = size
    values = [usual, *others] if rows % TIMED and TIMED % rows else [usual]
    return torch.tensor([values[row % len(values)] for row in range(rows)])


def _small(size: list[int]) -> bool:
    return size[0] * size[1] < SMALL_CASE


def _one_nan(logits: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    at = torch.randint(len(logits), (1,), generator=generator)
    return logits.scatter(0, at, -math.nan)
