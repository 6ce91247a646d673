"""GSM-symbolic: problems like GSM8K's with their reasoning, drawn from the templates of the package reasoning-gym."""

import random
import sys
from importlib import import_module
from types import ModuleType

from ..problem import Problem
from .task import SPLITS, Task, package_folder

SOUND = [
    *range(32), 33, 34, 36, *range(38, 61), 62, 64, *range(66, 74), 75, 78, *range(80, 86), 88, 89, *range(91, 97), 99,
]  # fmt: skip
"""Templates that the package itself draws from (``tasks_ok`` of its gsm_symbolic.py, 0.1.25)."""


def problems(split: str, count: int) -> list[Problem]:
    """As many as are asked for; draws without reasoning that ends with the answer are left out.

    Templates belong to all splits: other names and numbers are what differs.
    """
    templates = _templates()
    draw, found, seen = random.Random(SPLITS.index(split)), [], set()
    while len(found) < count:
        made = templates[draw.choice(SOUND)](random.Random(draw.getrandbits(32)), 1.0)
        question, answer = made["question"].strip(), str(made["answer"])
        reasoning = made["metadata"]["answer_cot"].strip()
        belongs = SPLITS[random.Random(question).choices(range(3), (6, 1, 3))[0]]  # whoever draws it
        if belongs == split and question not in seen and reasoning.endswith(f"#### {answer}"):
            seen.add(question)
            found.append(Problem(f"{split} {len(found)}", f"{question}\nAnswer:", f" {reasoning}", answer))
    return found


def _templates() -> dict[int, object]:
    """By number. The generators' files alone are imported: the whole package would need eleven others."""
    folder = package_folder("reasoning_gym", "--no-deps reasoning-gym==0.1.25")
    stubs = {"reasoning_gym": folder, "reasoning_gym.arithmetic": folder / "arithmetic"}
    stubs["reasoning_gym.arithmetic.gsm_symbolic"] = folder / "arithmetic" / "gsm_symbolic"
    there = {name: sys.modules.get(name) for name in stubs}
    for name, place in stubs.items():
        if there[name] is None:
            sys.modules[name] = ModuleType(name)
            sys.modules[name].__path__ = [str(place)]
    try:
        modules = [
            import_module(f"reasoning_gym.arithmetic.gsm_symbolic.{name}")
            for name in ("generators_00_49", "generators_50_99")
        ]
    finally:
        for name, module in there.items():
            if module is None:
                del sys.modules[name]
    return {
        int(name.removeprefix("generate_")): function
        for module in modules
        for name, function in vars(module).items()
        if name.startswith("generate_")
    }


TASK = Task("GSM-symbolic of reasoning-gym, with reasoning", problems, "number", 200)
