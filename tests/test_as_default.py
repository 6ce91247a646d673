"""What the default configuration computes, in the place of a reference."""

import pytest
import torch

pytest.importorskip("triton")
from cold_kernels.as_default import EPSILONS, as_default, close_to_default
from cold_kernels.ascend.installation import toolchain_problem
from tests.specs import copies
from tests.stranger_kernels import declared, scaled_spec

compiles = pytest.mark.skipif(toolchain_problem() is not None, reason=str(toolchain_problem()))


def operands():
    torch.manual_seed(0)
    return dict(x=torch.randn(4, 100), y=torch.zeros(4, 100), bias=torch.randn(100))


@compiles
def test_it_is_what_the_default_computes():
    args = operands()
    (found,) = scaled_spec.reference(**args).items()
    assert found[0] == "y" and found[1].dtype == torch.float64
    torch.testing.assert_close(found[1].float(), 2 * args["x"] + args["bias"])
    assert not args["y"].any()  # the caller's tensors are as before


@compiles
def test_other_numbers_are_computed_anew():
    args = operands()
    one = scaled_spec.reference(**args)["y"]
    other = scaled_spec.reference(**args | {"x": args["x"] + 1})["y"]
    torch.testing.assert_close(other.float(), (one + 2).float())


def test_evidence_says_that_nothing_was_compared_with_float64():
    assert scaled_spec.against == "the default configuration (no reference was given)"
    assert "float64" in copies.against


def test_the_tolerance_is_some_units_in_the_last_place():
    spec = declared(reference=lambda **_: {"y": torch.tensor([[3.0, -4.0, 0.0, 0.0]], dtype=torch.float64)})
    allowed = close_to_default(lambda: spec)(y=torch.empty(1, 4))["y"]
    unit = EPSILONS * torch.finfo(torch.float32).eps
    torch.testing.assert_close(allowed, unit * torch.tensor([[5.5, 6.5, 2.5, 2.5]], dtype=torch.float64))


def test_integers_must_be_equal():
    spec = declared(reference=lambda **_: {"y": torch.tensor([3.0], dtype=torch.float64)})
    assert not close_to_default(lambda: spec)(y=torch.empty(1, dtype=torch.int32))["y"].any()


def test_the_spec_is_asked_for_when_it_is_needed():
    def not_yet():
        raise AssertionError

    assert as_default(not_yet).against.startswith("the default configuration")
