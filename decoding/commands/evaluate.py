"""`python -m decoding evaluate`: whether contrast helps an adapter: base, greedy LoRA and CoLD on the same problems."""

import argparse
import json

from .evaluated import GOES_ON, add_options, ask_with_progress, prepared


def add_parser(subparsers) -> None:
    parser = subparsers.add_parser(
        "evaluate",
        help="accuracy of base, greedy LoRA and CoLD on problems with answers",
        description=f"{__doc__} Several adapters, of several seeds say, are evaluated together: intervals of 95 % "
        "resample adapters and problems. Answers are on disk as they come.",
    )
    add_options(parser, "test")
    parser.add_argument("--alpha", type=float, default=0.1, help="default: 0.1")
    parser.add_argument("--beta", type=float, default=0.5, help="default: 0.5")
    parser.add_argument("--examples", type=int, default=3, metavar="N", help="answers that differ, shown; default: 3")
    parser.add_argument("--json", action="store_true", help="print one JSON object instead")
    parser.set_defaults(run=run, goes_on=GOES_ON, extra="evaluate")


def run(options: argparse.Namespace) -> int:
    if not 0 < options.alpha <= 1:
        raise ValueError(f"--alpha {options.alpha:g}: above 0 and at most 1")
    if not 0 < options.beta < 1e6:
        raise ValueError(f"--beta {options.beta:g}: above 0; 0 is plain LoRA, which is evaluated beside it anyway")
    problems, adapters, score, answers = prepared(options, "test")
    from ..evaluation.summary import summary

    methods = [(None, 0.0, 0.0)]
    for name in adapters:
        methods += [(name, 0.0, 0.0), (name, options.alpha, options.beta)]
    ask_with_progress(answers, methods, "answers")
    found = summary(problems, list(adapters), answers, score, options.alpha, options.beta)
    if options.json:
        print(json.dumps(found.as_json(), indent=1))
    else:
        _show(found, options.examples)
    return 0


def _show(found, examples: int) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    def percent(value: float, signed: bool = False) -> str:
        return f"{100 * value:{'+' if signed else ''}.1f}"

    out = Console()
    what = f"{found.problems} problems, {len(found.adapters)} adapter(s), score: {found.score}; percent, 95 % interval"
    table = Table(title=what, title_justify="left")
    for head in ("", "score", "from", "to"):
        table.add_column(head, justify="right" if head else "left")
    named = {
        "base model": (found.base, False),
        "greedy LoRA": (found.greedy, False),
        f"CoLD alpha={found.alpha:g} beta={found.beta:g}": (found.cold, False),
        "CoLD - greedy": (found.gain, True),
    }
    for name, (interval, signed) in named.items():
        table.add_row(name, *(percent(value, signed) for value in interval))
    out.print(table)
    table = Table(title="CoLD beside greedy, by adapter", title_justify="left")
    for head in ("adapter", "greedy", "CoLD", "won", "lost", "tokens that contrast chose", "of"):
        table.add_column(head, justify="left" if head == "adapter" else "right")
    for each in found.adapters:
        counts = (each.wins, each.losses, each.changed, each.tokens)
        table.add_row(escape(each.name), percent(each.greedy), percent(each.cold), *map(str, counts))
    out.print(table)
    for problem, adapter, greedy, cold in found.examples[:examples]:
        out.print(escape(f"problem {problem}, {adapter}: greedy {greedy.text!r}, CoLD {cold.text!r}"))
        for change in cold.changes[:1]:
            out.print(
                escape(
                    f"  token {change.place + 1}: CoLD {change.chosen!r} (expert {change.expert:.2f}, base "
                    f"{change.base:.2f}), expert's choice {change.favourite!r} ({change.favourite_expert:.2f})"
                )
            )
