"""What the study compares: settings of CoLD, and rules that decide when to contrast, each family with its settings."""

import functools

import torch

from decoding.evaluation import rules
from decoding.evaluation.rules import Rule

from .tree import Choose

ALPHAS, BETAS = (0.01, 0.1, 0.3, 0.5), (0.1, 0.25, 0.5, 1.0)
"""What a fixed setting is chosen from, beside beta 0, which is the adapter's greedy decoding."""
DEFAULT = rules.fixed(0.1, 0.5)
"""With the alpha and beta that `Request` has by default."""
SCALED = {f"scaled {factor:g}": factor for factor in (1.1, 1.25, 1.5, 2.0)}
"""The adapter's update multiplied by a factor and decoded greedily, as a control."""
BEAMS, BEAM_SEARCH = 4, "beams"
RULE_ALPHAS, RULE_BETAS = (0.1, 0.3), (0.5, 1.0)
CONFIDENCES = (0.5, 0.55, 0.6, 0.65, 0.7, 0.9)
PUSHES = (1.0, 2.0, 3.0, 4.0, 6.0)

GRID = [rules.fixed(alpha, beta) for beta in BETAS for alpha in ALPHAS]
"""The smaller beta first, then the smaller alpha, as ties go to the first."""


@functools.cache
def families() -> dict[str, list[Rule]]:
    """Of each kind of rule its settings, of which one is chosen for all tasks together."""
    both = [(alpha, beta) for alpha in RULE_ALPHAS for beta in RULE_BETAS]
    return {
        "one fixed setting": GRID,
        "divergence (AdaCAD)": [rules.divergence(a, b) for a in RULE_ALPHAS for b in (0.5, 1.0, 2.0)],
        "divergence, from a limit": [rules.far_apart(a, b, least) for a, b in both for least in (0.1, 0.2, 0.3, 0.5)],
        "favourites differ (NWCAD, back-off)": [rules.back_off(a, b) for a, b in both],
        "differ, and not confident (NWCAD)": [rules.two_stages(a, b, c) for a, b in both for c in (0.5, 0.7, 0.9)],
        "not confident (CCD, LGCD)": [
            rules.unsure(a, b, c) for a in RULE_ALPHAS for b in (0.5, 0.75, 1.0) for c in CONFIDENCES
        ],
        "doubt": [rules.doubt(a, b) for a in RULE_ALPHAS for b in (0.5, 1.0, 2.0)],
        "close race": [rules.close_race(a, b, least) for a, b in both for least in (0.3, 0.5, 0.7)],
        "share of entropy (ACD)": [rules.entropy_share(a, b) for a in RULE_ALPHAS for b in (0.5, 1.0, 2.0)],
        "favourites agree": [rules.agreed(a, b) for a, b in both],
        "surer amateur": [rules.surer_amateur(a, b) for a, b in both],
        "push, from a limit": [rules.pushed(a, b, least) for a, b in both for least in PUSHES],
        "push, above a limit": [rules.pushed_softly(a, b, least) for a, b in both for least in PUSHES],
        "agree, and push": [rules.pushed_where_agreed(a, b, least) for a, b in both for least in PUSHES],
    }


def key(rule: Rule) -> str:
    """A rule with all its settings, as results name it."""
    return f"alpha {rule.alpha:g}, {rule.name}"


def fixed() -> list[str]:
    """What a setting is chosen from for each adapter; of equals the first is chosen, greedy before all."""
    return ["greedy", *map(key, GRID)]


def scaled() -> list[str]:
    """What a factor is chosen from."""
    return ["greedy", *SCALED]


def on_validation() -> list[str]:
    """What is tried on validation problems."""
    return [*fixed(), *scaled(), *(key(rule) for rules in families().values() for rule in rules)]


def choices() -> dict[str, Choose]:
    """What chooses a token by both models' logits, by name."""
    every = [*GRID, DEFAULT, *(rule for rules in families().values() for rule in rules)]
    return {"base": base, "greedy": greedy, **{key(rule): rule.choose for rule in every}}


def greedy(expert: torch.Tensor, amateur: torch.Tensor) -> torch.Tensor:
    """The expert's favourite."""
    return expert.argmax(1)


def base(expert: torch.Tensor, amateur: torch.Tensor) -> torch.Tensor:
    """The amateur's."""
    return amateur.argmax(1)
