"""`python -m decoding tune`: alpha and beta for adapters, chosen by Optuna on validation problems."""

import argparse
import json
from pathlib import Path

from .evaluated import GOES_ON, add_options, ask_with_progress, prepared


def add_parser(subparsers) -> None:
    parser = subparsers.add_parser(
        "tune",
        help="choose alpha and beta on validation problems",
        description=f"{__doc__} Where answers are of one token, logits are kept and a setting costs no further pass; "
        "longer answers are decoded for each setting, and kept. beta = 0, plain LoRA, is among the settings.",
    )
    add_options(parser, "validation")
    parser.add_argument("--trials", type=int, help="settings; default: 300, or 20 where each is decoded")
    parser.add_argument("--seed", type=int, default=0, help="of what is proposed; default: 0")
    parser.add_argument("--picture", type=Path, metavar="OUT.png", help="a map of the score over alpha and beta")
    parser.add_argument("--json", action="store_true", help="print one JSON object instead")
    parser.set_defaults(run=run, goes_on=GOES_ON, needs=("optuna",), extra="evaluate")


def run(options: argparse.Namespace) -> int:
    if options.trials is not None and options.trials < 1:
        raise ValueError(f"--trials {options.trials}: a whole number from 1 on")
    if options.picture is not None and options.picture.suffix != ".png":
        raise ValueError(f"--picture {options.picture}: a file that ends in .png")
    problems, adapters, score, answers = prepared(options, "validation")
    from ..evaluation.first_tokens import FirstTokens
    from ..evaluation.tuning import tuned

    free = isinstance(answers, FirstTokens)
    ask_with_progress(answers, [(name, 0.0, 0.0) for name in adapters], "answers")
    settings = tuned(problems, list(adapters), answers, score, options.trials or (300 if free else 20), options.seed)
    if options.picture is not None:
        from ..evaluation.tuning_picture import draw

        draw(settings, options.picture)
    print(json.dumps(settings.as_json(), indent=1) if options.json else _said(settings, len(problems)))
    return 0


def _said(settings, problems: int) -> str:
    best, gain = settings.best, settings.gain
    lines = [
        f"{len(settings.trials)} settings on {problems} problems: greedy {100 * settings.greedy:.1f}, best "
        f"{100 * best.score:.1f} percent at alpha={best.alpha:g} beta={best.beta:g}",
    ]
    if best.beta == 0:
        return "\n".join([*lines, "no setting was better than plain LoRA: leave contrast off, beta=0"])
    lines += [
        f"over greedy {100 * gain.mean:+.1f} points, 95 % from {100 * gain.low:+.1f} to {100 * gain.high:+.1f}; on the "
        "problems that chose it, which flatters: evaluate it on others",
        f"Request(..., alpha={best.alpha:g}, beta={best.beta:g})    --alpha {best.alpha:g} --beta {best.beta:g}",
    ]
    return "\n".join(lines)
