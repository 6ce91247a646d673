"""The operator that draws a token from the softmax of the contrastive scores."""

import math

import torch
from torch.compiler import is_dynamo_compiling

from ..contrastive import arguments, sample_cpu
from ..devices import in_torch
from ..launch import launch
from .checks import check_number, check_same, check_tensor, rows_contiguous
from .contrastive import OR_BY_ROW, RATIOS, SIZES, _beta, _check, _check_values, _constant, _log_alpha
from .library import define, explained, without_gradients
from .rules import Rules

TEMPERATURES, TOP_KS, TOP_PS = "from 0 to 2^126", "0 (none) or more", "above 0 and at most 1 (none)"
INTEGERS = (torch.int32, torch.int64)
INT32_MAX = (1 << 31) - 1
HOTTEST = 2.0**126
"""Its inverse is the smallest normal float32."""
Numbers = float | torch.Tensor
DRAWN = Rules(
    arguments.SAMPLE,
    names=dict(expert_logits="expert", amateur_logits="amateur", uniform="uniform"),
    sizes=SIZES,
)


def check_sample(
    expert: torch.Tensor,
    amateur: torch.Tensor,
    alpha: Numbers,
    beta: Numbers,
    temperature: Numbers,
    top_k: int | torch.Tensor,
    top_p: Numbers,
    uniform: torch.Tensor,
) -> torch.Tensor:
    """Raise what `contrastive_sample` raises of types, shapes, devices and numbers."""
    _check(expert, amateur, alpha, beta)
    for name, value, dtypes, low, high, wanted in (
        ("temperature", temperature, RATIOS, 0, HOTTEST, TEMPERATURES),
        ("top_k", top_k, INTEGERS, 0, math.inf, TOP_KS),
        ("top_p", top_p, RATIOS, math.ulp(0), 1, TOP_PS),
    ):
        if isinstance(value, torch.Tensor):
            check_tensor(name, value, 1, dtypes)
            _check_beside(name, value, expert)
        else:
            if dtypes is INTEGERS and not isinstance(value, (int, torch.SymInt)):
                raise TypeError(f"{name} must be an integer{OR_BY_ROW}, not {type(value).__name__}")
            check_number(name, value, OR_BY_ROW)
            if not low <= value <= high:
                raise ValueError(f"{name} must be {wanted}, not {value}")
    DRAWN.check(expert_logits=expert, amateur_logits=amateur, uniform=uniform)
    return torch.empty(expert.shape[0], dtype=torch.int64, device=expert.device)


def _check_beside(name: str, by_row: torch.Tensor, expert: torch.Tensor) -> None:
    check_same("device", name, by_row.device, "expert_logits", expert.device)
    check_same("number of rows", name, by_row.shape[0], "expert_logits", expert.shape[0])


@without_gradients
def _sample(
    expert_logits: torch.Tensor,
    amateur_logits: torch.Tensor,
    alpha: Numbers,
    beta: Numbers,
    temperature: Numbers,
    top_k: int | torch.Tensor,
    top_p: Numbers,
    uniform: torch.Tensor,
) -> torch.Tensor:
    choice = torch.empty(expert_logits.shape[0], dtype=torch.int64, device=expert_logits.device)
    if not choice.shape[0]:
        return choice
    numbers = dict(
        log_alpha=_log_alpha(alpha, expert_logits),
        beta=_beta(beta, expert_logits),
        temperature=_ratios("temperature", temperature, 0, HOTTEST, TEMPERATURES, expert_logits),
        top_k=_top_k(top_k, expert_logits),
        top_p=_ratios("top_p", top_p, math.ulp(0), 1, TOP_PS, expert_logits),
        uniform=uniform,
    )
    _check_values("uniform", uniform, lambda low, high: low >= 0 and high < 1, "0 or more and below 1")
    if in_torch(expert_logits):
        sample_cpu.sample(expert_logits, amateur_logits, choice, **numbers)
        return choice
    from ..contrastive.sample import contrastive_sample as spec

    logits = dict(expert=rows_contiguous(expert_logits), amateur=rows_contiguous(amateur_logits))
    launch(spec, {**logits, "choice": choice, **numbers})
    return choice


def _ratios(name: str, value: Numbers, low: float, high: float, wanted: str, expert: torch.Tensor) -> torch.Tensor:
    if not isinstance(value, torch.Tensor):
        return _constant(float(value), expert.shape[0], expert.device)
    _check_values(name, value, lambda least, most: least >= low and most <= high, wanted)
    return value.float()


def _top_k(value: int | torch.Tensor, expert: torch.Tensor) -> torch.Tensor:
    if not isinstance(value, torch.Tensor):
        return _constant(min(int(value), INT32_MAX), expert.shape[0], expert.device, torch.int32)
    _check_values("top_k", value, lambda least, most: least >= 0, TOP_KS)
    return value if value.dtype == torch.int32 else value.clamp(max=INT32_MAX).int()


NAMES = "alpha", "beta", "temperature", "top_k", "top_p"
for _overload, _types in (("", "float float float int float"), (".Tensor", "Tensor " * 5)):
    _numbers = ", ".join(f"{kind} {name}" for kind, name in zip(_types.split(), NAMES, strict=True))
    _schema = f"(Tensor expert_logits, Tensor amateur_logits, {_numbers}, Tensor uniform) -> Tensor"
    define(f"contrastive_sample{_overload}", _schema, _sample, check_sample)
_for_all = explained(_sample, check_sample)(torch.ops.cold_kernels.contrastive_sample.default)
_by_row = explained(_sample, check_sample)(torch.ops.cold_kernels.contrastive_sample.Tensor)


def contrastive_sample(
    expert_logits: torch.Tensor,
    amateur_logits: torch.Tensor,
    alpha: Numbers,
    beta: Numbers,
    temperature: Numbers,
    top_k: int | torch.Tensor | None,
    top_p: Numbers | None,
    uniform: torch.Tensor,
) -> torch.Tensor:
    """Draw a token in each row from the softmax of ``contrastive_score / temperature``, after top-k and top-p.

    Tokens stand in the order of their scores, of equal scores the lower id first. Of them stay the first ``top_k``, of
    these the fewest first ones that have ``top_p`` of the probability that is left. The draw is the lowest id up to
    which the tokens that stay, in the order of ids, have more than ``uniform`` of the probability of all that stay.
    A row of temperature 0 (or below 2^-126), and one whose highest score is infinite, chooses as `contrastive_argmax`;
    so does a row with NaN in the expert. A row's choice does not depend on the other rows.

    Scores and weights are in float32: on another device the same draw may give another token only if it lies within
    rounding errors of the border between the two, or a token within them of being kept.

    Args:
        expert_logits: ``[B, V]``, fp16, bf16 or fp32; rows may be strided.
        amateur_logits: ``[B, V]`` of the same type.
        alpha, beta: As in `contrastive_score`.
        temperature: From 0 to 2^126: a number, or ``[B]``, one per row.
        top_k: How many tokens may stay, 0 or None for all: an integer, or ``[B]``, int32 or int64.
        top_p: What share of probability stays, above 0 and at most 1, 1 or None for all: a number, or ``[B]``.
        uniform: ``[B]``, fp32, from 0 to below 1: the row's one draw, such as ``torch.rand`` of a seeded generator.

    Returns:
        ``[B]``, int64.

    Raises:
        TypeError, ValueError: as in `contrastive_score`.
    """
    numbers = alpha, beta, temperature, 0 if top_k is None else top_k, 1.0 if top_p is None else top_p
    if not any(isinstance(number, torch.Tensor) for number in numbers):
        return _for_all(expert_logits, amateur_logits, *numbers, uniform)
    check_sample(expert_logits, amateur_logits, *numbers, uniform)
    by_row = [_spread(name, number, expert_logits) for name, number in zip(NAMES, numbers, strict=True)]
    return _by_row(expert_logits, amateur_logits, *by_row, uniform)


def _spread(name: str, number: Numbers, expert: torch.Tensor) -> torch.Tensor:
    """One number a row; alpha in float64 where its logarithm is, so that a number and its tensor mask alike."""
    if isinstance(number, torch.Tensor):
        return number
    if name == "top_k":
        number, dtype = min(number, INT32_MAX), torch.int32
    else:
        dtype = torch.float64 if expert.device.type == "cpu" else torch.float32
    if is_dynamo_compiling():
        return torch.full([expert.shape[0]], number, dtype=dtype, device=expert.device)
    return _constant(number, expert.shape[0], expert.device, dtype)
