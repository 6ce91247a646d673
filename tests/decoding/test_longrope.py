"""Position embeddings that change for a whole pass: no request changes another's."""

import pytest

pytest.importorskip("transformers")
pytest.importorskip("peft")

from decoding import ContrastiveLoRA, Request

from .tiny import Reference, prompts, save_adapter, tiny_model

SWITCH = 12
ROPE = dict(
    rope_type="longrope",
    rope_theta=10000.0,
    short_factor=[1.0, 1.0, 1.0, 1.0],
    long_factor=[2.0, 5.0, 9.0, 20.0],
    original_max_position_embeddings=SWITCH,
)
SHORT, LONG, LONGER = prompts(5, 15, 20)


@pytest.fixture(scope="module")
def phi(tmp_path_factory):
    """Adapters on a Phi-3 with LongRoPE, and the reference."""
    model = tiny_model("phi3", rope_parameters=ROPE, original_max_position_embeddings=SWITCH)
    folder = save_adapter(tmp_path_factory.mktemp("phi"), model)
    return ContrastiveLoRA(model, {"a": folder}), Reference(model, folder)


@pytest.mark.parametrize("batch", [[(SHORT, 7), (SHORT[:2], 5)], [(LONG, 8), (LONGER, 4)]])
def test_all_on_one_side_of_the_switch(phi, batch, scheme):
    cold, reference = phi
    results = cold.generate([Request(prompt, "a", max_new_tokens=new) for prompt, new in batch])
    assert [r.tokens for r in results] == [reference.greedy(prompt, new) for prompt, new in batch]


@pytest.mark.parametrize("batch", [[(SHORT, 5), (LONG, 4)], [(SHORT, 8), (SHORT, 3)], [(LONG, 4), (SHORT, 9)]])
def test_a_request_that_would_change_others_is_refused(phi, batch):
    place = next(i for i, (prompt, new) in enumerate(batch) if len(prompt) + new > SWITCH)
    complaint = (
        rf"^request {place}: with \d+ tokens and \d+ new ones it passes 12, .*longrope.*; decode it in a call of"
    )
    with pytest.raises(ValueError, match=complaint):
        phi[0].generate([Request(prompt, "a", max_new_tokens=new) for prompt, new in batch])


def test_one_that_crosses_alone_is_fed_anew(phi):
    """As by ``generate`` of this family."""
    cold, reference = phi
    for beta in (0.5, 0.0):
        tokens = cold.generate([Request(SHORT, "a", beta=beta, max_new_tokens=14)])[0].tokens
        assert tokens == reference.greedy(SHORT, 14, beta=beta)
