"""A problem with its answer, and problems from a file."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import astuple, dataclass
from pathlib import Path


@dataclass(frozen=True)
class Problem:
    """What a model is asked.

    Args:
        name: Unique among the problems of a run.
        prompt: What the model is given.
        completion: What it should have said, from its first character; trained on.
        answer: What its answer is compared with.
    """

    name: str
    prompt: str
    completion: str
    answer: str


def read_problems(path: Path) -> list[Problem]:
    """Problems of a JSONL file: objects with ``prompt`` and ``completion`` or ``answer``, or both.

    Where one of the two is not given, it is the other.

    Raises:
        FileNotFoundError, ValueError: no such file, no problem in it, or a line that is none.
    """
    problems = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        if not line.strip():
            continue
        try:
            fields = json.loads(line)
        except ValueError as error:
            raise ValueError(f"{path}:{number}: no JSON object ({error})") from None
        texts = {name: fields.get(name) for name in ("prompt", "completion", "answer")} if _is_object(fields) else {}
        strange = [name for name, text in texts.items() if not isinstance(text, str | None)]
        if not texts or strange or texts["prompt"] is None or (texts["completion"] or texts["answer"]) is None:
            wanted = 'an object with the texts "prompt" and "completion" or "answer"'
            raise ValueError(f"{path}:{number}: give {wanted}")
        completion, answer = (texts[name] for name in ("completion", "answer"))
        completion, answer = (answer if completion is None else completion), (completion if answer is None else answer)
        problems.append(Problem(str(number), texts["prompt"], completion, answer))
    if not problems:
        raise ValueError(f"{path} has no problem")
    return problems


def digest(problems: Sequence[Problem]) -> str:
    """What tells these problems from others."""
    text = json.dumps([astuple(problem) for problem in problems])
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _is_object(fields: object) -> bool:
    return isinstance(fields, dict)
