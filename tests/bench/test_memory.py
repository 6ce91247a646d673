"""Memory of decoding schemes, counted: against hand arithmetic, and against what the code itself allocates."""

import json
import sys
from dataclasses import replace

import pytest
import torch

pytest.importorskip("transformers")
pytest.importorskip("safetensors")
from transformers import DynamicCache, LlamaConfig, LlamaForCausalLM

from bench.__main__ import main
from bench.layers.held_tensors import MODELS, MOST, SCHEMES, StepShape, built, counted, held, largest_batch, meta
from bench.layers.memory import BATCHES, CARDS
from cold_kernels import bgmv_shrink_expand, lora_row_order
from decoding.adapters.adapter import LoRA
from decoding.layers.injection import Injection, linear_layers

TINY = dict(
    hidden_size=8, intermediate_size=12, num_hidden_layers=2, num_attention_heads=2, num_key_value_heads=1,
    vocab_size=10, max_position_embeddings=1024,
)  # fmt: skip
LAYER = 64 + 32 + 32 + 64 + 3 * 96 + 2 * 8
"""Weights of one: q, k, v, o, three of the MLP, two norms."""
PAIRS = 16 + 12 + 12 + 16 + 3 * 20
"""Input and output sizes of its seven modules, added up."""
TWO, ONE, ALL, ASCEND, VLLM, SGLANG, OURS = SCHEMES


@pytest.fixture
def step():
    """Rank 2, context 3, five adapters, three requests."""
    return StepShape(built("Llama", TINY), 2, 3, 5, 3)


@pytest.fixture
def tiny(monkeypatch):
    """Of Llama-2-7B, and of the cards, only the names."""
    monkeypatch.setitem(MODELS, "Llama-2-7B", ("Llama", TINY))
    monkeypatch.setitem(CARDS, "32 GB", 100_000)
    monkeypatch.setitem(CARDS, "64 GB", 2_000_000)


def test_bytes_by_hand(step):
    weights, caches, logits = 2 * (80 + 80 + 8 + 2 * LAYER), 2 * 2 * 6 * 3 * 4 * 2, 6 * 10 * 2
    adapter = 2 * 2 * PAIRS * 2
    assert (weights, caches, logits, adapter) == (2320, 576, 120, 928)
    once = {"weights": 2320, "KV caches": 576, "logits": 120, "adapters": 5 * 928, "adapter of each row": 6 * 8}
    products = 6 * 2 * 2 + 6 * 12 * 2
    expected = {
        TWO: {"weights": 4640, "KV caches": 576, "logits": 120},
        ONE: {**once, "gathered copies": 6 * 2 * 20 * 2, "LoRA activations": products},
        ALL: {**once, "gathered copies": 6 * 928, "LoRA activations": products},
        ASCEND: {**once, "LoRA activations": 3 * 6 * 2 * 4},
        VLLM: {**once, "LoRA activations": 3 * 6 * 2 * 4},
        SGLANG: {**once, "LoRA activations": 6 * 3 * 2 * 2, "row order": (7 + 6 + 6) * 4},
        OURS: {**once, "row order": 4 * 7 * 4},
    }
    for scheme, parts in expected.items():
        assert held(scheme, step, 3) == {**parts, "total": sum(parts.values())}


@pytest.mark.parametrize(("model", "parameters"), [("Llama-2-7B", 6_738_415_616), ("Qwen2.5-7B", 7_615_616_512)])
def test_weights_are_those_that_are_published(model, parameters):
    built_model = built(*MODELS[model])
    assert counted(built_model.parameters()) == 2 * parameters
    assert {weight.device.type for weight in built_model.parameters()} == {"meta"}
    layers = built_model.config.num_hidden_layers
    assert len(StepShape(built_model, 64, 512).modules) == 7 * layers


def test_it_counts_what_decoding_allocates(step):
    """The caches after as many tokens, the logits, and the stacks of the injected layers."""
    model = LlamaForCausalLM(LlamaConfig(**TINY)).half().eval()
    modules = {name: size for name, size in linear_layers(model).items() if name != "lm_head"}
    adapter = {name: LoRA(torch.ones(2, inner), torch.ones(outer, 2)) for name, (inner, outer) in modules.items()}
    stacks = Injection(model, [adapter] * 5).tensors
    cache = DynamicCache(config=model.config)
    with torch.no_grad():
        logits = model(torch.zeros(6, 3, dtype=torch.int64), past_key_values=cache, logits_to_keep=1).logits
    found = held(OURS, step, 3)
    assert counted(stacks) == found["adapters"]
    assert counted(tensor for layer in cache.layers for tensor in (layer.keys, layer.values)) == found["KV caches"]
    assert counted([logits]) == found["logits"]
    assert counted(model.parameters()) == found["weights"]


def test_our_operator_takes_such_stacks_and_the_row_order():
    rows, slots, rank, hidden, outer = 6, 5, 2, 8, (8, 4, 4)
    indices = meta(rows, dtype="int64")
    bgmv_shrink_expand(
        meta(rows, hidden), meta(slots, 3, rank, hidden), meta(slots, sum(outer), rank),
        meta(rows, sum(outer)), indices, meta(3, dtype="int32"), row_order=lora_row_order(indices),
    )  # fmt: skip


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("adapters", [None, 4])
def test_more_requests_take_more(step, scheme, adapters):
    step = replace(step, adapters=adapters)
    totals = [held(scheme, step, requests)["total"] for requests in BATCHES]
    assert totals == sorted(set(totals))


def test_schemes_in_order(step):
    one, every, vllm, ours = (held(scheme, step, 32)["total"] for scheme in (ONE, ALL, VLLM, OURS))
    assert ours < vllm < one < every


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("adapters", [None, 4])
@pytest.mark.parametrize("requests", [1, 37, MOST])
def test_the_largest_batch_fits_and_one_more_does_not(step, scheme, adapters, requests):
    step = replace(step, adapters=adapters)
    exactly = held(scheme, step, requests)["total"]
    assert largest_batch(scheme, step, exactly) == requests
    assert largest_batch(scheme, step, exactly - 1) == requests - 1
    assert largest_batch(scheme, step, held(scheme, step, requests + 1)["total"] - 1) == requests


def test_json_of_the_paper_s_case(capsys):
    assert main(["memory", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["evidence"], found["model"], found["rank"], found["context"]) == ("COUNTED", "Llama-2-7B", 64, 512)
    assert found["weights"]["twice"] == 2 * found["weights"]["once"] == 26_953_662_464
    assert found["weights"]["ratio"] == pytest.approx(14.28 / 28, abs=0.005)
    assert found["cards"] == {"32 GB": 2**35, "64 GB": 2**36}
    assert list(found["schemes"]) == list(SCHEMES)
    for facts in found["schemes"].values():
        assert list(facts["requests"]) == [str(requests) for requests in BATCHES]
        for card, most in facts["largest batch"].items():
            fitting = [int(requests) for requests, parts in facts["requests"].items() if parts["total"] <= CARDS[card]]
            assert max(fitting, default=0) <= most < next((n for n in BATCHES if n > max(fitting, default=0)), MOST)


def test_tables(tiny, capsys):
    assert main(["memory", "--rank", "2", "--adapters", "5"]) == 0
    said = capsys.readouterr().out
    title, rest = said.split("\n", 1)
    assert title.startswith("COUNTED from tensors; nothing was allocated or measured: Llama-2-7B in fp16, rank 2, ")
    assert "adapters: 5" in title
    assert "* out of memory on 32 GB\n** out of memory on 64 GB\n" in rest
    lines = rest.splitlines()
    for scheme in SCHEMES:
        by_batch, most = ([cell.strip() for cell in line.split("|")[2:-1]] for line in lines if f"| {scheme} " in line)
        step = StepShape(built("Llama", TINY), 2, 512, 5)
        totals = [held(scheme, step, requests)["total"] for requests in BATCHES]
        assert [cell.count("*") for cell in by_batch] == [sum(t > size for size in CARDS.values()) for t in totals]
        assert most[:2] == [str(largest_batch(scheme, step, size)) for size in CARDS.values()]
    assert "*" in "".join(by_batch)


def test_a_batch_past_the_most_is_open(tiny, monkeypatch, capsys):
    monkeypatch.setitem(CARDS, "64 GB", 10**12)
    assert main(["memory"]) == 0
    assert "4096 or more" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--model", "GPT-2"], "unknown model 'GPT-2'; use Llama-2-7B or Qwen2.5-7B"),
        (["--rank", "0"], "--rank 0: it must be from 1 to 128, as bgmv_shrink_expand takes it"),
        (["--rank", "129"], "--rank 129: it must be from 1 to 128"),
        (["--context", "-1"], "--context -1: it must be from 1 to 4096, the positions of Llama-2-7B"),
        (["--context", "131073", "--model", "Qwen2.5-7B"], "--context 131073: it must be from 1 to 131072"),
        (["--adapters", "0"], "--adapters 0: it must be from 1 to 4096"),
        (["--adapters", "4097"], "--adapters 4097: it must be from 1 to 4096"),
    ],
)
def test_bad_input(words, said, capsys):
    assert main(["memory", *words]) == 2
    shown = capsys.readouterr()
    assert shown.err.startswith(f"memory: {said}") and shown.err.count("\n") == 1 and not shown.out


def test_no_number_is_refused(capsys):
    with pytest.raises(SystemExit) as exit:
        main(["memory", "--rank", "many"])
    assert exit.value.code == 2
    assert "argument --rank: invalid int value: 'many'" in capsys.readouterr().err


@pytest.mark.parametrize("missing", ["transformers", "rich"])
def test_what_is_not_installed_is_named(tiny, missing, monkeypatch, capsys):
    for name in [name for name in sys.modules if name.partition(".")[0] == missing == "rich"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, missing, None)
    assert main(["memory"]) == 1
    said = capsys.readouterr().err
    assert said.startswith("memory: ") and missing in said and said.endswith('pip install "cold-kernels[decode]"\n')
