"""Alpha and beta that score best on validation problems."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from .answer import Answers
from .intervals import Interval, bootstrap
from .problem import Problem
from .summary import scored

ALPHAS = (0.01, 0.03, 0.1, 0.3, 0.5)
BETAS = (0.1, 0.25, 0.5, 1.0, 2.0)
FIRST = [(0.1, 0.0), (0.1, 0.5), (0.1, 0.25), (0.3, 0.5), (0.3, 1.0), (0.03, 0.25)]
"""Settings that are tried before any other: plain LoRA, the default, and what lies around it."""
STEP = 0.05
"""Betas are multiples of it; alphas have two digits."""


class Setting(NamedTuple):
    """A setting and its mean score over problems and adapters, 0 to 1."""

    alpha: float
    beta: float
    score: float


@dataclass(frozen=True)
class Tuned:
    """All settings that were tried, in their order.

    Args:
        best: Of the highest score; of several, the smallest beta, then the highest alpha, which change least.
        greedy: The score of plain LoRA.
        gain: Of the best over plain LoRA, on the problems that chose it.
    """

    trials: list[Setting]
    best: Setting
    greedy: float
    gain: Interval

    def as_json(self) -> dict:
        """In lists, dictionaries and numbers."""
        best, trials = self.best._asdict(), [trial._asdict() for trial in self.trials]
        return {"best": best, "greedy": self.greedy, "gain": self.gain._asdict(), "trials": trials}


def tuned(
    problems: Sequence[Problem], adapters: Sequence[str], answers: Answers, score: str, trials: int, seed: int = 0
) -> Tuned:
    """Try settings: those of `FIRST`, then, if there are trials for it, the grid, then what Optuna's TPE proposes.

    The same seed proposes the same settings, so that a run that was killed finds its answers where it kept them.
    """
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(direction="maximize", sampler=optuna.samplers.TPESampler(seed=seed))
    grid = [(alpha, beta) for alpha in ALPHAS for beta in BETAS]
    for alpha, beta in [*FIRST, *(grid if trials >= 2 * len(grid) else [])][:trials]:
        study.enqueue_trial({"alpha": alpha, "beta": beta})
    found: dict[tuple[float, float], np.ndarray] = {}

    def objective(trial: "optuna.Trial") -> float:
        beta = trial.suggest_float("beta", 0.0, 2.0, step=STEP)
        alpha = float(f"{trial.suggest_float('alpha', 0.01, 1.0, log=True):.2g}")
        setting = (alpha, round(beta, 2)) if beta else (FIRST[0][0], 0.0)
        if setting not in found:
            found[setting] = np.array([scored(problems, answers.answers(each, *setting), score) for each in adapters])
        return float(found[setting].mean())

    study.optimize(objective, n_trials=trials)
    tried = [Setting(*setting, float(values.mean())) for setting, values in found.items()]
    best = max(tried, key=lambda each: (round(each.score, 9), -each.beta, each.alpha))
    greedy = found[FIRST[0]]
    gain = bootstrap((found[best[:2]] - greedy)[None, None], shared=True)[0]
    return Tuned(tried, best, float(greedy.mean()), gain)
