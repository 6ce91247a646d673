"""A check is made once for arguments that are alike, and again for all that differ in what it looks at."""

import pytest
import torch

hypothesis = pytest.importorskip("hypothesis")
from hypothesis import given, settings
from hypothesis import strategies as st

from cold_kernels import bgmv_expand, bgmv_expand_slice, bgmv_shrink
from cold_kernels.ops import library
from cold_kernels.ops.checks import FLOATS, INDICES
from cold_kernels.ops.library import checked
from cold_kernels.ops.lora import check_expand, check_expand_slice, check_shrink

SIZES = st.sampled_from((0, 1, 5, 256, 257))
TYPES = st.sampled_from((*FLOATS, torch.float64, *INDICES, torch.bool))


def nothing(inputs, weights, output, indices, *numbers):
    return "done"


@st.composite
def tensors(draw):
    """Tensors that mostly go together: up to two sizes, a type or a dimension is another now and then."""
    rows, wide, narrow = draw(SIZES), draw(SIZES), draw(SIZES)
    shapes = [[rows, wide], [draw(SIZES), narrow, wide], [rows, narrow], [rows]]
    weights = draw(st.sampled_from(FLOATS))
    types = [draw(st.sampled_from((weights, torch.float32))), weights, torch.float32, draw(st.sampled_from(INDICES))]
    for _ in range(draw(st.integers(0, 2))):
        shape = draw(st.sampled_from(shapes))
        shape[draw(st.integers(0, len(shape) - 1))] = draw(SIZES)
    if draw(st.integers(0, 3)) == 0:
        types[draw(st.integers(0, 3))] = draw(TYPES)
    if draw(st.integers(0, 5)) == 0:
        shapes[draw(st.integers(0, 3))].append(1)
    return [torch.empty(shape, dtype=dtype, device="meta") for shape, dtype in zip(shapes, types, strict=True)]


def outcome(function, *args):
    try:
        function(*args)
    except (TypeError, ValueError) as error:
        return type(error), str(error)


@pytest.mark.parametrize("check", [check_shrink, check_expand], ids=["shrink", "expand"])
def test_outcomes_are_the_checks(check):
    once, seen = checked(nothing, check), set()

    @settings(max_examples=400, deadline=None)
    @given(tensors())
    def run(args):
        expected = outcome(check, *args)
        assert outcome(once, *args) == outcome(once, *args) == expected
        seen.add(expected is None)

    run()
    assert seen == {True, False}


def test_slices():
    once, seen = checked(nothing, check_expand_slice), set()

    @settings(max_examples=400, deadline=None)
    @given(tensors(), st.integers(-1, 3), st.sampled_from((0, 0, 0, -1, 1)), st.integers(-1, 3))
    def run(args, offset, surplus, room):
        inputs, weights, output, indices = args
        size = weights.shape[1] + surplus
        output = output.new_empty(*output.shape[:1], max(0, offset + size + room), *output.shape[2:])
        given = inputs, weights, output, indices, offset, size
        expected = outcome(check_expand_slice, *given)
        assert outcome(once, *given) == outcome(once, *given) == expected
        seen.add(expected is None)

    run()
    assert seen == {True, False}


def some(rows=2):
    return [torch.empty(rows, 8), torch.empty(3, 8, 8), torch.empty(rows, 8), torch.zeros(rows, dtype=torch.int64)]


def test_a_check_is_made_once():
    made = []
    once = checked(nothing, lambda *args: made.append(args))
    for _ in range(3):
        assert once(*some(), 0.5) == "done"
    assert len(made) == 1
    once(*some(3), 0.5)
    once(*some(), 0.25)
    once(*(tensor.to("meta") for tensor in some()), 0.5)
    once(some()[0].half(), *some()[1:], 0.5)
    assert len(made) == 5


def test_what_failed_is_checked_again():
    once = checked(nothing, check_shrink)
    inputs, *others = some()
    for _ in range(2):
        with pytest.raises(ValueError, match="inputs has 7"):
            once(inputs[:, :7], *others)


def test_not_every_combination_is_remembered(monkeypatch):
    monkeypatch.setattr(library, "MOST_PASSED", 2)
    made = []
    once = checked(nothing, lambda *args: made.append(len(args[0])))
    for rows in (1, 2, 3, 3, 2, 1):
        once(*some(rows))
    assert made == [1, 2, 3, 1]


@pytest.mark.parametrize("elsewhere", range(1, 15))
@pytest.mark.parametrize(
    "operator, check, numbers",
    [(bgmv_shrink, check_shrink, ()), (bgmv_expand, check_expand, ()), (bgmv_expand_slice, check_expand_slice, (0, 8))],
    ids=["shrink", "expand", "slice"],
)
def test_tensors_on_several_devices_are_refused(operator, check, numbers, elsewhere):
    """Before anything is done, though tensors of these shapes on one device passed before."""
    done = []
    once = checked(lambda inputs, weights, output, indices, *numbers: done.append(inputs), check)
    operator(*some(), *numbers)
    once(*some(), *numbers)
    args = [t.to("meta") if elsewhere >> i & 1 else t for i, t in enumerate(some())]
    for function in (operator, once):
        with pytest.raises(ValueError, match="has device"):
            function(*args, *numbers)
    assert len(done) == 1
