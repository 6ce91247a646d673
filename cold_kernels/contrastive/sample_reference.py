"""What a contrastive draw must be, and which draws rounding makes as right as it."""

import torch

from .reference import UNIT_ROUNDOFF, _error, _scores, argmax, argmax_bytes, argmax_tolerance
from .sample_cpu import MIN_TEMPERATURE

EXPONENTIAL = 4 * UNIT_ROUNDOFF
"""Relative error of an exponential in float32: of two ulp, as device libraries promise."""
SMALLEST_NORMAL = 2.0**-126


def longest_sum(vocabulary: int) -> int:
    """Through how many additions in float32 a weight may go."""
    return 128 + vocabulary // 1024


def sample(
    expert: torch.Tensor,
    amateur: torch.Tensor,
    log_alpha: torch.Tensor,
    beta: torch.Tensor,
    temperature: torch.Tensor,
    top_k: torch.Tensor,
    top_p: torch.Tensor,
    uniform: torch.Tensor,
    **_: object,
) -> dict:
    """The token drawn in each row, ``[B]``: in float64, from probabilities that are sorted."""
    scores, _ = _scores(expert, amateur, log_alpha, beta)
    choice = argmax(expert, amateur, log_alpha, beta)["choice"]
    for row in _drawn(scores, temperature):
        ranked, ids = scores[row].sort(descending=True, stable=True)
        weights = ((ranked - ranked[0]) / temperature[row].double()).exp()
        if top_k[row] > 0:
            weights[top_k[row] :] = 0
        weights[weights.cumsum(0) - weights >= top_p[row].double() * weights.sum()] = 0
        reached = torch.zeros_like(weights).scatter(0, ids, weights).cumsum(0)
        choice[row] = torch.searchsorted(reached, uniform[row].double() * reached[-1], right=True)
    return {"choice": choice}


def sample_tolerance(
    expert: torch.Tensor,
    amateur: torch.Tensor,
    choice: torch.Tensor,
    log_alpha: torch.Tensor,
    beta: torch.Tensor,
    temperature: torch.Tensor,
    top_k: torch.Tensor,
    top_p: torch.Tensor,
    uniform: torch.Tensor,
    **_: object,
) -> dict:
    """Infinite where the choice is one that float32 can draw, else 0.

    It is if scores and weights within their rounding errors, and sums within theirs, keep the token and put the draw
    into its part of the distribution. Tokens of equal logits have equal scores, so that their ids alone order them.
    """
    scores, contrast = _scores(expert, amateur, log_alpha, beta)
    bound = argmax_tolerance(expert, amateur, choice, log_alpha, beta)["choice"]
    errors = _error(scores, contrast)
    for row in _drawn(scores, temperature):
        ids = (scores[row] > -torch.inf).nonzero()[:, 0]
        at = (ids == choice[row]).nonzero()[:, 0]
        bound[row] = 0.0
        if len(at):
            tokens = _Tokens(expert[row, ids], amateur[row, ids], scores[row, ids], errors[row, ids])
            slack = 1.01 * UNIT_ROUNDOFF * (2 * longest_sum(expert.shape[1]) + 8)
            tokens.weigh(float(temperature[row]))
            tokens.keep(int(top_k[row]), float(top_p[row]), slack)
            bound[row] = torch.inf if tokens.may_draw(int(at), float(uniform[row]), slack) else 0.0
    return {"choice": bound}


def sample_bytes(expert: torch.Tensor, amateur: torch.Tensor, choice: torch.Tensor, **_: object) -> int:
    """Bytes that must move: both logits, six numbers a row, the choices."""
    return argmax_bytes(expert, amateur, choice) + 4 * 4 * len(expert)


def _drawn(scores: torch.Tensor, temperature: torch.Tensor) -> list[int]:
    """Rows in which there is something to draw; in others the choice is the best token."""
    return ((temperature >= MIN_TEMPERATURE) & scores.amax(1).isfinite()).nonzero()[:, 0].tolist()


class _Tokens:
    """Intervals of what a float32 kernel may find, of a row's tokens above -inf in the order of their ids."""

    def __init__(self, expert: torch.Tensor, amateur: torch.Tensor, scores: torch.Tensor, errors: torch.Tensor) -> None:
        self.low, self.high = scores - errors, scores + errors
        exact = errors == 0  # the score is the expert's logit, whatever the amateur's
        alike = torch.stack([expert.double() + 0.0, amateur.double().masked_fill(exact, 0) + 0.0, exact.double()])
        _, group, sizes = alike.unique(dim=1, return_inverse=True, return_counts=True)
        order = group.sort(stable=True).indices
        firsts = sizes.cumsum(0) - sizes
        self.rank = torch.empty_like(group).scatter(0, order, torch.arange(len(group)) - firsts[group[order]])
        self.behind = sizes[group] - self.rank  # equal tokens from this one on

    def weigh(self, temperature: float) -> None:
        """Bounds of ``exp((score - best) * (1 / temperature))``, with three roundings before the exponential."""
        least = (self.low - self.high.max()) / temperature
        most = ((self.high - self.low.max()) / temperature).clamp(max=0)
        rounding = 1 + 3.001 * UNIT_ROUNDOFF
        self.least = ((least * rounding).exp() * (1 - EXPONENTIAL) - SMALLEST_NORMAL).clamp(min=0)
        self.most = (most / rounding).exp() * (1 + EXPONENTIAL) + SMALLEST_NORMAL

    def keep(self, top_k: int, top_p: float, slack: float) -> None:
        """Which tokens may be kept, and which must be."""
        everyone = torch.ones_like(self.low)
        top_k = top_k if top_k > 0 else len(everyone)
        surely, perhaps = self._surely_before(everyone), self._perhaps_before(everyone)
        self.may, self.must = surely < top_k, perhaps < top_k
        if top_p < 1:
            most, least = self.most * self.may, self.least * self.must
            before = self._surely_before(self.least)
            rest = (most.sum() - self._surely_before(self.most)).clamp(min=SMALLEST_NORMAL)
            self.may &= before / (before + rest) <= top_p + slack
            before = self._perhaps_before(most)
            rest = (least.sum() - self._perhaps_before(least)).clamp(min=SMALLEST_NORMAL)
            self.must &= (before / (before + rest) < top_p - slack) | (perhaps == 0)

    def may_draw(self, at: int, uniform: float, slack: float) -> bool:
        """Whether the draw can fall to the token at that place."""
        most, least = self.most * self.may, self.least * self.must
        before, behind = least[:at].sum(), least[at + 1 :].sum()
        start = before / (before + most[at:].sum())
        end = most[: at + 1].sum() / (most[: at + 1].sum() + behind)
        return bool(self.may[at] and start <= uniform + slack and uniform - slack <= end)

    def _surely_before(self, what: torch.Tensor) -> torch.Tensor:
        """Sum over tokens that certainly precede each one in the order of scores and ids."""
        return _sum_from(self.low, what, self.high, right=True) + self.rank * what

    def _perhaps_before(self, what: torch.Tensor) -> torch.Tensor:
        """Sum over tokens that may precede it."""
        return _sum_from(self.high, what, self.low, right=False) - self.behind * what


def _sum_from(keys: torch.Tensor, what: torch.Tensor, limits: torch.Tensor, right: bool) -> torch.Tensor:
    """For each limit the sum of what has a key from there on, or above it if ``right``."""
    keys, order = keys.sort()
    sums = torch.cat([what[order].flip(0).cumsum(0).flip(0), torch.zeros(1, dtype=torch.float64)])
    return sums[torch.searchsorted(keys, limits, right=right)]
