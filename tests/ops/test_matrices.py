"""What the quick proofs let through, the checks let through."""

import pytest
import torch

hypothesis = pytest.importorskip("hypothesis")
from hypothesis import given, settings
from hypothesis import strategies as st

from cold_kernels import bgmv_expand, bgmv_expand_slice, bgmv_shrink
from cold_kernels.ops.checks import FLOATS, INDICES
from cold_kernels.ops.library import on_one_device
from cold_kernels.ops.lora import check_expand, check_expand_slice, check_shrink
from cold_kernels.ops.matrices import expand_fits, shrink_fits

SIZES = st.sampled_from((0, 1, 5, 256, 257))
TYPES = st.sampled_from((*FLOATS, torch.float64, *INDICES, torch.bool))


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


@pytest.mark.parametrize(
    "fits, check", [(shrink_fits, check_shrink), (expand_fits, check_expand)], ids=["shrink", "expand"]
)
def test_what_fits_passes_the_check(fits, check):
    seen = []

    @settings(max_examples=400, deadline=None)
    @given(tensors())
    def run(args):
        seen.append(fits(*args))
        if seen[-1]:
            check(*args)

    run()
    assert any(seen) and not all(seen)


def test_slices_that_fit_pass_the_check():
    seen = []

    @settings(max_examples=400, deadline=None)
    @given(tensors(), st.integers(-1, 3), st.sampled_from((0, 0, 0, -1, 1)), st.integers(-1, 3))
    def run(args, offset, surplus, room):
        inputs, weights, output, indices = args
        size = weights.shape[1] + surplus
        output = output.new_empty(*output.shape[:1], max(0, offset + size + room), *output.shape[2:])
        seen.append(expand_fits(inputs, weights, output, indices, (offset, size)))
        if seen[-1]:
            check_expand_slice(inputs, weights, output, indices, offset, size)

    run()
    assert any(seen) and not all(seen)


def some(rows=2):
    return [torch.empty(rows, 8), torch.empty(3, 8, 8), torch.empty(rows, 8), torch.zeros(rows, dtype=torch.int64)]


@pytest.mark.parametrize("elsewhere", range(1, 15))
@pytest.mark.parametrize(
    "operator, check, numbers",
    [(bgmv_shrink, check_shrink, ()), (bgmv_expand, check_expand, ()), (bgmv_expand_slice, check_expand_slice, (0, 8))],
    ids=["shrink", "expand", "slice"],
)
def test_tensors_on_several_devices_are_refused(operator, check, numbers, elsewhere):
    """By the operator, which proofs leave it to, and by what it is on devices before it does anything."""
    args = [t.to("meta") if elsewhere >> i & 1 else t for i, t in enumerate(some())]
    done = []
    for function in (operator, on_one_device(lambda *args: done.append(args), check)):
        with pytest.raises(ValueError, match="has device"):
            function(*args, *numbers)
    assert not done
    on_one_device(lambda *args: done.append(args), check)(*some(), *numbers)
    assert done
