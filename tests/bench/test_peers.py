"""The peers' schemes compute what they should; what they launch for a layer."""

import pytest

pytest.importorskip("triton")
pytest.importorskip("xdsl")
import torch

from bench.layers import schemes
from bench.layers.peers import gather_bmm, one_core_per_token, segmented, split_k
from bench.layers.projections import MODELS, Batch
from cold_kernels.ascend.machine import ascend_machine
from cold_kernels.cases import Case
from tuner.search.evaluate import Evaluator

SPECS = (
    one_core_per_token.per_token_shrink, one_core_per_token.per_token_expand, gather_bmm.gather, split_k.zeros,
    split_k.split_k_shrink, split_k.sliced_expand, segmented.segmented_shrink, segmented.segmented_expand,
)  # fmt: skip


@pytest.fixture(scope="module")
def machine(compiler):
    return ascend_machine("Ascend910B3")


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec.name)
def test_right_in_hard_cases(spec, machine):
    for text in spec.hard:
        case = Case.parse(text, spec)
        wrong = Evaluator(spec, machine).wrong(spec.default_for(case.shape()), case)
        if spec is segmented.segmented_expand and "gather=0" not in text:  # rows past a segment's end, see its kernel
            assert wrong is None or ("a hazard" in wrong and "nothing depends on it here" in wrong)
        else:
            assert not wrong


@pytest.mark.parametrize("peer, launches", [(one_core_per_token, 14), (gather_bmm, 28), (split_k, 12), (segmented, 8)])
def test_launches_a_layer(peer, launches):
    batch = Batch(4, half=True)
    projections = MODELS["Llama-3-8B"].projections
    found = [each for p in projections for each in peer.launches(p, batch, 16, "fp16", "Ascend910B3")]
    assert sum(each.times for each in found) == launches


def test_who_launches_a_layer():
    """In eager mode the operators of torch and aclnn cost the host less than a launch of Triton's."""
    batch = Batch(4, half=True)
    projection = MODELS["Llama-3-8B"].projections[0]
    for peer, launchers in (
        (one_core_per_token, ["torch"] * 3),
        (gather_bmm, ["torch"] * 8),
        (split_k, ["torch", "triton", "triton"]),
        (segmented, ["triton", "triton"]),
    ):
        found = peer.launches(projection, batch, 16, "fp16", "Ascend910B3")
        assert [each.launcher for each in found] == launchers


def test_segments_have_rows_of_one_adapter():
    idx = torch.tensor([2, -1, 0, 2, 0, 2, -1])
    assert segmented.order_of(idx).tolist() == [2, 4, 0, 3, 5, 1, 6]
    firsts, owners = segmented.segments_of(idx, 2)
    assert firsts.tolist() == [0, 2, 4, 5] and owners.tolist()[:3] == [0, 2, 2] and owners[3] > 2


def test_rows_are_loaded_by_number_only_out_of_order():
    """Rows of a prompt and of adapters of their own follow one another; those that share adapters by chance do not."""
    projection = MODELS["Llama-3-8B"].projections[0]
    for batch, gather, segments in (
        (Batch(4, half=True), 0, 3), (Batch(40, "equal"), 0, 3), (Batch(200, "prompt"), 0, 4),
        (Batch(16, "zipf"), 1, 9),
    ):  # fmt: skip
        shrink, expand = segmented.launches(projection, batch, 16, "fp16", "Ascend910B3")
        for launch in (shrink, expand):
            assert launch.case.scalars["gather"] == gather
            assert launch.case.sizes["G"] == segments


@pytest.mark.parametrize("rank, asked", [(16, True), (64, False)])
def test_ours_on_the_cube_is_a_scheme_of_its_own_where_tables_choose_otherwise(rank, asked, monkeypatch):
    monkeypatch.setattr(schemes, "_by_tables", lambda rank, dtype, chip: rank == 64)
    names = [scheme.name for scheme in schemes.schemes_for(Batch(256, "prompt"), rank, "fp16", "Ascend910B3")]
    assert (schemes.ASKED.name in names) == asked and schemes.OURS.name in names
    decode = schemes.schemes_for(Batch(256), rank, "fp16", "Ascend910B3")
    assert decode == [*schemes.PEERS, schemes.OURS]


def test_schemes_that_are_not_simulated_on_long_prompts():
    def names(rows):
        return [scheme.name for scheme in schemes.PEERS if scheme.takes(Batch(rows, "prompt"))]

    assert names(256) == ["gather and bmm", "one core per token", "segmented dot"]
    assert names(2048) == ["segmented dot"]
