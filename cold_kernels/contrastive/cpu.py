"""The contrastive score on CPU tensors, in torch alone; temporaries hold a few rows at a time."""

from collections.abc import Iterator

import torch

CHUNK = 1 << 18
"""Logits worked on at a time: 1 MB of float32, which stays in a core's cache."""


def score(
    expert: torch.Tensor, amateur: torch.Tensor, score: torch.Tensor, log_alpha: torch.Tensor, beta: torch.Tensor
) -> None:
    """``e + beta * (e - a)`` where ``e >= max(e) + log_alpha``, else -inf; NaN in rows where the expert has one."""
    for rows in _chunks(expert):
        scores, cutoff = _scores(expert[rows], amateur[rows], log_alpha[rows, None], beta[rows, None])
        scores[cutoff[:, 0].isnan()] = torch.nan
        score[rows] = scores


def argmax(
    expert: torch.Tensor, amateur: torch.Tensor, choice: torch.Tensor, log_alpha: torch.Tensor, beta: torch.Tensor
) -> None:
    """The id of the highest score, the lowest among equals, or of the expert's first NaN."""
    for rows in _chunks(expert):
        scores, _ = _scores(expert[rows], amateur[rows], log_alpha[rows, None], beta[rows, None])
        choice[rows] = scores.argmax(1)


def _scores(
    expert: torch.Tensor, amateur: torch.Tensor, log_alpha: torch.Tensor, beta: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Scores, NaN where the expert is, and the cutoff, NaN if the expert's row has one.

    ``e - beta * (a - e)`` is what the kernel computes, and keeps -0.0 where the rows are equal.
    """
    expert, amateur = expert.float(), amateur.float()
    cutoff = expert.amax(1, keepdim=True) + log_alpha
    ignored = (amateur.abs() < torch.where(beta == 0, 0.0, torch.inf)).logical_not_()
    contrast = (amateur - expert).masked_fill_(ignored, 0.0).mul_(beta)
    return torch.sub(expert, contrast, out=contrast).masked_fill_(expert < cutoff, -torch.inf), cutoff


def _chunks(logits: torch.Tensor) -> Iterator[slice]:
    rows, vocabulary = logits.shape
    step = max(1, CHUNK // vocabulary)
    return (slice(first, first + step) for first in range(0, rows, step))
