"""``python -m bench generation``: whole generations of CoLD and of plain LoRA, beside PEFT's greedy decoding."""

import argparse
import copy
import itertools
import json
import random
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any
from unittest import mock

from .host import one_thread

ALPHA, BETA = 0.1, 0.5
RANDOM = "random"
"""The model of random weights: its tokens mean nothing, and what is contested is not what a trained model's is."""
SEED = 5


@dataclass
class Generation:
    """Times of one way to generate: seconds of CPU time, a value for each round.

    Args:
        whole: From the prompts to the last token.
        decoding: From the first token of every request on.
        late: 95th percentile of the time between a request's tokens.
        tokens: Of the last round, by request.
    """

    whole: list[float] = field(default_factory=list)
    decoding: list[float] = field(default_factory=list)
    late: list[float] = field(default_factory=list)
    tokens: list[list[int]] = field(default_factory=list)

    def add(self, start: float, arrived: list[list[float]], tokens: list[list[int]]) -> None:
        """A round, whose tokens arrived at these times."""
        gaps = sorted(after - before for times in arrived for before, after in zip(times, times[1:]))
        self.whole.append(max(times[-1] for times in arrived) - start)
        self.decoding.append(max(times[-1] for times in arrived) - max(times[0] for times in arrived))
        self.late.append(gaps[int(0.95 * len(gaps))])
        self.tokens = tokens


def add_parser(subparsers: "argparse._SubParsersAction") -> None:
    """Registers the command."""
    parser = subparsers.add_parser(
        "generation",
        help="whole generations of CoLD beside PEFT's greedy decoding, on this machine's CPU",
        description="CPU time of one thread, all ways in turn in one run. Ratios are of the fastest rounds, over a "
        "loop of PEFT's model with transformers' own cache.",
    )
    parser.add_argument(
        "--model", default=RANDOM, help="as in python -m decoding generate; default: 70M random weights"
    )
    parser.add_argument("--adapter", metavar="FOLDER", help="of the model; default: a random one")
    parser.add_argument("--requests", type=int, nargs="+", default=[1, 4, 8, 16, 32], help="default: 1 4 8 16 32")
    parser.add_argument("--prompt", type=int, default=32, metavar="TOKENS", help="of each request; default: 32")
    parser.add_argument("--new", type=int, default=128, metavar="TOKENS", help="default: 128")
    parser.add_argument("--alpha", type=float, default=ALPHA, help=f"default: {ALPHA}")
    parser.add_argument("--rounds", type=int, default=2, help="default: 2")
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of tables")
    parser.set_defaults(run=run, needs=("rich", "torch", "transformers", "peft"))


def run(options: argparse.Namespace) -> None:
    """Runs the command."""
    found = {}
    with one_thread():
        timed = Timed(options.model, options.adapter, options.alpha)
        for requests in options.requests:
            ways = timed.ways(requests, options.prompt, options.new, options.rounds)
            found[requests] = {name: _figures(way, ways["PEFT greedy"]) for name, way in ways.items()}
            if not options.json:
                _show(requests, options, found[requests])
    if options.json:
        print(json.dumps(found, indent=1))


class Timed:
    """A model with an adapter, by PEFT and by us."""

    def __init__(self, model: str, adapter: str | None, alpha: float) -> None:
        from peft import PeftModel

        from decoding import ContrastiveLoRA
        from decoding.models import load

        from .decode_models import adapted, llama_70m

        self.alpha, self._tokenizer = alpha, None
        if model == RANDOM:
            base = llama_70m()
        else:
            base, self._tokenizer = load(model)
        if adapter is None:
            self._peft, adapter = adapted(copy.deepcopy(base))
        else:
            self._peft = PeftModel.from_pretrained(copy.deepcopy(base), adapter).eval()
        self._base, self._cold = base, ContrastiveLoRA(base, {"expert": adapter})

    def ways(self, requests: int, prompt: int, new: int, rounds: int) -> dict[str, Generation]:
        """All ways, in turn."""
        prompts = self._prompts(requests, prompt)
        runs: dict[str, Callable[[Generation], None]] = {
            "PEFT greedy": partial(self._by_peft, prompts, new),
            "plain LoRA": partial(self._by_us, prompts, new, 0.0, None),
            "CoLD": partial(self._by_us, prompts, new, BETA, None),
            "CoLD, eager": partial(self._by_us, prompts, new, BETA, False),
            "CoLD, lagging": partial(self._by_us, prompts, new, BETA, True),
        }
        found = {name: Generation() for name in runs}
        for _ in range(rounds):
            for name, generate in runs.items():
                generate(found[name])
        for one, other in (("PEFT greedy", "plain LoRA"), ("CoLD, eager", "CoLD, lagging")):
            if differ := sum(a != b for a, b in zip(found[one].tokens, found[other].tokens)):
                print(f"{differ} of {requests} requests have other tokens by {other} than by {one}")
        return found

    def _prompts(self, requests: int, length: int) -> list[list[int]]:
        """Each of so many tokens: random ones, or word problems as adapters of the example know them."""
        draw = random.Random(SEED)
        if self._tokenizer is None:
            return [[draw.randrange(2, self._base.config.vocab_size) for _ in range(length)] for _ in range(requests)]
        from decoding.evaluation.tasks.sums import problem
        from decoding.models import prompt_ids

        prompts: list[list[int]] = []
        while len(prompts) < requests:
            ids: list[int] = []
            while len(ids) < length:
                question, solution = problem(draw)
                before = self._tokenizer(f"{question} {solution}\n").input_ids
                ids = before + ids if ids else prompt_ids(self._tokenizer, question)
            prompts.append(ids[-length:])
        return prompts

    def _by_us(self, prompts: list[list[int]], new: int, beta: float, lag: bool | None, way: Generation) -> None:
        from decoding import Request
        from decoding.loop import decode, lagging

        tokens: list[list[int]] = [[] for _ in prompts]
        arrived: list[list[float]] = [[] for _ in prompts]
        requests = [Request(ids, "expert", self.alpha, beta, max_new_tokens=new, eos_token_id=()) for ids in prompts]
        rule = lagging.worth_lagging if lag is None else lambda rows, courses: lag
        with mock.patch.object(decode, "worth_lagging", rule):
            start = time.process_time()
            for step in self._cold.stream(requests):
                tokens[step.request].append(step.token)
                arrived[step.request].append(time.process_time())
        way.add(start, arrived, tokens)

    def _by_peft(self, prompts: list[list[int]], new: int, way: Generation) -> None:
        import torch

        from .decode_peers import greedy

        start, times, tokens = time.process_time(), [], []
        for chosen in itertools.islice(greedy(self._peft, self._base, torch.tensor(prompts)), new):
            tokens.append(chosen.tolist())
            times.append(time.process_time())
        way.add(start, [times] * len(prompts), [list(column) for column in zip(*tokens)])


def _figures(way: Generation, reference: Generation) -> dict[str, Any]:
    return dict(
        whole_s=round(min(way.whole), 3),
        whole_ratio=round(min(way.whole) / min(reference.whole), 3),
        decoding_s=round(min(way.decoding), 3),
        decoding_ratio=round(min(way.decoding) / min(reference.decoding), 3),
        late_token_ms=round(1e3 * statistics.median(way.late), 1),
    )


def _show(requests: int, options: argparse.Namespace, found: dict[str, dict[str, Any]]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(
        title=f"{requests} requests of {options.prompt} tokens and {options.new} new ones; measured, CPU time",
        title_justify="left",
    )
    for head in ("", "whole s", "ratio", "after the first tokens s", "ratio", "95 % of tokens within ms"):
        table.add_column(head, justify="left" if not head else "right")
    for name, figures in found.items():
        table.add_row(name, *(f"{value:g}" for value in figures.values()))
    Console().print(table)
