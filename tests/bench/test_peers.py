"""The peers' schemes compute what they should; what they launch for a layer."""

import pytest

pytest.importorskip("triton")
pytest.importorskip("xdsl")
from bench.layers.peers import gather_bmm, one_core_per_token, split_k
from bench.layers.projections import MODELS, Batch
from cold_kernels.ascend.machine import ascend_machine
from cold_kernels.cases import Case
from tuner.search.evaluate import Evaluator

SPECS = (
    one_core_per_token.per_token_shrink, one_core_per_token.per_token_expand, gather_bmm.gather, split_k.zeros,
    split_k.split_k_shrink, split_k.sliced_expand,
)  # fmt: skip


@pytest.fixture(scope="module")
def machine(compiler):
    return ascend_machine("Ascend910B3")


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec.name)
def test_right_in_hard_cases(spec, machine):
    for text in spec.hard:
        case = Case.parse(text, spec)
        assert not Evaluator(spec, machine).wrong(spec.default_for(case.shape()), case)


@pytest.mark.parametrize("peer, launches", [(one_core_per_token, 14), (gather_bmm, 28), (split_k, 12)])
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
    ):
        found = peer.launches(projection, batch, 16, "fp16", "Ascend910B3")
        assert [each.launcher for each in found] == launchers
