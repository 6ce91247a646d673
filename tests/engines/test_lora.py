"""LoRA in vLLM by the operators: every row of mixed batches equals PEFT's model, whatever is adapted."""

import pytest
import torch
from vllm.lora.peft_helper import PEFTHelper

from cold_kernels.integrations.vllm.wrapper import Operators

from .engine import NEW, Asked, check, engine, generate, mixed
from .served import Served, served

pytestmark = pytest.mark.engine
PLAIN = dict(scheduler_cls=None, logits_processors=None)
MERGED = ("qkv_proj", "gate_up_proj")


def other(tmp_path, adapters, **changes) -> Served:
    return served(tmp_path, adapters, **changes)


def plain(served: Served, count: int = 12, seed: int = 0) -> list[Asked]:
    return [Asked(each.prompt, each.adapter) for each in mixed(served, count, seed=seed)]


def layers(model: torch.nn.Module) -> list[tuple[str, torch.nn.Module]]:
    return [
        (name, each) for name, each in model.named_modules() if isinstance(getattr(each, "lora_a_stacked", None), tuple)
    ]


def facts(model: torch.nn.Module) -> dict:
    """What a test wants to know of the adapted layers, in plain values."""
    found = layers(model)
    wrappers = {type(each.punica_wrapper) for _, each in found}
    merged = [each for name, each in found if name.endswith(MERGED)]
    return dict(
        ours=all(issubclass(each, Operators) for each in wrappers),
        merged=len(merged),
        held_once=all(
            len({each.untyped_storage().data_ptr() for each in weights}) == 1
            and weights[0].untyped_storage().nbytes() == sum(each.numel() * each.element_size() for each in weights)
            for layer in merged
            for weights in (layer.lora_a_stacked, layer.lora_b_stacked)
        ),
    )


def test_layers_use_the_operators_and_hold_their_weights_once(served):
    with engine(served) as llm:
        assert llm.apply_model(facts) == [dict(ours=True, merged=4, held_once=True)]


def test_more_adapters_than_slots(served):
    """They are loaded, evicted and loaded again while others run."""
    with engine(served, max_loras=1, max_cpu_loras=2, max_num_seqs=8) as llm:
        for seed in range(3):
            check(llm, served, mixed(served, 12, seed=seed))


@pytest.mark.parametrize("rank, slots", [(100, 128), (200, 256)], ids=["rank 100", "rank 200, shrink and expand apart"])
def test_high_ranks(tmp_path, rank, slots):
    few = other(tmp_path, dict(high=dict(r=rank, lora_alpha=rank), low=dict(r=3, seed=2)))
    with engine(few, max_lora_rank=slots) as llm:
        check(llm, few, mixed(few, 8))


def test_embeddings_and_head(tmp_path):
    adapted = ["embed_tokens", "lm_head", "q_proj", "down_proj"]
    few = other(tmp_path, dict(words=dict(r=4, target_modules=adapted), plain=dict(r=4, seed=2)))
    with engine(few) as llm:
        check(llm, few, mixed(few, 12))


def test_ranks_and_scalings_by_layer(tmp_path):
    """Right, or refused where the release reads them as if they were one rank and one scaling."""
    patterns = dict(r=4, rank_pattern={"q_proj": 8, "up_proj": 2}, alpha_pattern={"v_proj": 1, "down_proj": 32})
    few = other(tmp_path, dict(uneven=patterns, even=dict(r=4, seed=2)))
    with engine(few) as llm:
        if "alpha_pattern" in PEFTHelper.__dataclass_fields__:
            check(llm, few, mixed(few, 8))
        else:
            check(llm, few, [each for each in mixed(few, 8) if each.adapter != "uneven"])
            with pytest.raises(ValueError, match="alpha_pattern of the adapter is .* does not know"):
                generate(llm, few, [Asked([1, 2, 3], "uneven")])


def test_bfloat16_chooses_what_float32_finds_as_good(served):
    """Each token's score in float32 is the highest but for bfloat16's rounding of the logits."""
    with engine(served, dtype="bfloat16") as llm:
        asked = mixed(served, 12)
        outputs = generate(llm, served, asked)
    behind = []
    for each, output in zip(asked, outputs, strict=True):
        reference, ids = served.references[each.adapter], list(each.prompt)
        options = each.contrast or dict(alpha=None, beta=0.0)
        for token in output.outputs[0].token_ids:
            scores = reference.scores(ids, **{**options, "alpha": None})
            behind.append(float((scores.max() - scores[token]) / (1 + 2 * options["beta"]) / scores.abs().max()))
            ids.append(token)
    assert sum(each == 0 for each in behind) > 0.9 * len(behind)
    assert max(behind) < 0.05


def test_without_contrast_the_operators_stand_alone(served):
    with engine(served, **PLAIN) as llm:
        for each, output in zip(asked := plain(served), generate(llm, served, asked), strict=True):
            assert list(output.outputs[0].token_ids) == served.expected(each.prompt, NEW, each.adapter)
