"""`python -m decoding example-adapter`: a LoRA adapter to try, trained in minutes on sums put into words."""

import argparse
from pathlib import Path

from ..evaluation.tasks.task import task
from .train import train_adapter


def add_parser(subparsers) -> None:
    parser = subparsers.add_parser(
        "example-adapter", help="train a small adapter to try", description=f"{__doc__} As train --task sums."
    )
    parser.add_argument("folder", type=Path, help="where the adapter is saved")
    parser.add_argument("--model", required=True, help="as in generate")
    parser.add_argument("--steps", type=int, default=24, help="of 4 problems each; default: 24")
    parser.add_argument("--rank", type=int, default=8, help="default: 8")
    parser.add_argument("--seed", type=int, default=0, help="default: 0")
    fixed = dict(batch=4, learning_rate=2e-3, targets=["all-linear"], raw=False, bf16=False, save_every=50)
    parser.set_defaults(run=run, needs=("peft",), **fixed)


def run(options: argparse.Namespace) -> int:
    train_adapter(options, task("sums").problems("train", max(1, options.steps * options.batch)))
    return 0
