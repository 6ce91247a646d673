"""What a row is given in a pass."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import NamedTuple

import torch

Acting = Callable[[torch.Tensor | None, tuple[int, int], int | torch.Tensor], AbstractContextManager[None]]
"""What is entered around a model's pass, as `Injection.acting`."""


class Feed(NamedTuple):
    """Tokens for a row, one or more; the pass gives the logits after the last of them."""

    row: int
    tokens: list[int]
