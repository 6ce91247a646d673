"""Alpha and beta in tensors that are not on the CPU are never looked at: that would be a synchronisation."""

import pytest
import torch

from cold_kernels import contrastive_argmax, contrastive_score
from cold_kernels.ops import contrastive
from cold_kernels.ops.library import checked

LOOKS = ("__bool__", "__float__", "__int__", "__index__", "__contains__", "item", "tolist", "aminmax", "min", "max")
KINDS = [(True, False), (False, True), (True, True)]


@pytest.fixture
def blind(monkeypatch):
    def refuse(*args, **kwargs):
        raise AssertionError("a tensor was looked at")

    for name in LOOKS:
        monkeypatch.setattr(torch.Tensor, name, refuse)


def arguments(by_row, device, rows=1):
    logits = torch.empty(2, rows, 32, device=device)
    numbers = [torch.full([rows], n, device=device) if t else n for n, t in zip((0.1, 0.5), by_row, strict=True)]
    return *logits, *numbers


@pytest.mark.parametrize("rows", [1, 3])
@pytest.mark.parametrize("by_row", KINDS, ids=str)
def test_checks_do_not_look(by_row, rows, blind):
    args = arguments(by_row, "meta", rows)
    assert checked(lambda expert, amateur, alpha, beta: expert, contrastive._check)(*args) is args[0]
    assert contrastive_score(*args).shape == (rows, 32)
    assert contrastive_argmax(*args).shape == (rows,)


@pytest.mark.parametrize("by_row", KINDS, ids=str)
def test_what_goes_to_a_kernel_is_made_without_looking(by_row, blind):
    expert, _, alpha, beta = arguments(by_row, "meta")
    for make, number, is_tensor in zip((contrastive._log_alpha, contrastive._beta), (alpha, beta), by_row, strict=True):
        if is_tensor:
            assert make(number, expert).shape == (1,)


@pytest.mark.parametrize("by_row", KINDS, ids=str)
def test_on_the_cpu_looking_is_noticed(by_row, blind):
    with pytest.raises(AssertionError, match="looked at"):
        contrastive_score(*arguments(by_row, "cpu"))
