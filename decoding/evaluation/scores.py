"""How an answer is compared with what it should be: 0 to 1 a problem."""

import re
from collections.abc import Callable

NUMBER = re.compile(r"-?\d+(?:\.\d+)?")


def exact(text: str, answer: str) -> float:
    """1 where both are the same but for spaces around them."""
    return float(text.strip() == answer.strip())


def number(text: str, answer: str) -> float:
    """1 where the number after the last ``####``, or else the last number of all, is the answer's.

    Raises:
        ValueError: the answer has no number.
    """
    wanted = NUMBER.findall(answer.replace(",", ""))
    if not wanted:
        raise ValueError(f"the answer {answer!r} has no number; another --score fits")
    told = NUMBER.findall(text.rpartition("####")[2].replace(",", ""))
    return float(bool(told) and float(told[0 if "####" in text else -1]) == float(wanted[-1]))


def bleu(text: str, answer: str) -> float:
    """BLEU of the one text, from 0 to 1, by sacrebleu (`sentence_bleu`: exponential smoothing, its own tokenizer).

    Raises:
        ImportError: sacrebleu is not installed.
    """
    from sacrebleu import sentence_bleu

    return sentence_bleu(text.strip(), [answer.strip()]).score / 100


SCORES: dict[str, Callable[[str, str], float]] = {"exact": exact, "number": number, "bleu": bleu}
"""By the names that command lines use."""
