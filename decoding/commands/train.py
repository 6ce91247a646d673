"""`python -m decoding train`: a LoRA adapter for prompts and completions of yours, or for a built-in task."""

import argparse
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from ..evaluation.problem import Problem, digest
from .problem_source import add_problems, given_problems


def add_parser(subparsers) -> None:
    parser = subparsers.add_parser(
        "train",
        help="train an adapter",
        description=f"{__doc__} PEFT trains and saves it. The same command goes on where a killed one was.",
    )
    parser.add_argument("folder", type=Path, help="where the adapter is saved")
    parser.add_argument("--model", required=True, help="as in generate")
    add_problems(parser, '"prompt" and "completion"', "train")
    parser.add_argument("--steps", type=int, default=200, help="default: 200")
    parser.add_argument("--batch", type=int, default=8, help="problems a step; default: 8")
    parser.add_argument("--rank", type=int, default=8, help="default: 8; lora_alpha is twice that")
    parser.add_argument(
        "--targets", nargs="+", default=["all-linear"], help="names of layers; default: all linear ones"
    )
    parser.add_argument(
        "--learning-rate", type=float, default=1e-3, help="of the first step, falls to 0; default: 0.001"
    )
    parser.add_argument("--seed", type=int, default=0, help="of matrices and order; default: 0")
    parser.add_argument("--bf16", action="store_true", help="compute passes in bfloat16; the adapter stays float32")
    parser.add_argument("--save-every", type=int, default=50, metavar="STEPS", help="between saves; default: 50")
    parser.set_defaults(run=run, goes_on="the same command goes on at the last saved step", needs=("peft",))


def run(options: argparse.Namespace) -> int:
    problems, _ = given_problems(options, "train")
    train_adapter(options, problems)
    return 0


def train_adapter(options: argparse.Namespace, problems: list[Problem]) -> None:
    """Train with progress on stderr, and say what came out."""
    if options.save_every < 1:
        raise ValueError(f"--save-every {options.save_every}: a whole number from 1 on")
    if (options.folder / "adapter_config.json").exists():
        raise ValueError(f"{options.folder} holds an adapter already; choose another folder")
    from ..models import load
    from ..training import Settings, train

    names = ("steps", "batch", "rank", "learning_rate", "seed", "raw", "bf16")
    settings = Settings(**{name: getattr(options, name) for name in names}, targets=tuple(options.targets))
    console = Console(stderr=True)
    with console.status(f"loading {options.model}"):
        model, tokenizer = load(options.model)
    examples = [(problem.prompt, problem.completion) for problem in problems]
    belongs = f"{options.model} {digest(problems)}"
    columns = TextColumn("training, loss {task.fields[loss]}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    with Progress(*columns, console=console) as progress:
        shown = progress.add_task("", total=settings.steps, loss="")
        loss = float("nan")
        for step, loss in train(model, tokenizer, examples, settings, options.folder, belongs, options.save_every):
            progress.update(shown, completed=step, loss=f"{loss:.3f}")
    print(f"{options.folder}: rank {settings.rank}, loss {loss:.3f} after {settings.steps} steps")
