"""`python -m decoding example-adapter`: a LoRA adapter to try, trained in minutes on sums put into words."""

import argparse
import random
from pathlib import Path

NAMES = ("Ana", "Ben", "Chen", "Dora", "Emil", "Fatima", "Goran", "Hana")
THINGS = ("apples", "books", "coins", "marbles", "pencils", "shells", "stamps", "tickets")
GAINS = ("buys {n} more", "finds {n} more", "is given {n} more")
LOSSES = ("gives away {n}", "loses {n}", "sells {n}")


def add_parser(subparsers) -> None:
    parser = subparsers.add_parser("example-adapter", help="train a small adapter to try", description=__doc__)
    parser.add_argument("folder", type=Path, help="where the adapter is saved")
    parser.add_argument("--model", required=True, help="as in generate")
    parser.add_argument("--steps", type=int, default=24, help="of 4 problems each; default: 24")
    parser.add_argument("--rank", type=int, default=8, help="default: 8")
    parser.add_argument("--seed", type=int, default=0, help="default: 0")
    parser.set_defaults(run=run)


def problem(draw: random.Random) -> tuple[str, str]:
    """A word problem of three steps, and its solution step by step."""
    name, thing, total = draw.choice(NAMES), draw.choice(THINGS), draw.randint(5, 40)
    told, steps = [f"{name} has {total} {thing}."], []
    for _ in range(3):
        n = draw.randint(2, 20)
        gain = draw.random() < 0.5 or n > total
        told.append(f"Then {name} {draw.choice(GAINS if gain else LOSSES).format(n=n)}.")
        after = total + n if gain else total - n
        steps.append(f"{total} {'+' if gain else '-'} {n} = {after}.")
        total = after
    return f"{' '.join(told)} How many {thing} does {name} have?", f"{' '.join(steps)} #### {total}"


def run(options: argparse.Namespace) -> int:
    if (options.folder / "adapter_config.json").exists():
        raise ValueError(f"{options.folder} holds an adapter already; choose another folder")
    import torch
    from peft import LoraConfig, get_peft_model
    from rich.progress import track

    from ..models import load, prompt_ids

    torch.manual_seed(options.seed)
    draw = random.Random(options.seed)
    model, tokenizer = load(options.model)
    config = LoraConfig(r=options.rank, lora_alpha=2 * options.rank, target_modules="all-linear", task_type="CAUSAL_LM")
    model = get_peft_model(model, config)
    weights = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(weights, lr=2e-3)
    for _ in track(range(options.steps), description="training"):
        rows = []
        for question, solution in (problem(draw) for _ in range(4)):
            prompt = prompt_ids(tokenizer, question)
            answer = [*tokenizer(solution, add_special_tokens=False).input_ids, tokenizer.eos_token_id]
            rows.append((prompt + answer, [-100] * len(prompt) + answer))
        longest = max(len(ids) for ids, _ in rows)
        ids = torch.tensor([ids + [0] * (longest - len(ids)) for ids, _ in rows], device=model.device)
        labels = torch.tensor([wanted + [-100] * (longest - len(wanted)) for _, wanted in rows], device=model.device)
        loss = model(input_ids=ids, labels=labels).loss  # padding on the right, which causal attention never sees
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    model.save_pretrained(options.folder)
    print(f"{options.folder}: rank {options.rank}, loss {loss.item():.3f} after {options.steps} steps")
    return 0
