"""Whether two passes computed the same, judged against how far what they computed for different tokens lies apart."""

import torch

STRICT, ROUNDED = 1e-3, 0.1
"""Of the distance between tokens: how far the same token's vectors may lie apart, by how exactly a device computes."""
FLOOR = 4
"""How many times as far as between a batch and its rows alone, which differ by rounding."""


class Agreement:
    """Compares vectors of tokens, such as logits.

    Args:
        wanted: Vectors of different tokens ``[N, d]``, which tell how far apart such vectors lie.
    """

    def __init__(self, wanted: torch.Tensor) -> None:
        self.strict = wanted.dtype in (torch.float32, torch.float64) and wanted.device.type == "cpu"
        self._spread = _spread(_plain(wanted))
        self.noise = 0.0

    def distance(self, found: torch.Tensor, wanted: torch.Tensor) -> float:
        """Of vectors ``[N, d]``, in units of the distance between tokens: the largest where the device computes in
        full float32, else the median, since a router may choose another expert for a token that is near a tie.
        """
        apart = (_plain(found) - _plain(wanted)).norm(dim=-1) / self._spread
        return float(apart.max() if self.strict else apart.median())

    def agree(self, found: torch.Tensor, wanted: torch.Tensor) -> bool:
        """Whether they differ by rounding alone; NaN agrees with nothing."""
        return self.distance(found, wanted) <= max(STRICT if self.strict else ROUNDED, FLOOR * self.noise)


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
