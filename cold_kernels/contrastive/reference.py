"""What the contrastive kernels must compute, and how far a right kernel may be off."""

import torch

UNIT_ROUNDOFF = 2.0**-24
SMALLEST_NORMAL = 2.0**-126


def _scores(
    expert: torch.Tensor, amateur: torch.Tensor, log_alpha: torch.Tensor, beta: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Scores in float64, and ``beta`` times the difference in them; NaN where the expert is NaN.

    The cutoff is the float32 sum of the row's maximum and ``log_alpha``: one rounding, so that masks are exact.
    Where a float32 kernel overflows, on the way or at the end, its infinity is the score.
    """
    e, a, beta = expert.float(), amateur.float(), beta[:, None].expand_as(expert)
    counts = a.isfinite() & (beta > 0)
    rounded = e + beta * torch.where(counts, e - a, 0)
    contrast = beta.double() * torch.where(counts, e.double() - a.double(), 0)
    exact = torch.where(rounded.isinf(), rounded.double(), e.double() + contrast)
    cutoff = e.amax(1, keepdim=True) + log_alpha[:, None]
    return exact.masked_fill(e < cutoff, -torch.inf), contrast


def _error(scores: torch.Tensor, contrast: torch.Tensor) -> torch.Tensor:
    """Three roundings in float32: of the difference, of its product with beta, of the sum.

    None where the difference counts as 0, so that rows which are equal give the expert's logits exactly.
    """
    size = 2 * contrast.abs() + scores.abs()
    error = 1.001 * UNIT_ROUNDOFF * size + SMALLEST_NORMAL
    return torch.where((contrast == 0) | ~scores.isfinite(), 0, error)


def score(
    expert: torch.Tensor, amateur: torch.Tensor, log_alpha: torch.Tensor, beta: torch.Tensor, **_: object
) -> dict:
    """``e + beta * (e - a)`` where ``e >= max(e) + log_alpha``, else -inf: [B, V].

    The difference counts as 0 where the amateur is not finite. A NaN in the expert makes its whole row NaN.
    """
    scores, _ = _scores(expert, amateur, log_alpha, beta)
    return {"score": scores.masked_fill(expert.isnan().any(1, keepdim=True), torch.nan)}


def score_tolerance(
    expert: torch.Tensor, amateur: torch.Tensor, log_alpha: torch.Tensor, beta: torch.Tensor, **_: object
) -> dict:
    """Rounding errors; nothing else is allowed: a token on the wrong side of the cutoff is infinitely wrong."""
    return {"score": _error(*_scores(expert, amateur, log_alpha, beta))}


def argmax(
    expert: torch.Tensor, amateur: torch.Tensor, log_alpha: torch.Tensor, beta: torch.Tensor, **_: object
) -> dict:
    """The lowest of the highest scores' ids, or that of the expert's first NaN: [B]."""
    scores, _ = _scores(expert, amateur, log_alpha, beta)
    best = scores.amax(1, keepdim=True)
    is_best = torch.where(best.isnan(), scores.isnan(), scores == best)
    return {"choice": is_best.int().argmax(1).double()}


def argmax_tolerance(
    expert: torch.Tensor,
    amateur: torch.Tensor,
    choice: torch.Tensor,
    log_alpha: torch.Tensor,
    beta: torch.Tensor,
    **_: object,
) -> dict:
    """Infinite where the choice is as good as the best one within rounding errors, else 0.

    Of tokens with the same two logits only the first is as good.
    """
    scores, contrast = _scores(expert, amateur, log_alpha, beta)
    error = _error(scores, contrast)
    at = choice.nan_to_num().long().clamp(0, expert.shape[1] - 1)[:, None]
    highest = scores + error
    close = highest.gather(1, at) >= (scores - error).amax(1, keepdim=True)  # false if the row has a NaN
    same = (expert == expert.gather(1, at)) & (amateur == amateur.gather(1, at))
    first = same.int().argmax(1, keepdim=True) >= at
    right = (close & first & scores.gather(1, at).isfinite() & (at == choice[:, None]))[:, 0]
    return {"choice": torch.where(right, torch.inf, 0.0).double()}


def score_bytes(expert: torch.Tensor, amateur: torch.Tensor, score: torch.Tensor, **_: object) -> int:
    """Bytes that must move: both logits, two numbers a row, all of the scores."""
    return argmax_bytes(expert, amateur, score)


def argmax_bytes(expert: torch.Tensor, amateur: torch.Tensor, choice: torch.Tensor, **_: object) -> int:
    """Bytes that must move: both logits, two numbers a row, the choices."""
    return expert.nbytes + amateur.nbytes + 2 * 4 * len(expert) + choice.nbytes
