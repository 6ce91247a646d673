"""A draw from the softmax of the contrastive scores, on CPU tensors in torch alone."""

import torch

from . import cpu

MIN_TEMPERATURE = 2.0**-126
"""A lower temperature counts as 0, as in the kernel."""


def sample(
    expert: torch.Tensor,
    amateur: torch.Tensor,
    choice: torch.Tensor,
    log_alpha: torch.Tensor,
    beta: torch.Tensor,
    temperature: torch.Tensor,
    top_k: torch.Tensor,
    top_p: torch.Tensor,
    uniform: torch.Tensor,
) -> None:
    """The id drawn in each row; that of the highest score, or of the first NaN, where there is nothing to draw."""
    numbers = list(zip(*(by_row.tolist() for by_row in (temperature, top_k, top_p, uniform)), strict=True))
    for rows in cpu._chunks(expert):
        scores, _ = cpu._scores(expert[rows], amateur[rows], log_alpha[rows, None], beta[rows, None])
        chosen = scores.argmax(1)
        best = scores.gather(1, chosen[:, None])[:, 0]
        for row, drawable in enumerate(best.isfinite().tolist()):
            warmth, *others = numbers[rows.start + row]
            if drawable and warmth >= MIN_TEMPERATURE:
                chosen[row] = _draw(scores[row], best[row], warmth, *others)
        choice[rows] = chosen


def _draw(
    scores: torch.Tensor, best: torch.Tensor, temperature: float, top_k: int, top_p: float, uniform: float
) -> torch.Tensor:
    ids = (scores > -torch.inf).nonzero()[:, 0]
    scores = scores[ids]
    if 0 < top_k < len(ids) or top_p < 1:
        scores, order = scores.sort(descending=True, stable=True)
        ids = ids[order]
    if 0 < top_k < len(ids):
        scores, ids = scores[:top_k], ids[:top_k]
    weights = ((scores - best) / temperature).exp_().double()
    if top_p < 1:
        reached = weights.cumsum(0)
        kept = int((reached < top_p * reached[-1]).sum()) + 1
        ids, order = ids[:kept].sort()
        weights = weights[order]
    elif 0 < top_k:
        ids, order = ids.sort()
        weights = weights[order]
    reached = weights.cumsum(0)
    return ids[torch.searchsorted(reached, uniform * reached[-1], right=True)]
