"""The operators' rules are the kernels' declarations: there is no second one that could say something else."""

import pytest
import torch

pytest.importorskip("triton")
from cold_kernels.arguments import In, Index, Out, Scalar
from cold_kernels.bgmv.expand import bgmv_expand
from cold_kernels.bgmv.shrink import bgmv_shrink
from cold_kernels.bgmv.shrink_expand import bgmv_shrink_expand
from cold_kernels.contrastive.sample import contrastive_sample
from cold_kernels.contrastive.score import contrastive_argmax, contrastive_score
from cold_kernels.ops import contrastive, fused, lora, sample
from cold_kernels.ops.rules import Rules

OPERANDS = [
    (lora.SHRINK, bgmv_shrink, set()),
    (lora.EXPAND, bgmv_expand, set()),
    (fused.RULES, bgmv_shrink_expand, {"order"}),  # which an operator may go without
    (contrastive.LOGITS, contrastive_score, {"log_alpha", "beta", "score"}),  # numbers or tensors; and what it returns
    (sample.DRAWN, contrastive_sample, {"log_alpha", "beta", "temperature", "top_k", "top_p", "choice"}),
]


@pytest.mark.parametrize("rules, spec, others", OPERANDS, ids=lambda item: getattr(item, "name", ""))
def test_all_operands_are_ruled(rules, spec, others):
    assert rules.declared is spec.args
    assert {*rules.names.values()} | others == {*spec.operands}
    assert {dim for name in rules.names.values() for dim in spec.args[name].dims} <= {*rules.sizes}


def test_scores_and_choices_take_the_same():
    for name in contrastive.LOGITS.names.values():
        assert contrastive_argmax.args[name] is contrastive_score.args[name]


RULES = Rules(
    dict(
        x=In("N M", "fp16 fp32"),
        w=In("L M", same_dtype="x"),
        y=Out("N M", "fp32"),
        at=Index("N", "int32", into="L"),
        s=Scalar("fp32"),
    ),
    names=dict(rows="x", weights="w", result="y", places="at"),
    sizes=dict(N="number of rows", M="width", L="slots"),
)


def given(**changes):
    rows, places = torch.ones(3, 4), torch.zeros(3, dtype=torch.int32)
    return dict(rows=rows, weights=torch.ones(2, 4), result=torch.ones(3, 4), places=places) | changes


def test_what_goes_together_passes():
    RULES.check(**given())
    RULES.check(**given(rows=torch.ones(3, 4).half(), weights=torch.ones(2, 4).half()))


@pytest.mark.parametrize(
    "change, error, complaint",
    [
        (dict(rows=[1.0]), TypeError, "rows must be a tensor, not list"),
        (dict(rows=torch.ones(3, 4).to_sparse()), ValueError, "rows is torch.sparse_coo; it must be torch.strided"),
        (dict(places=torch.zeros(3, 1).int()), ValueError, r"places must have 1 dimensions, not shape \[3, 1\]"),
        (dict(rows=torch.ones(3, 4).double()), TypeError, "rows must be torch.float16 or torch.float32, not"),
        (dict(weights=torch.ones(2, 4).int()), TypeError, "weights must be torch.float16 or torch.float32, not"),
        (dict(weights=torch.ones(2, 4).half()), TypeError, "weights has dtype torch.float16, but rows has torch"),
        (dict(weights=torch.ones(2, 4, device="meta")), ValueError, "weights has device meta, but rows has cpu"),
        (dict(weights=torch.ones(2, 5)), ValueError, "weights has width 5, but rows has 4"),
        (dict(result=torch.ones(3, 5)), ValueError, r"result has shape \[3, 5\], but rows has \[3, 4\]"),
        (dict(places=torch.zeros(2).int()), ValueError, "places has number of rows 2, but rows has 3"),
    ],
)  # fmt: skip
def test_what_does_not_is_refused(change, error, complaint):
    with pytest.raises(error, match=complaint):
        RULES.check(**given(**change))
