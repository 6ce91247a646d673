"""`python -m decoding generate`: answers from the command line, and what CoLD changes about them."""

import argparse
import math
import sys
from collections.abc import Iterator

from rich.console import Console
from rich.markup import escape
from rich.progress import MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from .named_adapters import add_adapters, named_adapters

console = Console(stderr=True)


def add_parser(subparsers) -> None:
    parser = subparsers.add_parser("generate", help="answer prompts", description=__doc__)
    parser.add_argument(
        "--model", required=True, help="folder, GGUF file, package:NAME that ships one, or a name on the hub"
    )
    add_adapters(parser)
    parser.add_argument("--prompt", action="append", required=True, help="repeatable")
    parser.add_argument("--expert", metavar="NAME", help="the adapter that answers; default: the first")
    parser.add_argument("--alpha", type=float, default=0.1, help="default: 0.1")
    parser.add_argument("--beta", type=float, default=0.5, help="default: 0.5; 0 is plain LoRA")
    parser.add_argument("--max-new-tokens", type=int, default=128, help="default: 128")
    parser.add_argument("--temperature", type=float, default=0.0, help="default: 0, the best score")
    parser.add_argument("--top-k", type=int)
    parser.add_argument("--top-p", type=float)
    parser.add_argument("--seed", type=int, help="of the draws")
    parser.add_argument("--raw", action="store_true", help="the prompt as it is, without the chat template")
    parser.add_argument("--compare", action="store_true", help="base model, LoRA and CoLD side by side")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    adapters = named_adapters(options.adapter)
    expert = options.expert or next(iter(adapters), None)
    if expert is not None and expert not in adapters:
        raise ValueError(f"--expert {expert} is none of {', '.join(adapters) or 'no adapters'}")
    if options.compare and expert is None:
        raise ValueError("--compare needs an --adapter NAME=FOLDER")
    for prompt in options.prompt:
        if any("\ud800" <= character <= "\udfff" for character in prompt):  # how Python passes such bytes on
            raise ValueError(f"--prompt {prompt!a} is not UTF-8")
    from ..contrastive_lora import ContrastiveLoRA
    from ..evaluation.favourite import Favourite
    from ..models import load, prompt_ids

    with console.status(f"loading {options.model}"):
        model, tokenizer = load(options.model)
        cold = ContrastiveLoRA(model, adapters)
    answers = []
    for place, prompt in enumerate(options.prompt, 1):
        ids = prompt_ids(tokenizer, prompt, not options.raw)
        seen = Favourite()
        requests = _three(ids, options, expert, seen) if options.compare else [_request(ids, options, expert)]
        try:
            steps = cold.stream(requests, None if options.compare else tokenizer)  # checked, and not begun
        except ValueError as error:
            raise ValueError(f"--prompt {place}: {error}") from error
        answers.append((prompt, requests, seen, steps))
    for prompt, requests, seen, steps in answers:
        if options.compare:
            _compare(tokenizer, prompt, expert, options, seen, _told(requests, steps))
        else:
            _answer(requests, steps)
    return 0


def _answer(requests, steps) -> None:
    """Print an answer: on a terminal as it comes, elsewhere when it is done, or as far as it came."""
    told, live = [], sys.stdout.isatty()
    try:
        for step in steps if live else _told(requests, steps):
            told.append(step.text)
            if live:
                print(step.text, end="", flush=True)
    finally:
        if told:
            print("" if live else "".join(told), flush=True)


def _three(ids, options, expert, seen) -> list:
    return [
        _request(ids, options, None),
        _request(ids, options, expert, beta=0.0),
        _request(ids, options, expert, logprobs=True, logits_processor=[seen]),
    ]


def _compare(tokenizer, prompt, expert, options, seen, steps) -> None:
    tokens, logprobs = ([], [], []), []
    for step in steps:
        if step.token is not None:
            tokens[step.request].append(step.token)
        if step.expert_logprob is not None:
            logprobs.append((step.expert_logprob, step.amateur_logprob))
    table = Table(title=escape(prompt), title_justify="left", expand=True)
    for head in ("base model", f"LoRA {expert}", f"CoLD alpha={options.alpha:g} beta={options.beta:g}"):
        table.add_column(head, ratio=1)
    table.add_row(*(escape(tokenizer.decode(text, skip_special_tokens=True)) for text in tokens))
    changes = Table(title="Where CoLD chose another token than its expert", title_justify="left")
    for head in ("token", "CoLD", "p expert", "p base", "expert's choice", "p expert"):
        changes.add_column(head, justify="left" if head in ("CoLD", "expert's choice") else "right")
    for place, (token, (favourite, chance), (p, q)) in enumerate(zip(tokens[2], seen.steps, logprobs)):
        if token != favourite:
            chosen, other = (escape(repr(tokenizer.decode([each]))) for each in (token, favourite))
            amateur = "" if q is None else f"{math.exp(q):.4f}"
            changes.add_row(str(place + 1), chosen, f"{math.exp(p):.4f}", amateur, other, f"{chance:.4f}")
    out = Console()
    out.print(table)
    out.print(changes if changes.row_count else "CoLD chose its expert's token throughout.")


def _told(requests, steps) -> Iterator:
    """The steps, with progress on stderr."""
    columns = TextColumn("tokens"), MofNCompleteColumn(), TimeElapsedColumn()
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task("", total=sum(request.max_new_tokens for request in requests))
        for step in steps:
            progress.advance(task)
            if step.token is None:
                print(f"generate: ended with {step.finish_reason}", file=sys.stderr)
            yield step


def _request(ids, options, adapter, **changed):
    from ..requests.request import Request

    names = ("alpha", "beta", "max_new_tokens", "temperature", "top_k", "top_p", "seed")
    return Request(ids, adapter=adapter, **{**{name: getattr(options, name) for name in names}, **changed})
