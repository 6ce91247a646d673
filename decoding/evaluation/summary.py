"""How base model, greedy LoRA and CoLD compare on the same problems."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np

from .answer import Answer, Answers
from .intervals import Interval, bootstrap, paired
from .problem import Problem
from .scores import SCORES


@dataclass(frozen=True)
class ByAdapter:
    """Of one adapter: mean scores, problems won and lost by CoLD beside greedy, tokens that contrast chose."""

    name: str
    greedy: float
    cold: float
    wins: int
    losses: int
    changed: int
    tokens: int


@dataclass(frozen=True)
class Summary:
    """Scores over problems and adapters, with 95 % intervals that resample both.

    Args:
        gain: CoLD's score minus greedy's.
        wins, losses: Pairs of problem and adapter that CoLD answers better or worse than greedy.
        examples: Problem, adapter, and the answers of both by greedy and CoLD, where they differ.
    """

    problems: int
    alpha: float
    beta: float
    score: str
    base: Interval
    greedy: Interval
    cold: Interval
    gain: Interval
    wins: int
    losses: int
    adapters: list[ByAdapter]
    examples: list[tuple[str, str, Answer, Answer]]

    def as_json(self) -> dict:
        """In lists, dictionaries and numbers, without the examples."""
        fields = {name: getattr(self, name) for name in ("problems", "alpha", "beta", "score", "wins", "losses")}
        fields |= {name: getattr(self, name)._asdict() for name in ("base", "greedy", "cold", "gain")}
        return fields | {"adapters": [asdict(each) for each in self.adapters]}


def summary(
    problems: Sequence[Problem], adapters: Sequence[str], answers: Answers, score: str, alpha: float, beta: float
) -> Summary:
    """Compare the answers to the problems.

    Raises:
        ValueError: an answer that the score cannot be applied to; the problem is named.
    """
    base = scored(problems, answers.answers(None, 0.0, 0.0), score)
    greedy_answers = [answers.answers(name, alpha, 0.0) for name in adapters]
    cold_answers = [answers.answers(name, alpha, beta) for name in adapters]
    greedy = np.array([scored(problems, each, score) for each in greedy_answers])
    cold = np.array([scored(problems, each, score) for each in cold_answers])
    values = np.stack([np.broadcast_to(base, greedy.shape), greedy, cold, cold - greedy])[:, None]
    intervals = bootstrap(values, shared=True)
    of_adapters, examples = [], []
    for row, name in enumerate(adapters):
        won = paired(greedy[row] > cold[row], cold[row] > greedy[row])
        changed = sum(len(each.changes) for each in cold_answers[row])
        tokens = sum(each.length for each in cold_answers[row])
        means = float(greedy[row].mean()), float(cold[row].mean())
        of_adapters.append(ByAdapter(name, *means, won.wins, won.losses, changed, tokens))
        for problem, one, other in zip(problems, greedy_answers[row], cold_answers[row], strict=True):
            if one.text != other.text:
                examples.append((problem.name, name, one, other))
    wins, losses = (sum(getattr(each, field) for each in of_adapters) for field in ("wins", "losses"))
    return Summary(len(problems), alpha, beta, score, *intervals, wins, losses, of_adapters, examples)


def scored(problems: Sequence[Problem], answers: Sequence[Answer], score: str) -> np.ndarray:
    """The score of each problem ``[problems]``, 0 to 1.

    Raises:
        ValueError: an answer that the score cannot be applied to; the problem is named.
    """
    values = []
    for problem, answer in zip(problems, answers, strict=True):
        try:
            values.append(SCORES[score](answer.text, problem.answer))
        except ValueError as error:
            raise ValueError(f"problem {problem.name}: {error}") from None
    return np.array(values)
