"""One small model with adapters of several kinds, and what all tests of decoding share."""

import pytest

ADAPTERS = {
    "attention": dict(r=4, target_modules=["q_proj", "v_proj"]),
    "patterned": dict(
        r=16,
        use_rslora=True,
        rank_pattern={"down_proj": 3, "layers.0.self_attn.k_proj": 7},
        alpha_pattern={"^model.layers.1.mlp.up_proj": 3, "o_proj": 20},
    ),
    "head": dict(r=8, target_modules=["lm_head", "o_proj"]),
    "mlp": dict(r=2, lora_alpha=3, target_modules=r".*\.1\.mlp\.(gate|up|down)_proj"),
}


@pytest.fixture(scope="session")
def llama():
    from .tiny import tiny_model

    return tiny_model()


@pytest.fixture(scope="session")
def folders(llama, tmp_path_factory):
    """Of adapters for ``llama``, by name."""
    from .tiny import save_adapter

    home = tmp_path_factory.mktemp("adapters")
    return {name: save_adapter(home / name, llama, seed, **kind) for seed, (name, kind) in enumerate(ADAPTERS.items())}


@pytest.fixture(scope="session")
def cold(llama, folders):
    from decoding import ContrastiveLoRA

    return ContrastiveLoRA(llama, folders)


@pytest.fixture(scope="session")
def references(llama, folders):
    """By adapter's name; None is the base model."""
    from .tiny import Reference

    return {name: Reference(llama, folders.get(name)) for name in (None, *folders)}


SCHEMES = ("padded", "packed", "lagging")
"""Passes with padding; packed ones with both rows of each request; packed ones with amateurs that lag."""


@pytest.fixture(params=SCHEMES)
def scheme(request, monkeypatch):
    """How passes are run, whatever the model and the number of requests would have chosen."""
    from decoding import ContrastiveLoRA
    from decoding.padded.rows import PaddedRows

    if request.param == "padded":
        monkeypatch.setattr(ContrastiveLoRA, "_rows", lambda cold, may_pack: PaddedRows(cold.proof))
    monkeypatch.setattr("decoding.loop.decode.worth_lagging", lambda rows, courses: request.param == "lagging")
    return request.param
