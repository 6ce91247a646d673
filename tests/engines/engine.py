"""vLLM in this process, so that a test can look into its scheduler; and requests of all kinds for it."""

import contextlib
import gc
import random
from collections.abc import Iterator
from dataclasses import dataclass, field

from vllm import LLM, SamplingParams
from vllm.distributed import cleanup_dist_env_and_memory
from vllm.lora.request import LoRARequest

from cold_kernels.integrations.vllm import names

from .served import CONTEXT, Served

NEW = 16
CONTRAST = dict(scheduler_cls=names.SCHEDULER, logits_processors=[names.PROCESSOR], async_scheduling=False)


@dataclass
class Asked:
    """A request: a prompt, an adapter's name, contrast, and sampling parameters."""

    prompt: list[int]
    adapter: str | None = None
    contrast: dict[str, float] | None = None
    sampling: dict = field(default_factory=dict)

    def params(self) -> SamplingParams:
        extra = {f"cold_{name}": value for name, value in self.contrast.items()} if self.contrast else None
        return SamplingParams(
            **{"temperature": 0.0, "max_tokens": NEW, "ignore_eos": True, "extra_args": extra, **self.sampling}
        )


@contextlib.contextmanager
def engine(served: Served, **options) -> Iterator[LLM]:
    """An engine with room for all adapters of ``served``, that is gone at the end."""
    sizes = dict(max_model_len=CONTEXT, max_loras=len(served.adapters), max_lora_rank=8, dtype="float32")
    always = dict(enable_lora=True, enforce_eager=True, disable_log_stats=True)
    try:
        yield LLM(str(served.folder), **{**sizes, **CONTRAST, **always, **options})
    finally:
        cleanup_dist_env_and_memory()
        gc.collect()


def scheduler(llm: LLM):
    """What plans the engine's steps."""
    return llm.llm_engine.engine_core.engine_core.scheduler


def generate(llm: LLM, served: Served, asked: list[Asked]):
    """The engine's outputs, in order."""
    return llm.generate(
        [{"prompt_token_ids": each.prompt} for each in asked],
        [each.params() for each in asked],
        lora_request=[_lora(served, each.adapter) for each in asked],
        use_tqdm=False,
    )


def add(llm: LLM, served: Served, asked: Asked) -> None:
    """Queue a request, for steps that a test takes itself."""
    name = str(len(scheduler(llm).requests))
    prompt = {"prompt_token_ids": asked.prompt}
    llm.llm_engine.add_request(name, prompt, asked.params(), lora_request=_lora(served, asked.adapter))


def _lora(served: Served, adapter: str | None) -> LoRARequest | None:
    if adapter is None:
        return None
    return LoRARequest(adapter, 1 + list(served.adapters).index(adapter), str(served.adapters[adapter]))


def mixed(served: Served, count: int = 16, longest: int = 90, seed: int = 0) -> list[Asked]:
    """Greedy requests of base rows and all adapters, with contrast and without, in no order."""
    drawn = random.Random(seed)
    names = [None, *served.adapters]
    asked = []
    for place in range(count):
        prompt = [drawn.randrange(256) for _ in range(drawn.randint(2, longest))]
        contrast = dict(beta=drawn.choice([0.25, 0.5, 1.0]), alpha=drawn.choice([0.1, 0.3])) if place % 2 else None
        asked.append(Asked(prompt, names[place // 2 % len(names)], contrast))
    drawn.shuffle(asked)
    return asked


def check(llm: LLM, served: Served, asked: list[Asked]) -> None:
    """Each greedy request gets the reference's tokens, and nothing of any is left in the scheduler."""
    for each, output in zip(asked, generate(llm, served, asked), strict=True):
        expected = served.expected(each.prompt, NEW, each.adapter, **(each.contrast or {}))
        assert list(output.outputs[0].token_ids) == expected, each
    assert not scheduler(llm).requests
    assert not scheduler(llm).pairs
