"""One engine as a process: it times what it is told on stdin, a JSON object a line, and answers on stdout likewise.

Times are CPU seconds of the process, which has one thread: other work on the machine counts little.
"""

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

STEPS = 24
"""Decode steps that a figure is the median of."""
PLAIN, EXPERT, MIXED, CONTRAST = "base rows", "rows of one adapter", "rows of two adapters and base", "contrast"
KINDS = (PLAIN, EXPERT, MIXED, CONTRAST)
WHOLE = "prompts"


def adapters_of(kind: str, requests: int) -> list[str | None]:
    """The adapter of each request."""
    if kind == MIXED:
        return [("one", None, "two", None)[place % 4] for place in range(requests)]
    return [None if kind == PLAIN else "one"] * requests


class Engine:
    """vLLM in this process, with a model and two adapters under ``folder``."""

    def __init__(self, folder: Path, contrast: bool) -> None:
        from vllm import LLM
        from vllm.lora.request import LoRARequest

        from cold_kernels.integrations.vllm.names import PROCESSOR, SCHEDULER

        options = dict(scheduler_cls=SCHEDULER, logits_processors=[PROCESSOR]) if contrast else {}
        self.llm = LLM(
            str(folder / "model"), skip_tokenizer_init=True, dtype="float32", enable_lora=True, max_loras=2,
            max_lora_rank=8, max_model_len=512, max_num_seqs=64, max_num_batched_tokens=4096, enforce_eager=True,
            enable_prefix_caching=False, async_scheduling=False, **options,
        )  # fmt: skip
        names = ("one", "two")
        self.adapters = {name: LoRARequest(name, 1 + place, str(folder / name)) for place, name in enumerate(names)}

    def time(self, kind: str, requests: int, prompt: int) -> dict[str, float]:
        """Seconds of all prompts up to everyone's first token, and of a decode step after that."""
        from vllm import SamplingParams

        engine = self.llm.llm_engine
        extra = {"cold_beta": 0.5} if kind == CONTRAST else None
        new = STEPS + 2
        for place, name in enumerate(adapters_of(kind, requests)):
            params = SamplingParams(temperature=0.0, max_tokens=new, ignore_eos=True, extra_args=extra)
            ids = [(7 * place + 3 * each) % 8192 for each in range(prompt)]
            engine.add_request(str(place), {"prompt_token_ids": ids}, params, lora_request=self.adapters.get(name))
        begin, started, steps = time.process_time(), set(), []
        while len(started) < requests:
            started.update(output.request_id for output in engine.step() if output.outputs[0].token_ids)
        prompts = time.process_time() - begin
        while engine.has_unfinished_requests():
            begin = time.process_time()
            engine.step()
            steps.append(time.process_time() - begin)
        steps = sorted(steps[:STEPS])
        return {WHOLE: prompts, "step": steps[len(steps) // 2]}


def main(folder: str, contrast: str) -> None:
    """Serve stdin until it ends; what vLLM prints goes to stderr."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    engine = Engine(Path(folder), contrast == "contrast")
    print("ready", file=answers, flush=True)
    for line in sys.stdin:
        asked: dict[str, Any] = json.loads(line)
        print(json.dumps(engine.time(**asked)), file=answers, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
