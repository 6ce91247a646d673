"""Whether two passes computed the same, judged against how far what they computed for different tokens lies apart."""

import torch
from torch import nn

EXACT = 1e-3
"""Of the distance between tokens: how far the same token's vectors may lie apart where all is float32 on a CPU."""
ROUNDED = 0.3
"""The same in narrower types and on devices, where routers choose other experts near a tie and recurrent states are
rounded. A pass that lost its cache is more than 0.7 away."""
CLOSE, FLOOR = 0.015, 4
"""Where being wrong is silent: that near, or so many times as far as passes that must agree were seen to lie apart."""


class Agreement:
    """Compares vectors of tokens, such as logits.

    Args:
        wanted: Vectors of different tokens ``[N, d]``, which tell how far apart such vectors lie.
        exact: Whether they were computed in float32 on a CPU.
    """

    def __init__(self, wanted: torch.Tensor, exact: bool) -> None:
        self.exact = exact
        self._spread = _spread(_plain(wanted))
        self._noise = 0.0

    def distances(self, found: torch.Tensor, wanted: torch.Tensor) -> torch.Tensor:
        """Of each of the vectors ``[N, d]``, in units of the distance between tokens."""
        return (_plain(found) - _plain(wanted)).norm(dim=-1) / self._spread

    def same(self, distances: torch.Tensor) -> bool:
        """Whether vectors that must agree do, but for rounding; NaN agrees with nothing."""
        distance = float(distances.max())
        agree = distance <= (EXACT if self.exact else ROUNDED)
        self._noise = max(self._noise, distance) if agree else self._noise
        return agree

    def close(self, distances: torch.Tensor) -> bool:
        """Whether vectors lie no further apart than those that were seen to be the `same`."""
        return float(distances.max()) <= (EXACT if self.exact else max(CLOSE, FLOOR * self._noise))


def is_exact(model: nn.Module) -> bool:
    """Whether the model computes in float32, or wider, on a CPU."""
    tensors = [*model.parameters(), *model.buffers()]
    wide = all(tensor.dtype in (torch.float32, torch.float64) for tensor in model.parameters())
    return wide and all(tensor.device.type == "cpu" for tensor in tensors) and not torch.is_autocast_enabled("cpu")


def relative_distance(found: torch.Tensor, wanted: torch.Tensor) -> torch.Tensor:
    """The median distance of vectors ``[N, d]``, in units of how far those of different tokens lie apart; a scalar."""
    found, wanted = _plain(found), _plain(wanted)
    return (found - wanted).norm(dim=-1).median() / _spread(wanted)


def _spread(vectors: torch.Tensor) -> torch.Tensor:
    """How far vectors lie apart, or a hundredth of their length where they hardly do; never 0."""
    apart = (vectors - vectors.mean(0)).norm(dim=-1).mean()
    return torch.maximum(apart, vectors.norm(dim=-1).mean() / 100).clamp(min=1e-30)


def _plain(vectors: torch.Tensor) -> torch.Tensor:
    """In float32, without the infinities by which models forbid tokens."""
    return vectors.float().clamp(-1e6, 1e6)
