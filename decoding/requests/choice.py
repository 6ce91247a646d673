"""The next token of each request, from one pass's logits."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from transformers import TemperatureLogitsWarper, TopKLogitsWarper, TopPLogitsWarper

from cold_kernels import contrastive_argmax, contrastive_score

from .request import Request

EVERYTHING = 2.0**-149
"""The smallest alpha in float32: it lets pass every token whose logit is within 103 of the highest."""
ROUNDING = 1e-5
"""By so much, relative to the logits, a token may lie below the mask's cutoff and still count as passing."""
MIN_TEMPERATURE = 1e-30
"""A temperature by which differences of logits can be divided."""


@dataclass
class TokenChoice:
    """Tokens of a step, by request.

    Args:
        tokens: -1 where no token is legal.
        expert, amateur: Their log-probabilities ``[requests, V]`` are worked out on demand from these logits.
    """

    tokens: list[int]
    expert: torch.Tensor
    amateur: torch.Tensor

    def logprobs(self, row: int) -> tuple[float, float]:
        """Of the chosen token, by expert and amateur."""
        token = self.tokens[row]
        return tuple(logits[row].float().log_softmax(-1)[token].item() for logits in (self.expert, self.amateur))


class Chooser:
    """Chooses for requests that are decoded together; keeps what their draws need.

    Raises:
        ValueError: requests of which some alone belong to one `Together`, or in another order than its rows.
    """

    def __init__(self, requests: Sequence[Request]) -> None:
        self._together = requests[0].together if requests else None
        if any(request.together is not self._together for request in requests) or (
            self._together is not None and len(self._together.ended) != len(requests)
        ):
            raise ValueError("together belongs to other requests; all requests of a batch are given at once, or none")
        self._warpers = [_warpers(request) for request in requests]
        self._generators = [_generator(request) for request in requests]

    @property
    def lockstep(self) -> bool:
        """Whether `processed` and `choose` must be given all requests that are left, once a step."""
        return self._together is not None

    def processed(
        self, requests: Sequence[tuple[int, Request]], texts: Mapping[int, list[int]], expert: torch.Tensor
    ) -> torch.Tensor:
        """The expert's logits ``[requests, V]`` after each request's logits processors; called once a step."""
        if self._together is not None:
            expert = self._together.processed([place for place, _ in requests], expert)
        if not any(request.logits_processor for _, request in requests):
            return expert
        expert = expert.float().clone()
        for row, (place, request) in enumerate(requests):
            for processor in request.logits_processor:
                ids = torch.tensor([texts[place]], device=expert.device)
                expert[row] = processor(ids, expert[row : row + 1])[0]
        return expert

    def choose(
        self,
        requests: Sequence[tuple[int, Request]],
        texts: Mapping[int, list[int]],
        expert: torch.Tensor,
        amateur: torch.Tensor | None,
    ) -> TokenChoice:
        """Choose a token for each of the requests, given with their place among all.

        Args:
            texts: Prompt and new tokens by place; looked at by warpers alone.
            expert: Its `processed` logits ``[requests, V]``.
            amateur: Its logits; anything for a request without amateur, None where no amateur could change a choice.
        """
        if self._together is None:
            return _choice(self._best(requests, texts, expert, amateur), expert, amateur)
        choose = self._best_of_warped if self._together.warps else self._best
        choice = _choice(choose(requests, texts, expert, amateur), expert, amateur)
        self._together.append([place for place, _ in requests], choice.tokens)
        return choice

    def _best(self, requests, texts, expert, amateur) -> torch.Tensor:
        """Tokens ``[requests]``, int64, chosen or drawn; of `choose`'s arguments."""
        if not any(amateur is not None and request.contrasts or request.temperature for _, request in requests):
            return expert.argmax(1)
        strengths = _strengths(requests, expert)
        amateur = expert if amateur is None else amateur.to(expert.dtype)
        drawing = [row for row, (_, request) in enumerate(requests) if request.temperature > 0]
        if len(drawing) < len(requests):
            best = contrastive_argmax(expert, amateur, *strengths)
        else:
            best = torch.zeros(len(requests), dtype=torch.int64, device=expert.device)
        if drawing:
            rows = torch.tensor(drawing, device=expert.device)
            scores = contrastive_score(expert[rows], amateur[rows], *(strength[rows] for strength in strengths))
            places = [requests[row][0] for row in drawing]
            best[rows] = torch.stack([self._draw(place, texts[place], s) for place, s in zip(places, scores)])
        return best

    def _best_of_warped(self, requests, texts, expert, amateur) -> torch.Tensor:
        """As `_best`, from the scores as `Together` warps them."""
        scores = expert.float()
        if any(request.contrasts or request.temperature for _, request in requests):
            scores = contrastive_score(
                expert, expert if amateur is None else amateur.to(expert.dtype), *_strengths(requests, expert)
            )
        warped = self._together.warped([place for place, _ in requests], scores)
        best = scores.argmax(1)
        for row, (place, request) in enumerate(requests):
            if not scores[row, best[row]].isfinite():  # NaN, infinite, or no token is legal
                continue
            if warped[row].isnan().any() or not (warped[row] > -math.inf).any():
                best[row] = -1
            elif request.temperature:
                best[row] = self._draw(place, texts[place], warped[row])
            else:
                best[row] = warped[row].argmax()
        return best

    def may_lag(self, request: Request) -> bool:
        """Whether the request's amateur is asked for only where it can change a choice."""
        needs = request.logprobs or request.alpha is None or request.warpers or request.stopping_criteria
        return not (self.lockstep or needs)

    def contested(self, requests: Sequence[tuple[int, Request]], expert: torch.Tensor) -> list[bool]:
        """Whether more than one token passes the mask of each request that contrasts; in doubt, true.

        Args:
            expert: Its `processed` logits ``[requests, V]``.
        """
        first, second = expert.float().topk(2).values.unbind(1)
        cutoff = first + _by_row([math.log(request.alpha or EVERYTHING) for _, request in requests], expert)
        return (second >= cutoff - ROUNDING * (1 + first.abs())).tolist()

    def guess(
        self, requests: Sequence[tuple[int, Request]], texts: Mapping[int, list[int]], expert: torch.Tensor
    ) -> list[int]:
        """What would be chosen if no amateur changed it; generators stay as they are."""
        drawing = [self._generators[place] for place, request in requests if request.temperature]
        states = [generator.get_state() for generator in drawing]
        tokens = self.choose(requests, texts, expert, None).tokens
        for generator, state in zip(drawing, states, strict=True):
            generator.set_state(state)
        return tokens

    def _draw(self, place: int, text: list[int], scores: torch.Tensor) -> torch.Tensor:
        best = scores.argmax()
        if not scores[best].isfinite():  # NaN, infinite, or no token is legal
            return best
        ids, scores = torch.tensor([text], device=scores.device), (scores - scores[best])[None]
        for warper in self._warpers[place]:
            scores = warper(ids, scores)
        if not scores.isfinite().any():
            return torch.full_like(best, -1)
        # On the CPU, so that a seed draws the same on every device.
        drawn = torch.multinomial(scores[0].softmax(-1).cpu(), 1, generator=self._generators[place])
        return drawn[0].to(scores.device)


def _choice(tokens: torch.Tensor, expert: torch.Tensor, amateur: torch.Tensor | None) -> TokenChoice:
    legal = (tokens >= 0) & (expert.gather(1, tokens.clamp(0)[:, None])[:, 0] > -math.inf)
    return TokenChoice(torch.where(legal, tokens, -1).tolist(), expert, expert if amateur is None else amateur)


def _strengths(requests: Sequence[tuple[int, Request]], like: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Alpha and beta ``[requests]``, fp32."""
    alpha = [max(request.alpha or 0.0, EVERYTHING) for _, request in requests]
    beta = [request.beta if request.contrasts else 0.0 for _, request in requests]
    return _by_row(alpha, like), _by_row(beta, like)


def _by_row(values: list[float], like: torch.Tensor) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float32, device=like.device)


def _warpers(request: Request) -> list:
    warpers = []
    if request.temperature not in (0.0, 1.0):
        warpers.append(TemperatureLogitsWarper(max(float(request.temperature), MIN_TEMPERATURE)))
    if request.top_k is not None:
        warpers.append(TopKLogitsWarper(request.top_k))
    if request.top_p is not None and request.top_p < 1:
        warpers.append(TopPLogitsWarper(request.top_p))
    return [*warpers, *request.warpers]


def _generator(request: Request) -> torch.Generator:
    generator = torch.Generator()
    if request.seed is None:
        generator.seed()
    else:
        generator.manual_seed(int(request.seed))
    return generator
