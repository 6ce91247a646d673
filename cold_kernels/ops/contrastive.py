"""Contrastive decoding's operators: scores of an expert's logits against an amateur's, and the choice by them."""

import functools
import math
from collections.abc import Callable

import torch

from ..contrastive import arguments, cpu
from ..devices import in_torch
from ..launch import launch
from ..limits import MAX_CHOICES, MAX_VOCABULARY
from .checks import FLOAT32_MAX, check_number, check_same, check_tensor, rows_contiguous
from .library import define, explained, without_gradients
from .rules import Rules

SIZES = dict(B="number of rows", V="vocabulary")
LOGITS = Rules(arguments.SCORE, names=dict(expert_logits="expert", amateur_logits="amateur"), sizes=SIZES)

ALPHAS, BETAS = "above 0 and at most 1", "0 or more, and finite in float32"
OR_BY_ROW = " or a tensor [B]"
RATIOS = (torch.float32, torch.float64, torch.float16, torch.bfloat16)
OVERLOADS = {
    (False, False): ("", "float alpha, float beta"),
    (False, True): (".Scalar_Tensor", "float alpha, Tensor beta"),
    (True, False): (".Tensor_Scalar", "Tensor alpha, float beta"),
    (True, True): (".Tensor", "Tensor alpha, Tensor beta"),
}
"""By whether alpha and beta are tensors."""


def _operator(check: Callable) -> Callable[[Callable], Callable]:
    """Registers the decorated function with each of `OVERLOADS`; gives back what calls the one that fits."""

    def register(function: Callable) -> Callable:
        name = function.__name__
        for overload, numbers in OVERLOADS.values():
            schema = f"(Tensor expert_logits, Tensor amateur_logits, {numbers}) -> Tensor"
            define(name + overload, schema, function, check)
        packet = getattr(torch.ops.cold_kernels, name)
        found = {kind: getattr(packet, overload[1:] or "default") for kind, (overload, _) in OVERLOADS.items()}

        @explained(function, check)
        def call(
            expert_logits: torch.Tensor,
            amateur_logits: torch.Tensor,
            alpha: float | torch.Tensor,
            beta: float | torch.Tensor,
        ) -> torch.Tensor:
            operator = found[isinstance(alpha, torch.Tensor), isinstance(beta, torch.Tensor)]
            return operator(expert_logits, amateur_logits, alpha, beta)

        return call

    return register


def _check_score(expert: torch.Tensor, amateur: torch.Tensor, alpha: object, beta: object) -> torch.Tensor:
    _check(expert, amateur, alpha, beta)
    return torch.empty(expert.shape, dtype=torch.float32, device=expert.device)


def _check_argmax(expert: torch.Tensor, amateur: torch.Tensor, alpha: object, beta: object) -> torch.Tensor:
    _check(expert, amateur, alpha, beta, MAX_CHOICES)
    return torch.empty(expert.shape[0], dtype=torch.int64, device=expert.device)


@_operator(_check_score)
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
    score = torch.empty(expert_logits.shape, dtype=torch.float32, device=expert_logits.device)
    if score.shape[0]:
        _run("contrastive_score", cpu.score, expert_logits, amateur_logits, alpha, beta, score=score)
    return score


@_operator(_check_argmax)
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
    choice = torch.empty(expert_logits.shape[0], dtype=torch.int64, device=expert_logits.device)
    if choice.shape[0]:
        _run("contrastive_argmax", cpu.argmax, expert_logits, amateur_logits, alpha, beta, choice=choice)
    return choice


def _check(
    expert: torch.Tensor, amateur: torch.Tensor, alpha: object, beta: object, largest: int = MAX_VOCABULARY
) -> None:
    """Raise what the operators raise of types, shapes, devices and numbers; ``largest`` is of the vocabulary."""
    LOGITS.check(expert_logits=expert, amateur_logits=amateur)
    if not 1 <= expert.shape[1] <= largest:
        raise ValueError(f"expert_logits has a vocabulary of {expert.shape[1]}; it must be from 1 to {largest}")
    for name, value, low, high, wanted in (
        ("alpha", alpha, math.ulp(0), 1, ALPHAS),
        ("beta", beta, 0, FLOAT32_MAX, BETAS),
    ):
        if isinstance(value, torch.Tensor):
            check_tensor(name, value, 1, RATIOS)
            check_same("device", name, value.device, "expert_logits", expert.device)
            check_same("number of rows", name, value.shape[0], "expert_logits", expert.shape[0])
        else:
            check_number(name, value, OR_BY_ROW)
            if not low <= value <= high:
                raise ValueError(f"{name} must be {wanted}, not {value}")


def _log_alpha(alpha: float | torch.Tensor, expert: torch.Tensor) -> torch.Tensor:
    if isinstance(alpha, torch.Tensor):
        _check_values("alpha", alpha, lambda low, high: low > 0 and high <= 1, ALPHAS)
        wide = alpha.double() if alpha.device.type == "cpu" else alpha.float()  # one rounding, where it is free
        return wide.log().float()
    return _constant(math.log(alpha), expert.shape[0], expert.device)


def _beta(beta: float | torch.Tensor, expert: torch.Tensor) -> torch.Tensor:
    if isinstance(beta, torch.Tensor):
        beta = beta.float()
        _check_values("beta", beta, lambda low, high: low >= 0 and high < math.inf, BETAS)
        return beta
    return _constant(float(beta), expert.shape[0], expert.device)


def _check_values(name: str, values: torch.Tensor, right: Callable[[float, float], bool], wanted: str) -> None:
    """Raise unless lowest and highest value, both NaN if there is one, are right. Looks on the CPU alone."""
    if values.device.type != "cpu":
        return
    low, high = map(float, values.aminmax())
    if not right(low, high):
        wrong = low if not right(low, low) else high
        raise ValueError(f"{name} holds {wrong}; it must be {wanted}")


def _constant(value: float, rows: int, device: torch.device, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    """A number for each row, kept on the device: to send it anew would be a launch.

    Not kept from within a graph's capture: what is written there holds nothing before the graph runs.
    """
    if device.type != "cpu" and getattr(torch, device.type).is_current_stream_capturing():
        return _full.__wrapped__(value, rows, device, dtype)
    return _full(value, rows, device, dtype)


@functools.lru_cache(maxsize=1024)
def _full(value: float, rows: int, device: torch.device, dtype: torch.dtype) -> torch.Tensor:
    return torch.full([rows], value, dtype=dtype, device=device)


@without_gradients
def _run(
    name: str,
    cpu_path: Callable,
    expert: torch.Tensor,
    amateur: torch.Tensor,
    alpha: float | torch.Tensor,
    beta: float | torch.Tensor,
    **output: torch.Tensor,
) -> None:
    """Write the output, of at least one row."""
    numbers = dict(log_alpha=_log_alpha(alpha, expert), beta=_beta(beta, expert))
    if in_torch(expert):
        cpu_path(expert, amateur, **output, **numbers)
        return
    from ..contrastive import score

    logits = dict(expert=rows_contiguous(expert), amateur=rows_contiguous(amateur))
    launch(getattr(score, name), {**logits, **output, **numbers})
