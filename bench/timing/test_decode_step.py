"""A token's time of CoLD beside other ways to the same tokens, on the CPU: cached decode steps after a prompt of 32."""

import copy
import functools

import pytest
import torch

pytest.importorskip("peft")
from decoding import ContrastiveLoRA, Request

from .decode_models import MODELS, adapted
from .decode_peers import ALPHA, BETA, PEERS
from .side_by_side import side_by_side

PROMPT, ROUNDS = 32, 12
REQUESTS = [1, 2, 4, 8, 16, 32]


@pytest.fixture(autouse=True)
def eager(monkeypatch):
    """A token a request in every pass; ``python -m bench generation`` times amateurs that lag."""
    monkeypatch.setattr("decoding.loop.decode.worth_lagging", lambda rows, courses: False)


@functools.cache
def models(name):
    """Base model with our adapters beside it, another copy for PEFT, and the folder of the adapter."""
    try:
        base = MODELS[name]()
    except FileNotFoundError as missing:
        pytest.skip(str(missing))
    expert, folder = adapted(copy.deepcopy(base))
    return base, expert, ContrastiveLoRA(base, {"expert": folder})


def ours(cold, prompts, beta, adapter="expert"):
    """One step a call."""
    requests = [Request(ids, adapter, ALPHA, beta, max_new_tokens=1000, eos_token_id=()) for ids in prompts.tolist()]
    tokens = cold.stream(requests)
    return lambda: [next(tokens) for _ in requests]


@pytest.mark.parametrize("requests", REQUESTS)
@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("beta", [BETA, 0.0], ids=["CoLD", "greedy"])
def test_step(race, name, requests, beta):
    base, expert, cold = models(name)
    prompts = torch.randint(2, base.config.vocab_size, (requests, PROMPT), generator=torch.Generator().manual_seed(2))
    step = ours(cold, prompts, beta)
    chosen = [token.token for token in sorted(step(), key=lambda token: token.request)]  # the prompt's step
    same = PEERS["(b) LoRA pass + base pass" if beta else "(a) PEFT greedy"](expert, base, prompts)
    assert chosen == next(same).tolist()
    peers = PEERS if beta else dict(list(PEERS.items())[:1])
    others = {peer: functools.partial(next, make(expert, base, prompts)) for peer, make in peers.items()}
    race(step, others, ROUNDS, calls=1)


@pytest.mark.parametrize("name", MODELS)
def test_weights_are_held_once(benchmark, name):
    base, _, cold = models(name)
    held = {tensor.untyped_storage().data_ptr(): tensor.untyped_storage().nbytes() for tensor in tensors(base, cold)}
    once = sum(weight.nbytes for weight in {id(w): w for w in base.parameters()}.values())
    layers, width = base.config.num_hidden_layers, base.config.num_key_value_heads * base.config.head_dim
    share, cache = sum(held.values()) / (2 * once), 2 * 2 * layers * width * base.dtype.itemsize
    benchmark.extra_info |= dict(
        share_of_two_models=share, cache_bytes_a_token=cache, cache_bytes_a_token_plain=cache // 2
    )
    benchmark.pedantic(lambda: None)
    print(
        f"\n{name}: {share:.3f} of two models' weights; attention cache {cache} bytes a token, plain {cache // 2}",
        end="",
    )
    assert share <= 0.52


def tensors(base, cold):
    yield from base.parameters()
    yield from cold._loaded.injection.tensors


@pytest.mark.parametrize("requests", [1, 8])
@pytest.mark.parametrize("name", MODELS)
def test_where_the_time_goes(benchmark, name, requests):
    base, _, cold = models(name)
    step = ours(cold, torch.full((requests, PROMPT), 5), BETA)
    step()
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as profile:
        for _ in range(5):
            step()
    inclusive = {event.key: event.cpu_time_total / 5 for event in profile.key_averages()}
    parts = {
        part: sum(time for key, time in inclusive.items() if key in keys)
        for part, keys in {
            "linear layers": ("aten::linear",),
            "attention": ("aten::scaled_dot_product_attention",),
            "score and choice": ("cold_kernels::contrastive_argmax", "cold_kernels::contrastive_score"),
        }.items()
    }
    parts["all operators"] = sum(event.self_cpu_time_total for event in profile.key_averages()) / 5
    plain, bare = (ours(cold, torch.full((requests, PROMPT), 5), 0.0, adapter) for adapter in ("expert", None))
    for run in (plain, bare):
        run()
    times = side_by_side(plain, {"base": bare}, 20, 1)
    parts["LoRA, of a plain step"] = 1e6 * (times.median - times.medians["base"])
    parts["plain step"] = 1e6 * times.median
    benchmark.extra_info |= {f"{part}_microseconds": round(time) for part, time in parts.items()}
    benchmark.pedantic(step, rounds=3)
    print(f"\n{name}, {requests}: " + ", ".join(f"{part} {time:.0f} us" for part, time in parts.items()), end="")
