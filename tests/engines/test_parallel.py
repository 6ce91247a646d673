"""Tensor parallelism over two processes of one machine: the wrapper's share of each layer, and pairs on both."""

import pytest

from .engine import NEW, engine, generate, mixed

pytestmark = pytest.mark.engine


@pytest.mark.parametrize("fully_sharded", [False, True], ids=["sharded outputs", "sharded ranks"])
def test_two_processes_give_the_references_tokens(served, monkeypatch, fully_sharded):
    monkeypatch.setenv("VLLM_ENABLE_V1_MULTIPROCESSING", "1")
    asked = mixed(served, 12)
    with engine(served, tensor_parallel_size=2, fully_sharded_loras=fully_sharded) as llm:
        found = [list(output.outputs[0].token_ids) for output in generate(llm, served, asked)]
    assert found == [served.expected(each.prompt, NEW, each.adapter, **(each.contrast or {})) for each in asked]
