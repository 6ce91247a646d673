"""What people write in plain torch where there is no BGMV kernel: sums in float32, base rows treated as ours are."""

import math
from collections.abc import Callable

import torch


def einsum(x: torch.Tensor, weights: torch.Tensor, idx: torch.Tensor) -> torch.Tensor:
    """Each row's weights gathered, one einsum: ``[T, in]`` and ``[L, out, in]`` give ``[T, out]``."""
    gathered = weights[idx.clamp(0)].float()
    return torch.einsum("toi,ti->to", gathered, x.float()) * (idx >= 0)[:, None]


def gather_bmm(x: torch.Tensor, weights: torch.Tensor, idx: torch.Tensor) -> torch.Tensor:
    """Each row's weights gathered, a batched product."""
    gathered = torch.index_select(weights, 0, idx.clamp(0)).float()
    return torch.bmm(gathered, x.float()[:, :, None])[:, :, 0] * (idx >= 0)[:, None]


def slot_loop(x: torch.Tensor, weights: torch.Tensor, idx: torch.Tensor) -> torch.Tensor:
    """A product for the rows of each slot that is used."""
    result = torch.zeros(x.shape[0], weights.shape[1])
    for slot in idx.unique():
        if slot >= 0:
            rows = (idx == slot).nonzero()[:, 0]
            result[rows] = x[rows].float() @ weights[slot].float().T
    return result


FORMULATIONS: dict[str, Callable] = dict(einsum=einsum, gather_bmm=gather_bmm, slot_loop=slot_loop)


def shrink(formulation: Callable, x, a, y, idx, scale) -> None:
    y.copy_(formulation(x, a, idx)).mul_(scale)


def expand(formulation: Callable, x, b, y, idx) -> None:
    y.copy_(y.float() + formulation(x, b, idx))


def shrink_expand(formulation: Callable, x, a, b, y, idx, starts, scale) -> None:
    edges = [*starts.tolist(), y.shape[1]]
    for s, (start, end) in enumerate(zip(edges, edges[1:], strict=False)):
        low = formulation(x, a[:, s], idx) * scale
        y[:, start:end] = y[:, start:end].float() + formulation(low, b[:, start:end], idx)


def contrastive_score(expert: torch.Tensor, amateur: torch.Tensor, alpha: float, beta: float) -> torch.Tensor:
    """CoLD's formula as the paper writes it, in float32."""
    expert, amateur = expert.float(), amateur.float()
    cutoff = expert.max(-1, keepdim=True).values + math.log(alpha)
    return ((1 + beta) * expert - beta * amateur).masked_fill(expert < cutoff, -torch.inf)


def contrastive_argmax(expert: torch.Tensor, amateur: torch.Tensor, alpha: float, beta: float) -> torch.Tensor:
    return contrastive_score(expert, amateur, alpha, beta).argmax(-1)


def contrastive_sample(
    expert: torch.Tensor,
    amateur: torch.Tensor,
    alpha: float,
    beta: float,
    temperature: float,
    top_k: int,
    top_p: float,
    uniform: torch.Tensor,
) -> torch.Tensor:
    """Sorted scores cut by top-k and top-p; the first token whose running sum of probabilities passes ``uniform``."""
    scores = contrastive_score(expert, amateur, alpha, beta) / temperature
    scores, tokens = scores.sort(stable=True, descending=True)
    scores[:, top_k:] = -torch.inf
    sorted_by_score = scores.softmax(-1)
    sorted_by_score[sorted_by_score.cumsum(-1) - sorted_by_score >= top_p] = 0.0
    sums = torch.zeros_like(scores).scatter_(1, tokens, sorted_by_score).cumsum(-1)
    return torch.searchsorted(sums, uniform[:, None] * sums[:, -1:], right=True)[:, 0]
