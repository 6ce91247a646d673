"""The table of families in ``docs/families.md``: ``python -m tests.decoding.families_table`` writes it, in minutes.

Exit code 0 if no family is decoded wrongly, 1 if one is.
"""

import sys
import warnings
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from os import sched_getaffinity
from pathlib import Path

from .families import FAMILIES
from .sweep import Outcome, outcome

PAGE = Path(__file__).parents[2] / "docs" / "families.md"
BEGIN, END = "<!-- written by python -m tests.decoding.families_table -->", "<!-- end -->"
COLUMNS = ("family", "verdict", "rows of several lengths", "layers that cannot be adapted, or why it is refused")


def main() -> int:
    """Sweep all families and write the page."""
    with ProcessPoolExecutor(len(sched_getaffinity(0)), get_context("spawn"), initializer=_hush) as pool:
        outcomes = dict(zip(FAMILIES, pool.map(outcome, FAMILIES), strict=True))
    before, after = PAGE.read_text().split(BEGIN)[0], PAGE.read_text().split(END)[1]
    table = "\n".join(
        [_line(COLUMNS), _line("---" for _ in COLUMNS), *(row(family, found) for family, found in outcomes.items())]
    )
    PAGE.write_text(f"{before}{BEGIN}\n\n{_counts(outcomes)}\n\n{table}\n\n{END}{after}")
    wrong = [f"{family}: {found.reason}" for family, found in outcomes.items() if found.verdict == "wrong"]
    print("\n".join(wrong) or _counts(outcomes))
    return 1 if wrong else 0


def row(family: str, found: Outcome) -> str:
    """The family's line of the table."""
    together = "packed" if found.packs else "padded" if found.pads else "one length at a time"
    together = together if found.verdict.startswith("right") else ""
    grouped: dict[str, list[str]] = {}
    for layer, reason in found.left_out:
        grouped.setdefault(reason, []).append(f"`{layer}`")
    left_out = "; ".join(f"{_some(layers)}: {reason}" for reason, layers in grouped.items())
    return _line((family, found.verdict, together, found.reason or left_out))


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _some(layers: list[str]) -> str:
    return ", ".join(layers[:2]) + (f" and {len(layers) - 2} more" if len(layers) > 2 else "")


def _counts(outcomes: dict[str, Outcome]) -> str:
    verdicts = [found.verdict for found in outcomes.values()]
    counted = ", ".join(
        f"{verdicts.count(verdict)} {verdict}" for verdict in dict.fromkeys(sorted(verdicts, reverse=True))
    )
    return f"{len(outcomes)} families: {counted}."


def _hush() -> None:
    import transformers

    warnings.simplefilter("ignore")
    transformers.logging.set_verbosity_error()


if __name__ == "__main__":
    sys.exit(main())
