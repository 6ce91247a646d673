"""Rules that decide, token by token, how strongly to contrast: each a pure function of the candidates' logits.

Candidates are the tokens that pass the expert's mask by alpha, as in `cold_kernels.contrastive_score`. A rule weighs
each row: the score of a candidate is ``e + weight * (e - a)``. Sums run over the candidates alone, so that a kernel
that knows the mask can apply a rule in the same pass.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch

from cold_kernels import contrastive_argmax

LN2 = math.log(2)


@dataclass(frozen=True)
class Candidates:
    """What a rule sees of a step.

    Args:
        expert, amateur: Log-probabilities among the candidates ``[rows, V]``, float32; -inf for all other tokens, and
            for candidates that the model rules out.
        passes: Which tokens are candidates ``[rows, V]``, bool.
    """

    expert: torch.Tensor
    amateur: torch.Tensor
    passes: torch.Tensor

    @property
    def confidence(self) -> torch.Tensor:
        """The expert's highest probability among the candidates ``[rows]``."""
        return self.expert.amax(1).exp()

    @property
    def second(self) -> torch.Tensor:
        """The second highest probability over the highest ``[rows]``, 0 where there is one candidate."""
        if self.expert.shape[1] == 1:
            return torch.zeros(len(self.expert), device=self.expert.device)
        first, second = self.expert.topk(2).values.unbind(1)
        return (second - first).exp()

    @property
    def agree(self) -> torch.Tensor:
        """Whether expert and amateur have the same favourite among the candidates ``[rows]``, bool."""
        return self.expert.argmax(1) == self.amateur.argmax(1)

    @property
    def divergence(self) -> torch.Tensor:
        """Jensen-Shannon divergence of the two distributions in bits, 0 to 1 ``[rows]``."""
        middle = torch.logaddexp(self.expert, self.amateur) - LN2
        return ((_relative(self.expert, middle) + _relative(self.amateur, middle)) / (2 * LN2)).clamp(0, 1)

    @property
    def entropies(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Of expert and amateur in bits, each ``[rows]``."""
        zero = torch.zeros_like(self.expert)
        return tuple(-_relative(each, zero) / LN2 for each in (self.expert, self.amateur))

    @property
    def push(self) -> torch.Tensor:
        """By how many nats the adapter moved the candidate that it moved most, over the expert's favourite ``[rows]``.

        Candidates that the amateur rules out do not count, as in the contrastive score.
        """
        moved = (self.expert - self.amateur).masked_fill(~(self.passes & self.amateur.isfinite()), 0.0)
        favourite = moved.gather(1, self.expert.argmax(1, keepdim=True))[:, 0]
        return moved.masked_fill(~self.passes, -torch.inf).amax(1) - favourite


def candidates(expert: torch.Tensor, amateur: torch.Tensor, alpha: float) -> Candidates:
    """The candidates of each row, of logits ``[rows, V]``; ``alpha`` above 0 to 1 as in `Request`."""
    expert, amateur = expert.float(), amateur.float()
    passes = expert >= expert.amax(1, keepdim=True) + math.log(alpha)
    among = [each.masked_fill(~passes, -torch.inf).log_softmax(1) for each in (expert, amateur)]
    # An amateur that rules out every candidate says nothing about them: it counts as the expert.
    return Candidates(among[0], torch.where(among[1].isnan(), among[0], among[1]), passes)


@dataclass(frozen=True)
class Rule:
    """A rule with its one setting.

    Args:
        name: With the setting, as reports show it.
        alpha: Of the mask.
        weight: Of `Candidates`, the weight of each row ``[rows]``, 0 or more.
    """

    name: str
    alpha: float
    weight: Callable[[Candidates], torch.Tensor]

    def weights(self, expert: torch.Tensor, amateur: torch.Tensor) -> torch.Tensor:
        """The weight of each row ``[rows]``, float32, of logits ``[rows, V]``."""
        return self.weight(candidates(expert, amateur, self.alpha))

    def choose(self, expert: torch.Tensor, amateur: torch.Tensor) -> torch.Tensor:
        """The token with the best score in each row ``[rows]``, int64, of logits ``[rows, V]``."""
        alpha = torch.full((len(expert),), self.alpha, device=expert.device)
        return contrastive_argmax(expert, amateur.to(expert.dtype), alpha, self.weights(expert, amateur))


def fixed(alpha: float, beta: float) -> Rule:
    """CoLD with one beta for every token."""
    return Rule(f"fixed {beta:g}", alpha, lambda seen: torch.full_like(seen.confidence, beta))


def divergence(alpha: float, beta: float) -> Rule:
    """Beta times the Jensen-Shannon divergence; with ``beta`` 1, AdaCAD (arXiv 2409.07394) over the candidates."""
    return Rule(f"divergence {beta:g}", alpha, lambda seen: beta * seen.divergence)


def far_apart(alpha: float, beta: float, least: float) -> Rule:
    """Beta where the divergence is ``least`` bits or more, else 0."""
    return Rule(f"divergence from {least:g}, {beta:g}", alpha, lambda seen: beta * (seen.divergence >= least))


def back_off(alpha: float, beta: float) -> Rule:
    """Beta where the favourites differ, 0 where they agree: the first stage of NWCAD (arXiv 2604.16686)."""
    return Rule(f"favourites differ, {beta:g}", alpha, lambda seen: beta * ~seen.agree)


def agreed(alpha: float, beta: float) -> Rule:
    """Beta where the favourites agree, else 0: where they differ, the adapter has overcome the base by itself."""
    return Rule(f"favourites agree, {beta:g}", alpha, lambda seen: beta * seen.agree)


def unsure(alpha: float, beta: float, below: float) -> Rule:
    """Beta where the expert's confidence is below a limit, else 0; a limit for good, where CCD (arXiv 2602.18232)
    takes a percentile of the last tokens.
    """
    return Rule(f"confidence below {below:g}, {beta:g}", alpha, lambda seen: beta * (seen.confidence < below))


def two_stages(alpha: float, beta: float, below: float) -> Rule:
    """Beta where the favourites differ and the expert is not confident: both stages of NWCAD (arXiv 2604.16686)."""
    name = f"differ, confidence below {below:g}, {beta:g}"
    return Rule(name, alpha, lambda seen: beta * (~seen.agree & (seen.confidence < below)))


def doubt(alpha: float, beta: float) -> Rule:
    """Beta times the probability that the expert leaves to others than its favourite: confidence without a jump."""
    return Rule(f"doubt {beta:g}", alpha, lambda seen: beta * (1 - seen.confidence))


def close_race(alpha: float, beta: float, least: float) -> Rule:
    """Beta where the expert finds a second candidate at least so likely relative to its favourite, else 0.

    Alpha still says which candidates take part, where the mask of a fixed beta with the higher alpha drops them.
    """
    return Rule(f"second from {least:g}, {beta:g}", alpha, lambda seen: beta * (seen.second >= least))


def entropy_share(alpha: float, beta: float) -> Rule:
    """Beta times the amateur's share in the sum of both entropies, 0 where both are certain: ACD's kind of weight."""

    def weight(seen: Candidates) -> torch.Tensor:
        expert, amateur = seen.entropies
        return beta * torch.where(expert + amateur > 0, amateur / (expert + amateur), 0.0)

    return Rule(f"entropy share {beta:g}", alpha, weight)


def surer_amateur(alpha: float, beta: float) -> Rule:
    """Beta where the amateur is surer than the expert (of lower entropy), else 0: the adapter argues with a prior."""

    def weight(seen: Candidates) -> torch.Tensor:
        expert, amateur = seen.entropies
        return beta * (amateur < expert)

    return Rule(f"surer amateur, {beta:g}", alpha, weight)


def pushed(alpha: float, beta: float, least: float) -> Rule:
    """Beta where the adapter moved a candidate by ``least`` nats or more over the expert's favourite, else 0."""
    return Rule(f"push from {least:g} nats, {beta:g}", alpha, lambda seen: beta * (seen.push >= least))


def pushed_softly(alpha: float, beta: float, least: float) -> Rule:
    """Beta times the share of the push that is above ``least`` nats: a rule without a jump."""
    name = f"push above {least:g} nats, {beta:g}"
    return Rule(name, alpha, lambda seen: beta * (1 - least / seen.push.clamp(min=1e-9)).clamp(min=0))


def pushed_where_agreed(alpha: float, beta: float, least: float) -> Rule:
    """Beta where the favourites agree and the adapter moved another candidate by ``least`` nats or more over them."""
    name = f"agree, push from {least:g} nats, {beta:g}"
    return Rule(name, alpha, lambda seen: beta * (seen.agree & (seen.push >= least)))


def _relative(logs: torch.Tensor, others: torch.Tensor) -> torch.Tensor:
    """Sum of ``p * (log p - log q)`` ``[rows]``, where 0 times anything is 0."""
    return torch.where(logs.isfinite(), logs.exp() * (logs - others), 0.0).sum(1)
