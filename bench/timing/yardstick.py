"""The reference of benchmarks that stand beside nothing else."""

import re

WORD = re.compile(r"\w+=(\d+)")
TEXT = "T=16 L=4 H=4096 R=16 " * 40


def python_loop() -> int:
    """Calls, dictionaries, tuples, text: what such code is made of. Never to be changed: times are relative to it."""
    counts: dict[tuple[str, int], int] = {}
    for _ in range(3):
        for place, number in enumerate(WORD.findall(TEXT)):
            key = number, place % 7
            counts[key] = counts.get(key, 0) + len(f"{number} {place}")
    return sum(sorted(counts.values()))
