"""Contrastive decoding's operators: scores of an expert's logits against an amateur's, and the choice by them."""

import functools
import math

import torch

from ..contrastive import cpu
from ..devices import interpreting
from .checks import check_float, check_number, check_same, check_tensor, rows_contiguous

MAX_VOCABULARY = 1 << 24
OR_BY_ROW = " or a tensor [B]"
RATIOS = (torch.float32, torch.float64, torch.float16, torch.bfloat16)


@torch.no_grad()
def contrastive_score(
    expert_logits: torch.Tensor,
    amateur_logits: torch.Tensor,
    alpha: float | torch.Tensor,
    beta: float | torch.Tensor,
) -> torch.Tensor:
    """Score each token by what the expert says beyond the amateur: ``e + beta * (e - a)``, in float32.

    Tokens that the expert finds implausible, ``e < max(e) + log(alpha)``, get -inf. The difference counts as 0 where
    the amateur's logit is not finite, and everywhere in a row with ``beta = 0``: its scores are the expert's logits
    under the mask, bit for bit. Infinite logits of the expert keep their value. A NaN in the expert makes its row NaN.
    A row's scores do not depend on the other rows.

    Args:
        expert_logits: ``[B, V]``, fp16, bf16 or fp32; rows may be strided.
        amateur_logits: ``[B, V]`` of the same type.
        alpha: Plausibility threshold, above 0 and at most 1: a number, or ``[B]``, one per row.
        beta: Contrast strength, 0 or more and finite: a number, or ``[B]``, one per row.

    Returns:
        ``[B, V]``, fp32.

    Raises:
        TypeError, ValueError: an argument of a wrong type, shape, device or value; the values of tensors are looked
            at on the CPU alone, since elsewhere looking would cost a synchronisation.
    """
    args = _checked(expert_logits, amateur_logits, alpha, beta)
    score = torch.empty(expert_logits.shape, dtype=torch.float32, device=expert_logits.device)
    return _run("contrastive_score", cpu.score, args, score=score)


@torch.no_grad()
def contrastive_argmax(
    expert_logits: torch.Tensor,
    amateur_logits: torch.Tensor,
    alpha: float | torch.Tensor,
    beta: float | torch.Tensor,
) -> torch.Tensor:
    """The token with the highest `contrastive_score` in each row: ``[B]``, int64; scores are not written anywhere.

    As torch's argmax on them: of equal scores the lowest id wins, of a row that is all -inf it is 0. A row with NaN
    in the expert chooses the first NaN's id. Arguments and errors are those of `contrastive_score`.
    """
    args = _checked(expert_logits, amateur_logits, alpha, beta)
    choice = torch.empty(expert_logits.shape[0], dtype=torch.int64, device=expert_logits.device)
    return _run("contrastive_argmax", cpu.argmax, args, choice=choice)


def _checked(expert: torch.Tensor, amateur: torch.Tensor, alpha: object, beta: object) -> dict[str, torch.Tensor]:
    """The kernels' operands."""
    check_float("expert_logits", expert, 2)
    check_float("amateur_logits", amateur, 2)
    for what, mine, theirs in (
        ("dtype", amateur.dtype, expert.dtype),
        ("device", amateur.device, expert.device),
        ("shape", list(amateur.shape), list(expert.shape)),
    ):
        check_same(what, "amateur_logits", mine, "expert_logits", theirs)
    if not 1 <= expert.shape[1] < MAX_VOCABULARY:
        raise ValueError(
            f"expert_logits has a vocabulary of {expert.shape[1]}; it must be from 1 to {MAX_VOCABULARY - 1}"
        )
    return dict(
        expert=expert,
        amateur=amateur,
        log_alpha=_log_alpha(alpha, expert),
        beta=_beta(beta, expert),
    )


def _log_alpha(alpha: object, expert: torch.Tensor) -> torch.Tensor:
    wanted = "above 0 and at most 1"
    if isinstance(alpha, torch.Tensor):
        _check_by_row("alpha", alpha, expert)
        low, high = _extremes(alpha)
        if not (low > 0 and high <= 1):
            raise ValueError(f"alpha holds {low if not low > 0 else high}; it must be {wanted}")
        wide = alpha.double() if alpha.device.type == "cpu" else alpha.float()  # one rounding, where it is free
        return wide.log().float()
    check_number("alpha", alpha, OR_BY_ROW)
    if not 0 < alpha <= 1:
        raise ValueError(f"alpha must be {wanted}, not {alpha}")
    return _constant(math.log(alpha), expert.device).expand(expert.shape[0])


def _beta(beta: object, expert: torch.Tensor) -> torch.Tensor:
    wanted = "0 or more, and finite in float32"
    if isinstance(beta, torch.Tensor):
        _check_by_row("beta", beta, expert)
        beta = beta.float()
        low, high = _extremes(beta)
        if not (low >= 0 and high < math.inf):
            raise ValueError(f"beta holds {low if not low >= 0 else high}; it must be {wanted}")
        return beta
    check_number("beta", beta, OR_BY_ROW)
    if not 0 <= beta <= torch.finfo(torch.float32).max:
        raise ValueError(f"beta must be {wanted}, not {beta}")
    return _constant(float(beta), expert.device).expand(expert.shape[0])


def _check_by_row(name: str, value: torch.Tensor, expert: torch.Tensor) -> None:
    check_tensor(name, value, 1, RATIOS)
    check_same("device", name, value.device, "expert_logits", expert.device)
    check_same("number of rows", name, value.shape[0], "expert_logits", expert.shape[0])


def _extremes(values: torch.Tensor) -> tuple[float, float]:
    """Lowest and highest value, both NaN if there is one; those that pass every check where looking costs."""
    if values.device.type != "cpu" or not values.numel():
        return 1.0, 1.0
    low, high = values.aminmax()
    return float(low), float(high)


@functools.lru_cache(maxsize=1024)
def _constant(value: float, device: torch.device) -> torch.Tensor:
    """A number on the device, kept there: to send it anew would be a launch."""
    return torch.full([1], value, dtype=torch.float32, device=device)


def _run(name: str, in_torch, args: dict[str, torch.Tensor], **output: torch.Tensor) -> torch.Tensor:
    (result,) = output.values()
    if not result.numel():
        return result
    if result.device.type == "cpu" and not interpreting():
        in_torch(**args, **output)
        return result
    from ..contrastive import score
    from ..launch import launch

    logits = {key: rows_contiguous(args[key]) for key in ("expert", "amateur")}
    launch(getattr(score, name), args | logits | output)
    return result
