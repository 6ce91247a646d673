"""The model against device times that others published.

Keys of ``--json``: ``rows`` (of each ``name``, ``chip``, ``cores``, ``predicted_us``, ``published_us``, ``ratio``
predicted over published, ``within`` the goal, ``source``, ``explanation``), ``left_out`` (name and reason), ``goal``
(``tolerance``, ``rows_within``, ``rows``, ``pairs_in_order``, ``pairs``, ``out_of_order``), ``met``; with ``--falsify``
also ``rankings`` (`tuner.robustness.ranking`), ``one_core_per_token`` (milliseconds a token) and of each row
``plausible_us``, the least and the most on the 32 plausible chips. Predicted times are simulated, published ones were
measured by others.
"""

import itertools
import math

from cold_kernels.ascend.chips import DEFAULT_CHIP
from cold_kernels.ascend.machine import ascend_machine
from cold_kernels.fidelity.anchor import anchor
from cold_kernels.fidelity.published import LEFT_OUT, ROWS
from cold_kernels.specs import load

from .ranking import rank

TOLERANCE = 0.2
"""Predicted over published, or the other way round, may be so much above 1."""
APART = 1.1
"""Published times whose ratio is less are not asked to be in order."""
CASES = ("T=16 L=4 H=4096 R=16 idx=half", "T=32 L=4 H=4096 R=64")
CONFIGURATIONS = 128


def rows(chips: int) -> list[dict]:
    """Every published row beside the model's time, also on so many plausible chips."""
    found = []
    for row in ROWS:
        run = row.simulated()
        about = dict(name=row.name, chip=row.chip, cores=row.programs, source=row.source, explanation=row.explanation)
        if chips:
            times = [row.predicted_us(run.on(chip)) for chip in run.chip.plausible(chips)]
            about["plausible_us"] = [round(min(times), 2), round(max(times), 2)]
        found.append(compared(row.predicted_us(run), row.published_us, **about))
    return found


def compared(predicted_us: float, published_us: float, **more) -> dict:
    """A row of the report."""
    ratio = predicted_us / published_us
    return {
        **more,
        "predicted_us": round(predicted_us, 2),
        "published_us": published_us,
        "ratio": round(ratio, 3),
        "within": abs(math.log(ratio)) <= math.log(1 + TOLERANCE),
    }


def judged(rows: list[dict]) -> dict:
    """The rows, and whether all of them are near enough and in order."""
    pairs, wrong = 0, []
    for one, other in itertools.combinations(sorted(rows, key=lambda row: row["published_us"]), 2):
        if other["published_us"] >= APART * one["published_us"]:
            pairs += 1
            if one["predicted_us"] >= other["predicted_us"]:
                wrong.append([one["name"], other["name"]])
    within = sum(row["within"] for row in rows)
    goal = {
        "tolerance": TOLERANCE,
        "rows_within": within,
        "rows": len(rows),
        "pairs_in_order": pairs - len(wrong),
        "pairs": pairs,
        "out_of_order": wrong,
    }
    return {"rows": rows, "left_out": LEFT_OUT, "goal": goal, "met": within == len(rows) and not wrong}


def falsified() -> dict:
    """What could show that simulated tuning is worth nothing: ranks on plausible chips, and a scheme's known cost."""
    machine, spec = ascend_machine(DEFAULT_CHIP), load("bgmv_shrink")
    rankings = [rank(spec, case, machine, CONFIGURATIONS).summary() for case in CASES]
    found = anchor()
    figures = {
        "simulated_ms": round(found.simulated_ms, 2),
        "of_that_launches_ms": round(found.launch_ms, 2),
        "launches": found.launches,
        "megabytes": round(found.bytes_moved / 1e6, 1),
        "reported_ms": round(found.reported_ms, 2),
        "ratio": round(found.ratio, 2),
        "source": found.source,
    }
    return {"rankings": rankings, "one_core_per_token": figures}


def text(found: dict) -> str:
    """The report for a terminal, Markdown."""
    goal = found["goal"]
    lines = ["| published kernel | cores | predicted us (simulated) | published us (measured) | ratio |"]
    lines.append("| --- | --- | --- | --- | --- |")
    for row in found["rows"]:
        mark = "" if row["within"] else " (miss)"
        low, high = row.get("plausible_us", (None, None))
        spread = f" ({low:.0f} to {high:.0f})" if low else ""
        figures = f"{row['predicted_us']:.1f}{spread} | {row['published_us']:.1f} | {row['ratio']:.2f}{mark}"
        lines.append(f"| {row['name']} | {row['cores']} | {figures} |")
    lines.append("")
    lines.append(
        f"{goal['rows_within']} of {goal['rows']} rows within {goal['tolerance']:.0%}, {goal['pairs_in_order']} of "
        f"{goal['pairs']} pairs of rows in the published order; goal {'met' if found['met'] else 'not met'}."
    )
    for one, other in goal["out_of_order"]:
        lines.append(f"Out of order: {one!r} should be faster than {other!r}.")
    for ranking in found.get("rankings", ()):
        lines.append(
            f"bgmv_shrink {ranking['case']}, {ranking['compiled']} configurations: the best is among the best five on "
            f"{ranking['in_top']} of {ranking['chips']} plausible chips and the best on {ranking['first']}; regret "
            f"median {ranking['regret_median']:.1%}, worst {ranking['regret_worst']:.1%}; without the launch "
            f"{ranking['net_regret_median']:.1%} and {ranking['net_regret_worst']:.1%}; slowest over fastest "
            f"{ranking['spread']:.2f}; {ranking['rivals']} others within 2 %."
        )
    if one := found.get("one_core_per_token"):
        lines.append(
            f"One core per token: {one['simulated_ms']} ms a token simulated ({one['of_that_launches_ms']} ms of it "
            f"{one['launches']} launches), {one['reported_ms']:.1f} ms reported; ratio {one['ratio']}."
        )
    return "\n".join(lines)
