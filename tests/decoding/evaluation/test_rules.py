"""What each rule decides, on rows whose answer is known, and that it is a function of the candidates alone."""

import math

import pytest
import torch

from cold_kernels import contrastive_argmax
from decoding.evaluation import rules

SURE, SPLIT, UNEVEN, OTHER = [9.0, 0, 0], [2.0, 1.9, 0], [2.0, 1.0, 0], [0.0, 2.0, 0]
RULES = [
    rules.fixed(0.1, 0.5),
    rules.divergence(0.1, 1.0),
    rules.far_apart(0.1, 0.5, 0.1),
    rules.back_off(0.1, 0.5),
    rules.agreed(0.1, 0.5),
    rules.unsure(0.1, 0.5, 0.7),
    rules.two_stages(0.1, 0.5, 0.7),
    rules.entropy_share(0.1, 1.0),
    rules.doubt(0.1, 1.0),
    rules.close_race(0.1, 0.5, 0.5),
    rules.surer_amateur(0.1, 0.5),
    rules.pushed(0.1, 0.5, 1.0),
    rules.pushed_softly(0.1, 0.5, 1.0),
    rules.pushed_where_agreed(0.1, 0.5, 1.0),
]
every = pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)


def weight(rule, expert, amateur):
    return rule.weights(torch.tensor([expert]), torch.tensor([amateur])).item()


def random_rows(seed, rows=200, vocabulary=50):
    draw = torch.Generator().manual_seed(seed)
    return [2 * torch.randn(rows, vocabulary, generator=draw) for _ in range(2)]


@every
def test_other_tokens_do_not_count(rule):
    expert, amateur = random_rows(0)
    passes = expert >= expert.amax(1, keepdim=True) + math.log(rule.alpha)
    changed = torch.where(passes, amateur, torch.randn(amateur.shape, generator=torch.Generator().manual_seed(1)) * 9)
    torch.testing.assert_close(rule.weights(expert, changed), rule.weights(expert, amateur))


@every
def test_constants_added_to_logits_do_not_count(rule):
    expert, amateur = random_rows(1)
    torch.testing.assert_close(rule.weights(expert + 3, amateur - 5), rule.weights(expert, amateur), atol=1e-4, rtol=0)


@every
def test_weights_are_finite_and_not_negative(rule):
    expert, amateur = random_rows(2)
    amateur[:, ::2] = -math.inf
    amateur[0] = -math.inf
    expert[1, 1:] = -math.inf
    weights = rule.weights(expert, amateur)
    assert weights.isfinite().all() and (weights >= 0).all()


@every
def test_the_choice_is_the_operators(rule):
    expert, amateur = random_rows(3)
    alpha = torch.full((len(expert),), rule.alpha)
    expected = contrastive_argmax(expert, amateur, alpha, rule.weights(expert, amateur))
    assert rule.choose(expert, amateur).equal(expected)


@every
def test_no_row_looks_at_another(rule):
    expert, amateur = random_rows(4)
    alone = torch.cat([rule.weights(expert[row : row + 1], amateur[row : row + 1]) for row in range(20)])
    torch.testing.assert_close(rule.weights(expert, amateur)[:20], alone)


def test_divergence_is_the_textbooks():
    seen = rules.candidates(torch.tensor([SPLIT, SURE, SPLIT]), torch.tensor([OTHER, SURE, SPLIT]), 1e-9)
    p, q = (torch.tensor(each).double().softmax(0) for each in (SPLIT, OTHER))
    middle = (p + q) / 2
    expected = ((p * (p / middle).log2()).sum() + (q * (q / middle).log2()).sum()) / 2
    assert seen.divergence.tolist() == pytest.approx([expected.item(), 0, 0], abs=1e-6)
    apart = rules.candidates(torch.tensor([[0.0, -99]]), torch.tensor([[-99.0, 0]]), 1e-44)
    assert apart.divergence.item() == pytest.approx(1)


def test_entropies_are_in_bits():
    seen = rules.candidates(torch.tensor([[1.0, 1, -99]]), torch.tensor([[7.0, 7, 7]]), 0.5)
    assert [each.item() for each in seen.entropies] == pytest.approx([1, 1])  # of the two candidates


def test_push_is_relative_to_the_favourite():
    seen = rules.candidates(torch.tensor([[2.0, 1.5, 1.2]]), torch.tensor([[5.0, 1.0, -math.inf]]), 0.1)
    assert seen.push.item() == pytest.approx((1.5 - 1.0) - (2.0 - 5.0))


@pytest.mark.parametrize(
    ("rule", "expert", "amateur", "expected"),
    [
        (rules.fixed(0.1, 0.5), SPLIT, SPLIT, 0.5),
        (rules.far_apart(0.1, 0.5, 0.2), SPLIT, SPLIT, 0),
        (rules.far_apart(0.1, 0.5, 0.2), SPLIT, [9.0, 0, 0], 0.5),
        (rules.back_off(0.1, 0.5), SPLIT, UNEVEN, 0),
        (rules.back_off(0.1, 0.5), SPLIT, OTHER, 0.5),
        (rules.agreed(0.1, 0.5), SPLIT, UNEVEN, 0.5),
        (rules.agreed(0.1, 0.5), SPLIT, OTHER, 0),
        (rules.unsure(0.1, 0.5, 0.6), SPLIT, OTHER, 0.5),
        (rules.unsure(0.1, 0.5, 0.6), UNEVEN, OTHER, 0),
        (rules.two_stages(0.1, 0.5, 0.6), SPLIT, OTHER, 0.5),
        (rules.two_stages(0.1, 0.5, 0.6), SPLIT, UNEVEN, 0),
        (rules.two_stages(0.1, 0.5, 0.6), UNEVEN, OTHER, 0),
        (rules.surer_amateur(0.1, 0.5), SPLIT, UNEVEN, 0.5),
        (rules.doubt(0.9, 0.5), [2.0, 2.0, 0], OTHER, 0.25),
        (rules.doubt(0.1, 0.5), SURE, OTHER, 0),
        (rules.close_race(0.1, 0.5, 0.9), SPLIT, OTHER, 0.5),
        (rules.close_race(0.1, 0.5, 0.4), UNEVEN, OTHER, 0),
        (rules.close_race(0.1, 0.5, 0.3), [2.0], [0.0], 0),
        (rules.surer_amateur(0.1, 0.5), UNEVEN, SPLIT, 0),
        (rules.pushed(0.1, 0.5, 0.8), SPLIT, UNEVEN, 0.5),
        (rules.pushed(0.1, 0.5, 0.8), UNEVEN, SPLIT, 0),
        (rules.pushed_softly(0.1, 0.5, 0.45), SPLIT, UNEVEN, 0.25),
        (rules.pushed_softly(0.1, 0.5, 2.0), SPLIT, UNEVEN, 0),
        (rules.pushed_where_agreed(0.1, 0.5, 0.8), SPLIT, UNEVEN, 0.5),
        (rules.pushed_where_agreed(0.1, 0.5, 0.8), SPLIT, OTHER, 0),
    ],
)
def test_what_a_rule_decides(rule, expert, amateur, expected):
    assert weight(rule, expert, amateur) == pytest.approx(expected, abs=1e-5)


def test_a_sure_expert_is_never_overruled():
    for rule in RULES:
        assert rule.choose(torch.tensor([SURE]), torch.tensor([[30.0, -30, -30]])).item() == 0
