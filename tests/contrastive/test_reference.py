import math
import struct

import pytest
import torch

hypothesis = pytest.importorskip("hypothesis")
from hypothesis import given, settings
from hypothesis import strategies as st

from cold_kernels.contrastive import reference

from .rows import FIRST, INF, NAN, ROWS, batch

DTYPES = (torch.float16, torch.bfloat16, torch.float32)


def rounded(number):
    """To float32."""
    try:
        return struct.unpack("f", struct.pack("f", number))[0]
    except OverflowError:
        return math.copysign(INF, number)


def score_in_python(expert, amateur, log_alpha, beta):
    if any(map(math.isnan, expert)):
        return [NAN] * len(expert)
    cutoff = rounded(max(expert) + log_alpha)
    scores = []
    for e, a in zip(expert, amateur, strict=True):
        counts = math.isfinite(a) and beta > 0
        steps = rounded(e + rounded(beta * rounded(e - a))) if counts else e
        exact = e + beta * (e - a) if counts else e
        scores.append((steps if math.isinf(steps) else exact) if e >= cutoff else -INF)
    return scores


def choice_in_python(expert, scores):
    nans = [at for at, e in enumerate(expert) if math.isnan(e)]
    return nans[0] if nans else scores.index(max(scores))


def assert_as_in_python(expert, amateur, log_alpha, beta):
    args = dict(expert=expert, amateur=amateur, log_alpha=log_alpha, beta=beta)
    scores, choices = reference.score(**args)["score"], reference.argmax(**args)["choice"]
    for row in range(len(expert)):
        numbers = expert[row].tolist()
        expected = score_in_python(numbers, amateur[row].tolist(), float(log_alpha[row]), float(beta[row]))
        wanted = torch.tensor(expected, dtype=torch.float64)
        assert torch.equal(scores[row].isnan(), wanted.isnan())
        assert torch.equal(scores[row][~wanted.isnan()], wanted[~wanted.isnan()])
        if rounded(max(expected)) == max(expected):  # else the best in float32 may be another
            assert choices[row] == choice_in_python(numbers, expected)


@pytest.mark.parametrize("dtype", DTYPES)
def test_special_rows(dtype):
    expert, amateur, alpha, beta = batch(dtype)
    assert_as_in_python(expert, amateur, alpha.log(), beta)
    choices = reference.argmax(expert, amateur, alpha.log(), beta)["choice"]
    if dtype == torch.float32:
        assert {name: choices[list(ROWS).index(name)] for name in FIRST} == FIRST


def numbers(**limits):
    special = st.sampled_from([0.0, -0.0, 1.0, 2.0, INF, -INF, NAN, 3e38, -3e38])
    return st.one_of(st.floats(width=32, **limits), special)


@settings(deadline=None, max_examples=100)
@given(data=st.data(), dtype=st.sampled_from(DTYPES), size=st.integers(1, 9))
def test_any_row(data, dtype, size):
    row = st.lists(numbers(), min_size=size, max_size=size)
    expert, amateur = (torch.tensor([data.draw(row)], dtype=torch.float32).to(dtype) for _ in range(2))
    log_alpha = torch.tensor([data.draw(st.floats(1e-30, 1.0))], dtype=torch.float32).log()
    beta = torch.tensor([data.draw(st.floats(0, 100, width=32))])
    assert_as_in_python(expert, amateur, log_alpha, beta)


def judged(choice, expert=(1.0, 3.0, 3.0, 2.0, 3.0), amateur=(0.0, 1.0, 1.0, 1.0, 1.0), beta=1.0):
    args = dict(expert=torch.tensor([expert]), amateur=torch.tensor([amateur]))
    args |= dict(log_alpha=torch.tensor([-3.0]), beta=torch.tensor([beta]))
    return float(reference.argmax_tolerance(**args, choice=torch.tensor([choice]))["choice"])


def test_which_choices_are_as_good():
    assert judged(1) == INF and judged(2) == judged(4) == judged(0) == judged(3) == 0
    assert judged(5) == judged(-1) == judged(NAN) == 0
    apart = (1.0, 3.0, 3.0, 2.0, 1.5)
    assert judged(4, amateur=apart) == INF and judged(1, amateur=apart) == judged(2, amateur=apart) == 0
    close = torch.nextafter(torch.tensor(1.0), torch.tensor(0.0)).item()
    assert judged(1, amateur=(0.0, 1.0, close, 1.0, 1.0)) == judged(2, amateur=(0.0, 1.0, close, 1.0, 1.0)) == INF
    assert judged(1, (1.0, NAN, NAN, 2.0, 3.0)) == judged(0, (-INF,) * 5) == 0
